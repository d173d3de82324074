"""Parts of a form with items: one box per item, or one block per item with fields.

Adding, removing and moving an item changes its own row only. The list is told as a whole, typing as one item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace
from nicegui import ui

from engine.flow.agent_kinds import tool_words
from ui.forms.amounts import drawn_first
from ui.forms.boxes import Box
from ui.forms.file_box import FileBox
from ui.forms.groups import Group, redraw_moved
from ui.forms.more_items import MoreItems
from ui.forms.part import Owner, Part
from ui.forms.row_buttons import RowButtons, moved
from ui.forms.specs import (
    ABSENT,
    ONE_OF,
    Absent,
    FieldSpec,
    Json,
    as_shown,
    describes_field,
    describes_tool,
    fields_for,
)
from ui.forms.values import lines_of, pointer_to
from ui.kit.feedback import told
from ui.kit.parts import button, drop_menu, icon, menu_item, words
from ui.kit.text import _, type_word

#: Lines that are taken from one paste.
_MAX_LINES = 1000


class ItemList(Part):
    """A list with a row for each item. A row in which nothing was written is no item yet.

    The last items of a large list have no rows. What is added stands before them.
    """

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        self.title = label or spec.title
        self.word = spec.item_word or (_("field") if describes_field(spec) else _("item"))
        self.rows: list[_Row] = []
        #: The items without a row, and how often rows were drawn for more of them.
        self._rest: Sequence[Json] = ()
        self._pages = 1
        self._touched = False
        self._add_button: ui.button | None = None
        self._remove_all: ui.button | None = None
        with self.labelled(label, group=True).place:
            self._place = ui.element("div").classes("fp-list")
            self._more = MoreItems(owner, self.title, self._show_more)
            if not owner.read_only:
                text = _add_text(self.word)
                kinds = _kinds_of_tools(spec)
                with ui.element("div").classes("fp-row fp-wrap-row"):
                    self._add_button = button(text, None if kinds else self.add, icon="add", small=True)
                    if spec.kind == "list" and not self._of_files:
                        self._remove_all = button(_("Remove all"), self.clear, kind="quiet", small=True)
                if kinds:
                    self._add_button.props("aria-haspopup=menu")
                    with self._add_button, drop_menu(text):
                        for kind, words_of in kinds:
                            menu_item(words_of, lambda kind=kind: self._begin_with({"kind": kind}))
                if label is not None:
                    self._add_button.props["aria-label"] = f"{text}, {label}"
                if self._remove_all is not None:
                    self._remove_all.props["aria-label"] = _("Remove all, {title}").format(title=self.title)
        self.show()

    # The value.

    @property
    def value(self) -> Json:
        """The items of the rows in which something was written, and those without a row."""
        if not self._touched:
            return self.known
        return [*(row.value for row in self.rows if not isinstance(row.value, Absent)), *self._rest]

    def key_of(self, inner: Part) -> int:
        """The index of the item among those that count. A row in which nothing was written has the next one."""
        return self.place_of(next((row for row in self.rows if row.part is inner), None))

    def place_of(self, wanted: _Row | None) -> int:
        """The index of a row's item among those that count; that of the next one for a row that is not in the list."""
        before = 0
        for row in self.rows:
            if row is wanted:
                break
            before += not isinstance(row.value, Absent)
        return before

    def inner(self) -> Iterator[Part]:
        """The parts of the rows."""
        return (row.part for row in self.rows if row.part is not None)

    def at(self, key: str) -> Part | None:
        """The part of the item with this index; None while its block is folded."""
        row = self._counted(key)
        return row.part if row is not None and row.is_open else None

    def unfold(self, key: str) -> None:
        """Unfolds the block of the item."""
        if (row := self._counted(key)) is not None:
            row.open(unfold=True)

    def _counted(self, key: str) -> _Row | None:
        counted = [row for row in self.rows if not isinstance(row.value, Absent)]
        return counted[int(key)] if key.isdigit() and int(key) < len(counted) else None

    def show(self) -> None:
        """Shows the known items: each row keeps its elements and takes its item."""
        items = self.known if isinstance(self.known, Sequence) and not isinstance(self.known, str) else ()
        self._touched = False
        count = drawn_first(items, self.owner.room, self._pages, folded=self.spec.kind == "objects")
        for row in self.rows[count:]:
            row.element.delete()
        del self.rows[count:]
        for at, item in enumerate(items[:count]):
            if at < len(self.rows):
                self.rows[at].take(item)
            else:
                self._draw_row(item)
        if not self.rows and self._of_files and not self.owner.read_only:
            self._draw_row(ABSENT)  # so that a file can be dropped at once
        self._leave_out(items[count:])
        self._number()

    def _leave_out(self, items: Sequence[Json]) -> None:
        self._rest = items
        self._more.tell(len(items))

    def _show_more(self) -> None:
        """Draws rows for the next items; those that are there stay as they are."""
        self._pages += 1
        count = drawn_first(self._rest, self.owner.room, 1, folded=self.spec.kind == "objects")
        for item in self._rest[:count]:
            self._draw_row(item)
        self._leave_out(self._rest[count:])
        self._number()

    def respec(self, spec: FieldSpec) -> bool:
        """Takes other fields for the blocks; what was typed in them stays."""
        if (spec.title, spec.help, spec.kind, spec.item) != (
            self.spec.title, self.spec.help, self.spec.kind, self.spec.item,
        ):  # fmt: skip
            return False
        self.spec = spec
        return all(row.respec(spec) for row in self.rows)

    def inner_changed(self) -> None:
        """Remembers that somebody typed here, and what the value is now."""
        self._touched = True
        self.known = self.value
        for row in self.rows:
            row.summarise()

    # What people do.

    def add(self) -> None:
        """Adds an empty row at the end and moves the keyboard into it."""
        self._begin_with(self._new_item())

    def _begin_with(self, item: Json) -> None:
        self._insert(len(self.rows), item)
        self.rows[-1].begin()

    def _new_item(self) -> Json:
        fresh = {one.name: one.new for one in self.spec.fields if not isinstance(one.new, Absent)}
        if describes_field(self.spec):
            return {"name": "", "type": "string", **fresh}
        return fresh or ABSENT

    @property
    def _of_files(self) -> bool:
        return self.spec.item is not None and self.spec.item.kind == "file"

    def enter(self, row: _Row) -> None:
        """Moves the keyboard from a row to the next one; after the last row it adds one."""
        at = self.rows.index(row)
        if at + 1 < len(self.rows):
            self.rows[at + 1].begin()
        else:
            self.add()

    def paste(self, row: _Row, text: str, rest: str | None = None) -> None:
        """Makes an item of each pasted line. They begin in this row when nothing stands in it, else after it.

        `rest`: what stays in this row, because a marked text in it is replaced; None: all of it.
        """
        lines = lines_of(text)
        if rest is not None:
            row.write(rest.strip())
        at = self.rows.index(row)
        if not row.is_empty:
            at += 1
            self._draw_row(ABSENT, at)
        for number, line in enumerate(lines[:_MAX_LINES]):
            if number:
                self._draw_row(ABSENT, at + number)
            self.rows[at + number].write(line)
        self._number()
        self._changed()
        if len(lines) > _MAX_LINES:
            told(
                _("The first 1,000 lines were taken."),
                _("A list this long is better sent by a program or kept in a dataset."),
            )

    def clear(self) -> None:
        """Removes all rows, and begins again with an empty one that has the keyboard."""
        for row in self.rows:
            row.element.delete()
        self.rows.clear()
        self._leave_out(())
        self._changed()
        self.add()

    def move(self, row: _Row, by: int) -> None:
        """Moves a row up or down."""
        if moved(self.rows, row, by):
            self._number()
            self._changed()

    def remove(self, row: _Row) -> None:
        """Removes a row."""
        self.rows.remove(row)
        row.element.delete()
        self._number()
        self._changed()

    def take_file(self, file: Json, turn: int) -> None:
        """Inserts a further file of those that were chosen together, which arrive in any order."""
        at = len(self.rows)
        while at and _turn_of(self.rows[at - 1]) > turn:
            at -= 1
        self._insert(at, file)
        if isinstance(part := self.rows[at].part, FileBox):
            part.turn = turn

    def _insert(self, at: int, item: Json) -> None:
        self._draw_row(item, at)
        self._number()
        if not isinstance(item, Absent):
            self._changed()

    def _changed(self) -> None:
        self._touched = True
        self.known = self.value
        self.tell()

    def _draw_row(self, item: Json, at: int | None = None) -> None:
        at = len(self.rows) if at is None else at
        with self._place:
            row = (_Block if self.spec.kind == "objects" else _Line)(self, item, at)
        if at < len(self.rows):
            row.element.move(target_index=at)
        self.rows.insert(at, row)

    def _number(self) -> None:
        """Gives each row its number after rows came, went or moved."""
        if self._remove_all is not None:
            self._remove_all.visible = len(self.rows) + len(self._rest) > 1
        for at, row in enumerate(self.rows):
            row.number(at, len(self.rows))
            if row.part is not None:
                redraw_moved(row.part)

    def rename(self, label: str) -> None:
        """Names the list and its rows by its new place."""
        self.title = label
        super().rename(label)
        for row in self.rows:
            row.numbered()

    def focus(self) -> None:
        """Moves the keyboard focus into the first row, or to what adds one."""
        if self.rows:
            self.rows[0].begin()
        elif self._add_button is not None:
            self._add_button.run_method("focus")


def _turn_of(row: _Row) -> int:
    return row.part.turn if isinstance(row.part, FileBox) else 0


class _Row:
    """What the rows of a list share: their buttons."""

    element: ui.element
    part: Part | None = None
    is_open = True

    def __init__(self, items: ItemList, at: int) -> None:
        self.items = items
        self._at, self._count = at, 0
        self._buttons: RowButtons | None = None

    @property
    def value(self) -> Json:
        """The item; ABSENT while nothing was written."""
        return self.part.value if self.part is not None else ABSENT

    @property
    def is_empty(self) -> bool:
        """True while nothing stands in the row, also nothing that cannot be read."""
        nothing = isinstance(self.value, Absent) or self.value == ""
        return nothing and not (self.part is not None and any(self.part.unread()))

    @property
    def name(self) -> str:
        """What the row is called: `item 2`."""
        return f"{self.items.word} {self._at + 1}"

    def open(self, *, unfold: bool) -> None:
        """Unfolds or folds the row, where it can be folded."""

    def take(self, item: Json) -> None:
        """Shows another item."""
        if self.part is not None:
            self.part.take(item)

    def begin(self) -> None:
        """Moves the keyboard focus into the row."""
        if self.part is not None:
            self.part.focus()

    def write(self, text: str) -> None:
        """Writes a pasted line into the row."""
        if isinstance(self.part, Box):
            self.part.write(text)

    def respec(self, spec: FieldSpec) -> bool:
        """Takes the description of the list's items."""
        return True

    def summarise(self) -> None:
        """Shows what the row holds, where that is shown apart."""

    def draw_buttons(self) -> None:
        """Draws the buttons that move and remove the row."""
        if not self.items.owner.read_only:
            self._buttons = RowButtons(lambda: self.items.remove(self), lambda by: self.items.move(self, by))

    def number(self, at: int, count: int) -> None:
        """Takes the row's place in the list."""
        if (at, count) == (self._at, self._count):
            return
        self._at, self._count = at, count
        if self._buttons is not None:
            self._buttons.name(self.name, at, count)
        self.numbered()

    def numbered(self) -> None:
        """Shows the new number."""


class _Line(_Row):
    """An item with a box of its own."""

    def __init__(self, items: ItemList, item: Json, at: int) -> None:
        super().__init__(items, at)
        spec = items.spec.item
        assert spec is not None
        if spec.kind == "text":
            spec = replace(spec, kind="textarea")  # a long text is wrapped
        with ui.element("div").classes("fp-item") as self.element:
            self.part = part = items.owner.make(spec, items, item, f"{items.title}, {self.name}")
            self.draw_buttons()
        if isinstance(part, FileBox):
            part.on_more = items.take_file
        if not isinstance(part, Box):
            self.element.classes("fp-item--big")
        elif not items.owner.read_only:
            part.as_item(lambda text, rest: items.paste(self, text, rest), lambda: items.enter(self))

    def numbered(self) -> None:
        """Names the box by its place."""
        if self.part is not None:
            self.part.rename(f"{self.items.title}, {self.name}")


class _Block(_Row):
    """An item with fields: a head that folds it, and its fields, drawn when it is first unfolded."""

    def __init__(self, items: ItemList, item: Json, at: int) -> None:
        super().__init__(items, at)
        self._item = item
        self.is_open = False
        with ui.element("div").classes("fp-block") as self.element:
            with ui.element("div").classes("fp-bh"):
                with ui.element("button").classes("fp-bt").props("type=button") as self._head:
                    icon("chevron_right", size=16)
                    self._name = words("", "fp-b fp-cut")
                    self._note = words("", "fp-t3 fp-cut")
                self._head.on("click", lambda: self.open(unfold=not self.is_open), [])
                self.draw_buttons()
            self._body = ui.element("div").classes("fp-bb")
        self.open(unfold=isinstance(item, Absent))
        self.summarise()

    @property
    def value(self) -> Json:
        """The object; an item that was only added counts once something was written in it."""
        if self.part is None:
            return self._item
        value = self.part.value
        return ABSENT if isinstance(self._item, Absent) and not value else value

    def drawn(self) -> Part:
        """The fields of the block, drawn if they are not yet."""
        if self.part is None:
            spec = self.items.spec
            inside = FieldSpec(name="", title="", kind="group", type_word=spec.type_word, fields=spec.fields)
            with self._body:
                self.part = Group(self.items.owner, inside, _InBlock(self.items, self), self._item)
        return self.part

    def take(self, item: Json) -> None:
        """Shows another object."""
        self._item = item
        super().take(item)
        self.summarise()

    def begin(self) -> None:
        """Unfolds the block and moves the keyboard into its first field."""
        self.open(unfold=True)
        self.drawn().focus()

    def write(self, text: str) -> None:
        """Not called: lines are pasted into boxes."""

    def respec(self, spec: FieldSpec) -> bool:
        """Takes other fields."""
        if self.part is None:
            return True
        part = self.part
        return part.respec(FieldSpec(name="", title="", kind="group", type_word=spec.type_word, fields=spec.fields))

    def numbered(self) -> None:
        """Shows the number where the object has no name of its own."""
        self.summarise()

    def open(self, *, unfold: bool) -> None:
        """Unfolds or folds the block."""
        self.is_open = unfold
        if unfold:
            self.drawn()
        self._head.props["aria-expanded"] = "true" if unfold else "false"
        self._body.visible = unfold

    def summarise(self) -> None:
        """Shows name and type, or what is written in the block."""
        spec, value = self.items.spec, self.value
        item: Mapping[str, Json] = value if isinstance(value, Mapping) else {}
        name, about = summary_of(spec, item, self.items.owner.titles)
        name = name or f"{self.items.word.capitalize()} {self._at + 1}"
        if (name, about) != (self._name.text, self._note.text):
            self._name.text, self._note.text = name, about


class _InBlock(Part):
    """Stands between a list and the fields of one block, which have the block's place in the list."""

    def __init__(self, items: ItemList, row: _Row) -> None:
        super().__init__(items.owner, items.spec, items, ABSENT)
        self._items, self._row = items, row

    def pointer_of(self, inner: Part) -> str:
        """The place of the item, also while its fields are being drawn."""
        return pointer_to(self._items.pointer, self._items.place_of(self._row))


def summary_of(
    spec: FieldSpec, item: Mapping[str, Json], titles: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, str]:
    """Name and description of an object: `url` and `Web address, required`, or the texts in it.

    `titles`: those of what its ids name.
    """
    if describes_tool(spec):
        return tool_words(item, titles)
    names = {one.name for one in spec.fields}
    chosen = {one.name: {str(value): word for value, word in one.choices} for one in spec.fields}
    texts = [
        chosen[one.name].get(str(item[one.name]), str(item[one.name]))
        for one in fields_for(spec, item)
        if isinstance(item.get(one.name), str | int | float)
        and not isinstance(item[one.name], bool)
        and item[one.name] != ""
    ]
    name = str(item.get("name") or item.get("title") or "") or (texts[0] if texts and "type" not in names else "")
    if "type" in names and describes_field(spec):
        kind = {"type": item.get("type") or "string", "format": item.get("format"), "items": item.get("items")}
        about = _("One of these words") if as_shown(spec, item).get("type") == ONE_OF else type_word(kind)
        return name, _("{about}, required").format(about=about) if item.get("required") else about
    return name, " ".join(text for text in texts if text != name)[:80]


def _kinds_of_tools(spec: FieldSpec) -> tuple[tuple[Json, str], ...]:
    """The kinds from which a tool that is added is chosen; none for other items."""
    return next((one.choices for one in spec.fields if one.name == "kind"), ()) if describes_tool(spec) else ()


def _add_text(word: str) -> str:
    if word[:1].lower() in "aeiou":
        return _("Add an {thing}").format(thing=word)
    return _("Add a {thing}").format(thing=word)
