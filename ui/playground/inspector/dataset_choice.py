"""Fields for the dataset of a node: the dataset, chosen from the workspace or created here, and the column by which rows are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from engine.actions.datasets import add_dataset, known_datasets
from engine.flow.called_flows import AGENT
from engine.flow.document import Node
from engine.nodes.known_datasets import TYPES, KnownDataset, find_known
from ui.forms.specs import FieldSpec, Json
from ui.forms.values import get_at
from ui.kit.ask import ask_text
from ui.kit.parts import button, link, words
from ui.kit.text import _, plural
from ui.page_session import PageSession
from ui.parts.written_rows import writing_words
from ui.playground.inspector.choice_box import choice_box
from ui.playground.state.item_fields import MAX_FIELDS, ItemField

if TYPE_CHECKING:
    from ui.forms.form import Form, Widget


#: What templates said of their own sample datasets in 0.2.0. It is not true of another dataset.
_OF_SAMPLES = frozenset({"The table of products: what each one costs and what it is made of."})


class DatasetChoice:
    """Draws the form widgets `dataset` and `key_column`.

    Call `load` before drawing, because the form itself does not wait.
    """

    def __init__(self, page_session: PageSession, node: Callable[[], Node | None]) -> None:
        self.page_session = page_session
        self.node = node
        self.known: tuple[KnownDataset, ...] = ()
        self._keys: ui.select | None = None
        self._opening: tuple[ui.element, KnownDataset] | None = None  #: the place of the link, and what it shows

    async def load(self, node: Node) -> None:
        """Loads the datasets of the workspace when the node uses one."""
        if node.type in TYPES or node.type == AGENT:
            self.known = await self.page_session.query(known_datasets)

    async def look_again(self) -> None:
        """Reads the datasets again: the first row gives an empty one its columns, and a run may add some."""
        if self._opening is None or self._opening[0].is_deleted:
            return
        place, shown = self._opening
        self.known = await self.page_session.query(known_datasets)
        found = find_known(self.known, shown.id)
        if found is not None and found != shown and not place.is_deleted:
            self._opening = place, found
            self._draw_opening(found)

    @property
    def widgets(self) -> Mapping[str, Widget]:
        """The widgets by name, for `Form(widgets=...)`."""
        return {"dataset": self.draw_dataset, "key_column": self.draw_key}

    def columns_of(self, node: Node) -> list[ItemField]:
        """Returns the columns of the node's dataset, as the fields that its rows have."""
        found = find_known(self.known, node.config.get("dataset"))
        columns = list(found.columns.items())[:MAX_FIELDS] if found is not None else []
        return [ItemField(name, is_number=kind in {"number", "integer"}) for name, kind in columns]

    def draw_dataset(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the list of datasets.

        A chosen dataset that was deleted stays in the list, so that the choice remains visible.
        """
        place = ui.element("div").classes("fp-stack")

        def draw(chosen: Any) -> None:
            place.clear()
            with place:
                self._draw_choice(form, spec, pointer, chosen, draw)

        draw(value)

    def _draw_choice(self, form: Form, spec: FieldSpec, pointer: str, chosen: Any, draw: Callable[[Any], None]) -> None:
        found = find_known(self.known, chosen)
        options = {one.id: one.name for one in self.known}
        if chosen and isinstance(chosen, str) and found is None:
            options[chosen] = _("A dataset that is gone") if chosen.startswith("dataset_") else chosen

        def pick(dataset: Any) -> None:
            form.change(pointer, dataset or "")
            about = f"{pointer.rpartition('/')[0]}/description"
            if get_at(form.value, about) in _OF_SAMPLES:
                form.write(about, "")
            draw(dataset)

        choice_box(form, spec, options, found.id if found else chosen or None, pick, none=_("No datasets yet"))
        with ui.element("div").classes("fp-row"):
            if not form.read_only and self.page_session.may("edit datasets"):
                button(_("New dataset"), lambda: self._make(pick), icon="add", small=True)
            if found is not None:
                self._opening = ui.element("span"), found
                self._draw_opening(found)
                if chosen != found.id and not form.read_only:
                    # a name that a file brought along: once renamed, it would not be found
                    button(_("Allow renaming"), lambda: pick(found.id), icon="edit", small=True).tooltip(
                        _("This step finds the dataset by its name. Press to make it follow another name.")
                    )
            elif not self.known:
                words(_("A dataset is a table of rows."), "fp-t3 fp-s12")
        node = self.node()
        if found is not None and node is not None and node.type == "dataset_sink":
            words(writing_words([found.name], one_row=False), "fp-hint", tag="p")

    def _draw_opening(self, found: KnownDataset) -> None:
        assert self._opening is not None
        place = self._opening[0]
        place.clear()
        with place:
            columns = plural(len(found.columns), _("column"), _("columns"))
            said = _("Open it ({columns})").format(columns=columns) if found.columns else _("Open it")
            link(said, f"/datasets/{found.id}", "fp-s13", new_tab=True)

    async def _make(self, pick: Callable[[Any], None]) -> None:
        name = await ask_text(_("New dataset"), _("Name"), "", _("Create"))
        made = await self.page_session.try_execute(add_dataset, name) if name else None
        if made is not None:
            self.known = await self.page_session.query(known_datasets)
            pick(made)

    def draw_key(self, form: Form, spec: FieldSpec, pointer: str, value: Json) -> None:
        """Draws the choice of the column to compare: columns of the dataset, of Save rows also of its row, or a typed name."""
        chosen = str(value) if value and isinstance(value, str) else None
        box = ui.select(
            self._key_options(chosen),
            value=chosen,
            on_change=lambda event: form.change(pointer, event.value or ""),
            with_input=True,
            new_value_mode="add-unique",
            clearable=True,
        )
        box.props("outlined dense options-dense").classes("w-full")
        box.props["aria-label"] = spec.title
        box.props.set_bool("readonly", form.read_only)
        self._keys = box

    def _key_options(self, chosen: str | None) -> list[str]:
        node = self.node()
        found = find_known(self.known, node.config.get("dataset")) if node else None
        own = node.inputs if node is not None and node.type == "dataset_sink" else ()
        names = [*own, *(found.columns if found else ()), *([chosen] if chosen else [])]
        return list(dict.fromkeys(names))

    def offer_keys(self) -> None:
        """Updates the columns on offer after the columns of the row or the dataset have changed."""
        if self._keys is None or self._keys.is_deleted:
            return
        options = self._key_options(self._keys.value)
        if options != self._keys.options:
            self._keys.set_options(options, value=self._keys.value)
