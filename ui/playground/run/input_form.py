"""The input of a run: a form generated from the API Input, or raw JSON, and the saved samples."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import jsonpointer
from nicegui import ui

from engine.core.errors import PayloadInvalid
from engine.flow.contract import input_fields, made_up_names, payload_schema, sample_payload, samples_of
from engine.flow.document import Document
from engine.flow.json_values import read_strictly
from ui.forms.amounts import MAX_VALUES, count_values
from ui.forms.file_box import KeepFile
from ui.forms.form import Field, Form
from ui.forms.specs import FieldSpec, specs_of_schema, tell_made_up
from ui.forms.values import error_words
from ui.kit.feedback import told
from ui.kit.parts import Words, segments, words
from ui.kit.text import _, number
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.run.sample_row import SampleRow
from ui.playground.run.samples import Sample, payload_of, place_now

#: Browser handler for Enter in a field of one line: the field tells its value first. The script is constant.
_RUNS = """(event) => {
  const box = event.target;
  if (!box.matches("input:not([readonly], [type=checkbox], [role=combobox])") || event.isComposing) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  box.blur();
  box.focus();
  setTimeout(() => emit());
}"""
_ONE_LINE = frozenset({"text", "number", "integer"})
#: A request has no more values.
_MAX_COUNTED = 200_000


def no_input_words(document: Document) -> str:
    """Says how a flow without input fields gets some."""
    if any(node.type == "api_input" for node in document.nodes):
        return _("This flow takes no input yet. Add a field to its API Input.")
    return _("This flow takes no input yet. Add an API Input and define its fields.")


class InputForm:
    """The input form.

    `payload` is the input of the next run. Values stay when the fields change or the view is switched. `why_not` tells
    somebody who may not run the flow who may; the form then accepts no changes. `on_change` is called after the person
    typed or chose another input, `on_enter` on Enter in the only field, as a browser sends a form of one line. An input
    with very many values is shown as JSON, because boxes for them take long.
    """

    def __init__(
        self,
        draft: OpenDraft,
        payload: dict[str, Any],
        *,
        edit: Edit | None,
        on_run_all: Callable[[], Awaitable[None]] | None,
        on_change: Callable[[], None],
        on_enter: Callable[[], Awaitable[None]] | None = None,
        why_not: str = "",
        keep_file: KeepFile | None = None,
    ) -> None:
        self.draft = draft
        self.payload = payload
        self.edit = edit
        self.on_run_all = on_run_all
        self.on_change = on_change
        self.on_enter = on_enter
        self.why_not = why_not
        self.keep_file = keep_file
        #: True once the person or a job has set the input, so that a sample does not replace it.
        self.touched = False
        #: What the person chose, and what is shown.
        self.wants_json = self.as_json = False
        self.fields: Sequence[dict[str, Any]] = ()
        #: The fields as the form shows them, and those of which it says that an example fills them in.
        self._drawn: Sequence[dict[str, Any]] = ()
        self._made_up: frozenset[str] = frozenset()
        self.samples: Sequence[Sample] = ()
        self.chosen: int | None = None
        self.form: Form | None = None
        self.row: SampleRow | None = None
        self.json_field: Field | None = None
        self.json_trouble = ""
        self.no_input: Words | None = None  #: what is shown in place of fields
        self.box = ui.element("div").classes("fp-rc")
        self.box.props("role=group")
        self.box.props["aria-label"] = _("Input")
        self.chosen = self._same_sample()
        with self.box:
            if why_not:
                words(why_not, "fp-hint fp-why-not", tag="p")
            self.writes = words("", "fp-hint", tag="p")
            self._row_place = ui.element("div").classes("fp-sample-place")
            with ui.element("div").classes("fp-lab"):
                words(_("Input"))
                words("", "fp-sp")
                ways = {"form": _("Form"), "json": "JSON"}
                self.ways = segments(ways, "form", self._switch, label=_("Input as"))
            self._why_json = words("", "fp-hint", tag="p")
            self._body = ui.element("div")
        self._names: list[str] = []
        self._look()
        self._draw_row()
        self._draw_body()

    def say_writes(self, *said: str) -> None:
        """Says before a run what it writes and calls; nothing to somebody who may not run the flow."""
        self.writes.text = " ".join(filter(None, said))
        self.writes.visible = any(said) and not self.why_not

    def document_changed(self) -> None:
        """Updates the form after the API Input's fields changed; typed values stay."""
        if self.no_input is not None:
            self.no_input.text = no_input_words(self.draft.document)
        fields, samples = input_fields(self.draft.document), samples_of(self.draft.document)
        if fields == self.fields and samples == self.samples:
            return
        same_fields = fields == self.fields
        if not self.touched:
            self.payload = sample_payload(self.draft.document)
        elif not same_fields:
            self._keep_typed(fields)
        if self.chosen is not None and self.chosen < len(self.samples):
            self.chosen = place_now(self.samples, self.chosen, samples)
        if self.chosen is None or self.chosen >= len(samples):
            self.chosen = self._same_sample()
        self._look()
        self._draw_row()
        if not same_fields or not self.touched:
            self._show_payload()

    def _keep_typed(self, fields: Sequence[dict[str, Any]]) -> None:
        """Takes over what was typed into the fields that are there now, also into one that was renamed. What was emptied stays
        empty; a field that is new has what the sample has.
        """
        payload, known = dict(self.payload), set(self._names)
        now = _names_of(fields, self._names)
        changed = [at for at, (old, new) in enumerate(zip(self._names, now, strict=False)) if old != new]
        if len(now) == len(self._names) and len(changed) == 1:
            old, new = self._names[changed[0]], now[changed[0]]
            known.add(new)
            if old in payload and new not in payload:
                payload = {new if name == old else name: value for name, value in payload.items()}
        sample = sample_payload(self.draft.document)
        payload = {name: value for name, value in sample.items() if name not in known} | payload
        self.payload = {name: payload[name] for name in now if name in payload}

    def _show_payload(self) -> None:
        """Shows the fields and the input in the view that is open; fields that stay keep their elements."""
        if self.form is not None and self.fields and not self._is_large():
            self.form.reshape(self._specs(), self.payload)
        elif not self.json_trouble:  # JSON that cannot be read stays to be corrected
            self._draw_body()

    def ready(self) -> bool:
        """True when all input can be parsed; otherwise the field shows what is wrong."""
        if self.as_json:
            if self.json_trouble and self.json_field is not None:
                self.json_field.focus()
            return not self.json_trouble
        unread = self.form.unread | self.form.missing_files() if self.form is not None else {}
        if self.form is not None and unread:
            self.form.show_errors(unread)
            self.form.focus(next(iter(unread)))
        return not unread

    def show_refusal(self, refusal: PayloadInvalid) -> bool:
        """Shows each error at its field, or below the JSON. Returns whether each has a place."""
        if self.form is not None:
            said = error_words((error.pointer, error.code, error.detail) for error in refusal.errors)
            if self.edit is not None:
                may_be_empty = _("{said} If it may be empty, switch off Required at this field in API Input.")
                of_fields = {f"/{jsonpointer.escape(name)}" for name in self._names}
                for error in refusal.errors:
                    if error.code == "required" and error.pointer in of_fields:
                        said[error.pointer] = may_be_empty.format(said=said[error.pointer])
            shown = self.form.show_errors(said)
            self.form.focus(refusal.errors[0].pointer)
            return shown
        if self.json_field is not None:
            self.json_field.error("; ".join(f"`{error.pointer}` {error.detail}" for error in refusal.errors))
            self.json_field.focus()
        return self.json_field is not None

    # Drawing.

    def _look(self) -> None:
        self.fields, self.samples = input_fields(self.draft.document), samples_of(self.draft.document)
        self._names = _names_of(self.fields, self._names)

    def _draw_row(self) -> None:
        self.row = None
        self._row_place.clear()
        if self.samples or (self.fields and self.edit is not None):
            with self._row_place:
                self.row = SampleRow(
                    self.samples,
                    self.chosen,
                    around=self.box,
                    document=lambda: self.draft.document,
                    payload=lambda: self.payload,
                    ready=self.ready,
                    on_choose=self._choose,
                    on_run_all=self.on_run_all,
                    edit=self.edit if self.fields else None,
                )

    def _draw_body(self) -> None:
        self.form = self.json_field = self.no_input = None
        self.json_trouble = ""
        self._body.clear()
        self.as_json = self.wants_json or self._is_large()
        self._tell_ways()
        with self._body:
            if self.as_json:
                self._draw_json()
            elif self.fields:
                specs = self._specs()
                read_only = bool(self.why_not)
                self.form = Form(
                    specs,
                    self.payload,
                    self._typed,
                    types=True,
                    json_views=False,
                    read_only=read_only,
                    keep_file=self.keep_file,
                )
                if self.on_enter is not None and len(specs) == 1 and specs[0].kind in _ONE_LINE:
                    self.form.element.on("keydown.enter", self.on_enter, js_handler=_RUNS)
            else:
                self.no_input = words(no_input_words(self.draft.document), "fp-t2", tag="p")

    def _specs(self) -> tuple[FieldSpec, ...]:
        """The fields. One that is drawn keeps what it says of its example: else its box is drawn anew while somebody types."""
        made_up = made_up_names(self.draft.document, self.payload)
        if self.form is not None and self.touched:
            stay = {field.get("name") for field in self.fields if field in self._drawn}
            made_up = (made_up - stay) | (self._made_up & stay)
        self._drawn, self._made_up = self.fields, made_up
        return tell_made_up(specs_of_schema(payload_schema(self.fields)), made_up)

    def _is_large(self) -> bool:
        return count_values(self.payload) > MAX_VALUES

    def _tell_ways(self) -> None:
        """Shows which view is open, and why an input has no form."""
        large = self._is_large()
        self.ways.value = "json" if self.as_json else "form"
        self.ways.set_enabled(not large or not self.as_json)
        self._why_json.visible = large and self.as_json
        if self._why_json.visible:
            count = number(count_values(self.payload, _MAX_COUNTED))
            self._why_json.text = _("This input has {count} values: it is edited as JSON.").format(count=count)

    def _draw_json(self) -> None:
        self.json_field = field = Field(_("Input as JSON"))
        with field.place:
            text = ui.textarea(value=json.dumps(self.payload, indent=2, ensure_ascii=False))
            text.props("outlined autogrow autocomplete=off autocapitalize=off spellcheck=false debounce=250")
            text.props.set_bool("readonly", bool(self.why_not))
            field.control(text.classes("fp-mono"))
        text.on_value_change(lambda event: self._typed_json(str(event.value or "")))

    def _typed_json(self, text: str) -> None:
        trouble = ""
        try:
            value = read_strictly(text or "{}")
        except ValueError as error:
            trouble = _("This is not valid JSON: {error}").format(error=error)
        else:
            if isinstance(value, dict):
                self._take(value)
            else:
                trouble = _('Write the fields with their values in curly brackets, like {"name": "Ada"}.')
        self.json_trouble = trouble
        if self.json_field is not None:
            self.json_field.error(trouble)
        self._tell_ways()

    def _switch(self, to: str) -> None:
        if (to == "json") == self.as_json:
            return
        if not self.ready():  # the other view would lose what cannot be read
            self.ways.value = "json" if self.as_json else "form"
            return
        self.wants_json = to == "json"
        self._draw_body()

    def _typed(self, pointer: str, value: Any) -> None:
        if self.form is not None:
            self._take(self.form.value)

    def _take(self, payload: dict[str, Any]) -> None:
        self.payload, self.touched = payload, True
        if self.row is not None:
            self.row.mark()
        self.on_change()

    def _choose(self, place: int | None) -> None:
        before, changed = self.payload, self._is_changed()
        self._look()
        self.chosen = place if place is not None and 0 <= place < len(self.samples) else None
        if self.chosen is not None:
            self.payload, self.touched = payload_of(self.samples[self.chosen]), True
        self._draw_row()
        self.on_change()
        if self.payload == before:
            return
        self._draw_body()
        if changed:
            self._offer_back(_("The sample stands where you had typed."), before)

    def take_row(self, payload: dict[str, Any]) -> None:
        """Shows the input of a row of a batch in place of what was typed. Of fields that the flow does not have it says that
        they are left out.
        """
        before = self.payload
        left_out = ", ".join(f"“{name}”" for name in payload if name not in self._names)
        payload = {name: value for name, value in payload.items() if name in self._names}
        said = _("What the row has for {names} is left out: the flow has no such field any more.")
        said = said.format(names=left_out) if left_out else ""
        changed = payload != before and self._is_changed()
        if payload != before:
            self.chosen = None
            self._put_back(payload)
        if changed:
            self._offer_back(_("The input of the row stands where you had typed."), before, said)
        elif said:
            with self.box:
                told(said)

    def _offer_back(self, said: str, before: dict[str, Any], more: str = "") -> None:
        with self.box:
            told(said, more, action=_("Put mine back"), on_action=lambda: self._put_back(before))

    def _put_back(self, payload: dict[str, Any]) -> None:
        self._take(payload)
        self._draw_body()

    def _is_changed(self) -> bool:
        """True when the input was typed and is none of the samples."""
        return self.touched and self._same_sample() is None

    def _same_sample(self) -> int | None:
        samples = samples_of(self.draft.document)
        return next((place for place, sample in enumerate(samples) if payload_of(sample) == self.payload), None)


def _names_of(fields: Sequence[dict[str, Any]], before: Sequence[str]) -> list[str]:
    """The names of the fields; a field whose name is being rewritten has the one it had."""
    names = [str(field.get("name") or "") for field in fields]
    if len(names) != len(before):
        return names
    return [name or old for name, old in zip(names, before, strict=True)]
