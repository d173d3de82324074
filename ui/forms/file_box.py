"""A file in a form: it is dropped or chosen, kept at once, and shown by its name, kind and size."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping

from nicegui import events, ui

from engine.core.errors import Refusal
from engine.flow.file_values import KIND_ENDINGS, MAX_FILE_BYTES, is_file_value, kinds_in_words, media_type_in_words
from ui.forms.part import Owner, Part
from ui.forms.specs import ABSENT, Absent, FieldSpec, Json
from ui.kit.hidden_upload import TOO_LARGE, hidden_upload
from ui.kit.parts import icon, icon_button, words
from ui.kit.text import _, size

#: Stores a file (name, media type as said, bytes) and returns its value. Raises Refusal.
KeepFile = Callable[[str, str, bytes], Awaitable[Json]]
#: Counts the files that are chosen, so that those of a list stand in the order of the choice.
_TURN = itertools.count(1)


class FileBox(Part):
    """One file. Another one that is dropped takes its place; in a list, `on_more` takes each further one
    with its turn.
    """

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        self.on_more: Callable[[Json, int], None] | None = None
        #: The place of the file among those that were chosen together; higher for those that were chosen later.
        self.turn = 0
        #: Files that are on their way: name -> the turns of those with this name.
        self._turns: dict[str, list[int]] = {}
        self._title = label or spec.title
        self._drop: ui.element | None = None
        with self.labelled(label, group=True).place:
            self._place = ui.element("div").classes("fp-file-box").props("aria-live=polite")
            # it outlives the place where files are dropped, since several may be on their way
            self._upload = None if owner.keep_file is None or owner.read_only else self._draw_upload()
        self.show()

    @property
    def most_bytes(self) -> int:
        """How many bytes a file may have here."""
        return self.spec.max_file_bytes or MAX_FILE_BYTES

    @property
    def _in_list(self) -> bool:
        return self.around is not None and self.around.spec.kind == "list"

    def show(self) -> None:
        """Draws the file, or the place where one is dropped."""
        self._place.clear()
        self._drop = None
        with self._place:
            if not isinstance(self.known, Absent) and self.known is not None:
                self._draw_file()
            elif self._upload is None:
                words(_("No file"), "fp-t3")
            else:
                self._draw_drop(self._upload)
        self.show_error()

    def focus(self) -> None:
        """Moves the keyboard focus to the place where a file is dropped."""
        if self._drop is not None:
            self._drop.run_method("focus")

    def _draw_file(self) -> None:
        with ui.element("div").classes("fp-file"):
            icon("description", size=20)
            with ui.element("div").classes("fp-file-words"):
                for text, classes in _said(self.known):
                    words(text, classes).props("dir=auto")
            if not self.owner.read_only and not self._in_list:  # a list has a button for each row
                icon_button("close", _("Remove {name}").format(name=self._title), self._remove)

    def _draw_upload(self) -> ui.upload:
        accept = ",".join(dict.fromkeys(end for kind in self.spec.file_kinds for end in KIND_ENDINGS[kind]))
        upload = hidden_upload(
            self._received, self._refused, most_bytes=self.most_bytes, accept=accept, multiple=self._in_list
        )
        if self._in_list:
            upload.on("added", self._announced, js_handler="(files) => emit(files.map((one) => one.name))")
        return upload

    def _draw_drop(self, upload: ui.upload) -> None:
        pick = f"getElement({upload.id}).$refs.qRef"
        with ui.element("button").classes("fp-drop fp-drop--small").props("type=button") as self._drop:
            self._drop.props["aria-label"] = _("Choose a file, {title}").format(title=self._title)
            with ui.element("span").classes("fp-row"):
                icon("upload_file", size=20)
                words(_("Drop a file here, or choose one"), "fp-b")
            words(self._taken(), "fp-s12 fp-t3")
        self._drop.on("click", js_handler=f"() => {pick}.pickFiles()")
        self._drop.on("dragover.prevent", js_handler="() => {}")
        self._drop.on("drop.prevent", js_handler=f"(event) => {pick}.addFiles(event.dataTransfer.files)")

    def _taken(self) -> str:
        up_to = _("Up to {most_bytes}").format(most_bytes=size(self.most_bytes))
        return f"{kinds_in_words(self.spec.file_kinds)}. {up_to}" if self.spec.file_kinds else up_to

    async def _received(self, event: events.UploadEventArguments) -> None:
        keep = self.owner.keep_file
        if keep is None or self._place.is_deleted:
            return
        try:
            value = await keep(event.file.name, event.file.content_type, await event.file.read())
        except Refusal as refusal:
            self.mark(f"{(refusal.detail or refusal.title).rstrip('.')}. {refusal.remedy}".strip())
            return
        waiting = self._turns.get(event.file.name)
        turn = waiting.pop(0) if waiting else next(_TURN)
        if not isinstance(self.known, Absent) and self.on_more is not None:
            self.on_more(value, turn)
            return
        self.turn = turn
        self._put(value)

    def _announced(self, event: events.GenericEventArguments) -> None:
        """Gives files that were chosen together their turns: they come in the order in which they are sent."""
        for name in event.args if isinstance(event.args, list) else ():
            self._turns.setdefault(str(name), []).append(next(_TURN))

    def _refused(self, why: str) -> None:
        if why == TOO_LARGE or not self.spec.file_kinds:
            said = _("This file is too large: a file may have {most_bytes}.").format(most_bytes=size(self.most_bytes))
        else:
            said = _("This file is of another kind. Taken are: {kinds_in}.").format(
                kinds_in=kinds_in_words(self.spec.file_kinds)
            )
        self.mark(said)

    def _remove(self) -> None:
        self._put(ABSENT)

    def _put(self, value: Json) -> None:
        self.known = value
        self.outside = ""
        self.show()
        self.tell()


def _said(value: Json) -> list[tuple[str, str]]:
    """Returns the lines for a file, each with its classes."""
    if is_file_value(value):
        return [
            (value["name"], "fp-b"),
            (f"{media_type_in_words(value['media_type'])}, {size(value['size'])}", "fp-s12 fp-t3"),
        ]
    if isinstance(value, Mapping):
        value = value.get("file_id") or value.get("name") or _("a file")
    text = str(value)
    if text.startswith("data:"):
        return [(_("A file written into the input"), "fp-b"), (text.partition(",")[0][:100], "fp-s12 fp-t3")]
    if not text.startswith("https:"):
        return [(text[:300], "fp-b fp-cut"), (_("an uploaded file"), "fp-s12 fp-t3")]
    address, slash, name = text[:300].partition("?")[0].rpartition("/")
    return [
        (name or text[:300], "fp-b"),
        (f"{address}{slash}", "fp-s12 fp-t3 fp-cut"),
        (_("is fetched when the flow runs"), "fp-s12 fp-t3"),
    ]
