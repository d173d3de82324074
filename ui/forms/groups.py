"""Parts of a form with named values: the fields of an object, and rows of free names with their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nicegui import ui

from ui.forms.amounts import drawn_first
from ui.forms.boxes import Drawn
from ui.forms.more_items import MoreItems
from ui.forms.part import Owner, Part
from ui.forms.specs import (
    ABSENT,
    FORMATS,
    Absent,
    FieldSpec,
    Json,
    after_type_change,
    as_shown,
    as_stored,
    describes_tool,
    fields_for,
    folded_fields,
)
from ui.forms.values import same
from ui.kit.feedback import fold
from ui.kit.parts import button, icon_button
from ui.kit.text import _


class Group(Part):
    """The fields of one object. Which fields there are may depend on its values (`fields_for`).

    A field whose description stays the same keeps its elements when others come or go.
    """

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        #: The values as they are shown: a text with allowed values has a type of its own.
        self._own: dict[str, Json] = as_shown(spec, value) if isinstance(value, Mapping) else {}
        self._given = isinstance(value, Mapping)
        self.parts: list[Part] = []
        self._fold: ui.element | None = None
        if around is None or not spec.title:  # the form itself, or a block of a list with a head of its own
            self.element = place = ui.element("div")
        else:
            place = self.labelled(label, group=True).place
            place.classes("fp-group")
        with place:
            self._main = ui.element("div").classes("fp-form")
            self._rest = place
        self._arrange()

    def key_of(self, inner: Part) -> str:
        """The name of an inner field."""
        return inner.spec.name

    def inner(self) -> Iterator[Part]:
        """The fields that are shown."""
        return iter(self.parts)

    @property
    def value(self) -> Json:
        """The object, with the values that have no field; ABSENT while nothing was ever in it."""
        value = as_stored(self.spec, self._collected())
        return value if value or self._given or self.around is None else self.known

    def _collected(self) -> dict[str, Json]:
        value = dict(self._own)
        for one in self.parts:
            if isinstance(found := one.value, Absent):
                value.pop(one.spec.name, None)
            else:
                value[one.spec.name] = found
        return value

    def take(self, value: Json) -> None:
        """Shows other values, field by field."""
        if isinstance(value, Mapping) or not self._given or not same(value, self.known):
            self.known = value
            self._given = isinstance(value, Mapping)
            shown = as_shown(self.spec, value) if isinstance(value, Mapping) else {}
            if shown.get("type") in FORMATS and self._own.get("type", "string") == "string":
                shown = dict(value)  # its format was chosen in the box of formats, which stays
            self._own = shown
            self._arrange()
            for one in self.parts:
                one.take(self._own.get(one.spec.name, ABSENT))

    def respec(self, spec: FieldSpec) -> bool:
        """Takes other fields; those that stay the same keep their elements."""
        if spec.title != self.spec.title or spec.help != self.spec.help or spec.kind != "group":
            return False
        self._own = self._collected()
        self.spec = spec
        self._arrange()
        return True

    def inner_changed(self) -> None:
        """Shows the fields that belong to the new values."""
        before, now = self._own, self._collected()
        self._given = True
        kind = now.get("type", "string")
        if before.get("type", "string") != kind:
            now = after_type_change(self.spec, now, before)
        self._own = now
        self._arrange()

    def _arrange(self) -> None:
        """Draws the fields that are missing and removes those that are no longer needed."""
        wanted = self.spec.fields if self.around is None else fields_for(self.spec, self._own)
        folded = frozenset() if self.around is None else folded_fields(self.spec, wanted)
        parts: list[Part] = []
        at = {"main": 0, "fold": 0}
        for spec in wanted:
            where = "fold" if spec.name in folded else "main"
            place = self._folded(wanted) if where == "fold" else self._main
            part = next((one for one in self.parts if one.spec.name == spec.name), None)
            if part is not None and (part.element.parent_slot is None or part.element.parent_slot.parent is not place):
                part = None
            if part is not None and part.spec != spec and not part.respec(spec):
                part = None
            if part is None:
                with place:
                    part = self.owner.make(spec, self, self._own.get(spec.name, ABSENT))
            _put_at(part.element, at[where])
            at[where] += 1
            parts.append(part)
        for one in self.parts:
            if one not in parts:
                one.element.delete()
        self.parts = parts
        if self._fold is not None:
            self._fold.visible = bool(folded)

    def _folded(self, wanted: Sequence[FieldSpec]) -> ui.element:
        if self._fold is None:
            is_tool = describes_tool(self.spec)
            used = not is_tool and any(name in self._own for name in folded_fields(self.spec, wanted))
            title = _("More") if is_tool else _("Rules and examples")
            with self._rest, fold(title, open_at_first=used) as self._fold:
                self._inside = ui.element("div").classes("fp-form fp-foldin")
        return self._inside

    def unfold(self, key: str) -> None:
        """Unfolds the rules when the field is one of them."""
        if self._fold is not None and key in folded_fields(self.spec, [one.spec for one in self.parts]):
            self._fold.client.run_javascript(f"getHtmlElement({self._fold.id}).open = true")


def _put_at(element: ui.element, index: int) -> None:
    """Moves an element to this place among its siblings, when it is not there."""
    slot = element.parent_slot
    if slot is not None and slot.children.index(element) != index:
        element.move(target_index=index)


class NamedValues(Part):
    """Rows of a name and a value, both free. A row without a name, or with a name that is taken, stays in the form."""

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        self._word = spec.item_word or _("value")
        self._touched = False
        self.rows: list[_Row] = []
        #: The values without a row, and how often rows were drawn for more of them.
        self._rest: dict[str, Json] = {}
        self._pages = 1
        with self.labelled(label, group=True).place:
            self._place = ui.element("div").classes("fp-list")
            self._more = MoreItems(owner, label or spec.title, self._show_more)
            if not owner.read_only:
                add = button(_("Add a {thing}").format(thing=self._word), self._add, icon="add", small=True)
                add.props["aria-label"] = _("Add a {thing} to {title}").format(
                    thing=self._word, title=label or spec.title
                )
        self.show()

    def key_of(self, inner: Part) -> str:
        """The name of the row with this value."""
        return next((row.name for row in self.rows if row.part is inner), "")

    def inner(self) -> Iterator[Part]:
        """The values of the rows that count."""
        return (row.part for row in self.rows if row.counts)

    @property
    def value(self) -> Json:
        """The object of the rows that count, and of the values without a row."""
        if not self._touched:
            return self.known
        drawn = {
            row.name: "" if isinstance(row.part.value, Absent) else row.part.value for row in self.rows if row.counts
        }
        return drawn | self._rest

    def unread(self) -> Iterator[tuple[str, str]]:
        """Typed text that cannot be read, also in rows without a name."""
        for row in self.rows:
            if not row.counts and (row.name or row.has_value):
                yield self.pointer, row.trouble
            yield from row.part.unread()

    def show(self) -> None:
        """Shows the known rows: each keeps its elements, and takes name and value."""
        value = self.known if isinstance(self.known, Mapping) else {}
        self._touched = False
        items = tuple(value.items())
        count = drawn_first(tuple(value.values()), self.owner.room, self._pages)
        for row in self.rows[count:]:
            row.element.delete()
        del self.rows[count:]
        for at, (name, one) in enumerate(items[:count]):
            if at < len(self.rows):
                self.rows[at].take(name, one)
            else:
                self._draw_row(name, one)
        self._leave_out(dict(items[count:]))
        self.judge()

    def _leave_out(self, values: dict[str, Json]) -> None:
        self._rest = values
        self._more.tell(len(values))

    def _show_more(self) -> None:
        """Draws rows for the next values; those that are there stay as they are."""
        self._pages += 1
        items = tuple(self._rest.items())
        count = drawn_first(tuple(self._rest.values()), self.owner.room, 1)
        for name, one in items[:count]:
            self._draw_row(name, one)
        self._leave_out(dict(items[count:]))
        self.judge()

    def inner_changed(self) -> None:
        """Remembers that somebody typed here, and what the value is now."""
        self._touched = True
        self.known = self.value

    def edited(self) -> None:
        """Called by a row after its name changed."""
        self.inner_changed()
        self.judge()
        self.tell()

    def judge(self) -> None:
        """Decides which rows count: the first of each name that no value without a row has."""
        taken = set(self._rest)
        for row in self.rows:
            row.judge(taken)
            taken.add(row.name)

    def remove(self, row: _Row) -> None:
        """Removes a row; the others stay as they are."""
        self.rows.remove(row)
        row.element.delete()
        self.edited()

    def _draw_row(self, name: str, value: Json) -> _Row:
        with self._place:
            row = _Row(self, name, value, len(self.rows) + 1, self._word)
        self.rows.append(row)
        return row

    def _add(self) -> None:
        row = self._draw_row("", ABSENT)
        row.box.run_method("focus")


class _Row:
    """One row of `NamedValues`."""

    def __init__(self, rows: NamedValues, name: str, value: Json, number: int, word: str) -> None:
        self.name, self.counts, self.trouble = name, bool(name), ""
        self._rows, self._left, self._quiet, self._shown = rows, bool(name), False, ""
        title, read_only = rows.spec.title, rows.owner.read_only
        with ui.element("div").classes("fp-item fp-item--named") as self.element:
            with ui.element("div").classes("fp-f"):
                self.box = box = ui.input(value=name, on_change=lambda event: self._named(event.value))
                box.props("outlined dense debounce=250 autocomplete=off spellcheck=false hide-bottom-space")
                box.props["placeholder"] = _("Name")
                box.props["aria-label"] = _("{title}, Name {number}").format(title=title, number=number)
                box.on("blur", self._leave, [])
                box.props.set_bool("readonly", read_only)
            spec = rows.spec.item
            assert spec is not None
            self.part = rows.owner.make(
                spec, rows, value, _("{title}, Value {number}").format(title=title, number=number)
            )
            if not read_only:
                icon_button(
                    "close",
                    _("Remove {word} {number}").format(word=word, number=number),
                    lambda: rows.remove(self),
                    tip=False,
                )

    @property
    def has_value(self) -> bool:
        """True when something was typed as the value."""
        return not isinstance(self.part.value, Absent) or any(self.part.unread())

    def take(self, name: str, value: Json) -> None:
        """Shows another name and value."""
        self._quiet, self.name = True, name
        self.box.value = name
        self._quiet = False
        self.part.take(value)

    def judge(self, taken: set[str]) -> None:
        """Decides whether the row counts, and says why not once its name was left."""
        self.trouble = ""
        if not self.name:
            self.trouble = _("Give this value a name.")
        elif self.name in taken:
            self.trouble = _("Another value has this name.")
        self.counts = not self.trouble
        shown = self.trouble if self._left and (self.name or self.has_value) else ""
        if shown != self._shown:  # an element is sent again with its value, so it is changed only when needed
            self._shown = shown
            self.box.props.set_bool("error", bool(shown))
            self.box.props.set_optional("error-message", shown or None)

    def _named(self, name: str | None) -> None:
        if not self._quiet:
            self.name = (name or "").strip()
            self._rows.edited()

    def _leave(self) -> None:
        self._left = True
        self._rows.judge()


def redraw_moved(part: Part) -> None:
    """Draws fields of the page again whose pointer changed, because the page keeps it."""
    if isinstance(part, Drawn) and part.drawn_at != part.pointer:
        part.show()
    for one in part.inner():
        redraw_moved(one)
