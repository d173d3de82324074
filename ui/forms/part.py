"""The part of a form: one field with its value, inside the part around it.

A form is a tree of parts. Each part keeps its own value and its elements from its creation to its removal: what happens
to one part draws no other part again, so the keyboard and what is being typed stay where they are. Values are put
together from the bottom to the top.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from nicegui import ui

from ui.forms.field import Field
from ui.forms.specs import ABSENT, FieldSpec, Json
from ui.forms.values import pointer_to, same
from ui.kit.text import _


class Owner(Protocol):
    """What parts need of the form they belong to (`ui.forms.form.Form`)."""

    types: bool
    read_only: bool
    json_views: bool
    #: Values that one list draws at first (`ui/forms/amounts.py`).
    room: int
    #: Titles of flows, datasets and the like, by their ids.
    titles: Mapping[str, str]
    #: Stores a file (name, media type as said, bytes) and returns its value; None where files cannot be kept.
    keep_file: Callable[[str, str, bytes], Awaitable[Json]] | None

    def make(self, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None) -> Part:
        """Draws a part into the current container. `label` replaces the title, and is for screen readers only."""
        ...

    def has_widget(self, spec: FieldSpec) -> bool:
        """True when the page draws this field itself."""
        ...

    def told(self, pointer: str, value: Json) -> None:
        """Called after a value changed."""


class Part:
    """One field. Subclasses draw it, and override what their kind needs."""

    #: The element that is moved and removed with the part.
    element: ui.element
    field: Field | None = None
    #: True for a part that shows its value by one inner part, which has the errors and the keyboard.
    is_view = False

    def __init__(self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json) -> None:
        self.owner = owner
        self.spec = spec
        self.around = around
        self.known: Json = value
        #: A sentence from elsewhere (a refusal, a problem of the flow).
        self.outside = ""

    # The value.

    @property
    def value(self) -> Json:
        """The value; ABSENT when there is none."""
        return self.known

    @property
    def pointer(self) -> str:
        """Where the value stands in the form's value."""
        return self.around.pointer_of(self) if self.around else ""

    def pointer_of(self, inner: Part) -> str:
        """Where the value of an inner part stands."""
        return pointer_to(self.pointer, self.key_of(inner))

    def key_of(self, _inner: Part) -> str | int:
        """The key or index of an inner part."""
        raise NotImplementedError

    def inner(self) -> Iterator[Part]:
        """The parts inside this one."""
        return iter(())

    def at(self, key: str) -> Part | None:
        """The inner part with this key or index."""
        return next((one for one in self.inner() if str(self.key_of(one)) == key), None)

    def unfold(self, key: str) -> None:
        """Makes the inner part with this key or index visible."""

    def take(self, value: Json) -> None:
        """Shows a value that was changed elsewhere. Where it is the known one, typed text stays as it is."""
        if not same(value, self.known):
            self.known = value
            self.outside = ""
            self.show()

    def show(self) -> None:
        """Shows the known value in the elements of the part."""

    def respec(self, spec: FieldSpec) -> bool:
        """Takes another description of the field. False when the part must be drawn anew for it."""
        return spec == self.spec

    def tell(self) -> None:
        """Tells the parts around and the form that the value changed."""
        around = self.around
        while around is not None:
            around.inner_changed()
            around = around.around
        self.owner.told(self.pointer, self.value)

    def inner_changed(self) -> None:
        """Called after an inner part changed."""

    def complete(self) -> None:
        """Completes what was typed, here and in the parts inside, before the values are used."""
        for one in self.inner():
            one.complete()

    # What is wrong.

    def unread(self) -> Iterator[tuple[str, str]]:
        """Pointer and sentence of each typed text that cannot be read."""
        for one in self.inner():
            yield from one.unread()

    def mark(self, text: str) -> None:
        """Shows a sentence from elsewhere at this part; "" removes it."""
        self.outside = text
        self.show_error()

    def show_error(self) -> None:
        """Shows what is wrong."""
        if self.field is not None:
            self.field.error(self.outside)

    def focus(self) -> None:
        """Moves the keyboard focus into the part."""
        first = next(self.inner(), None)
        if first is not None:
            first.focus()
        elif self.field is not None:
            self.field.focus()

    def rename(self, label: str) -> None:
        """Gives the part another name for screen readers, after it moved in its list."""
        if self.field is not None:
            self.field.tell(label)

    def labelled(self, label: str | None, *, group: bool = False) -> Field:
        """Draws the label; the control is drawn into its `place`."""
        type_text = ""
        if self.owner.types and label is None:
            spec = self.spec
            needed = spec.required and spec.default is ABSENT
            type_text = _("{type_word}, required").format(type_word=spec.type_word) if needed else spec.type_word
        unseen = label is not None
        help_text = "" if unseen else self.spec.help
        self.field = Field(label or self.spec.title, type_text, help_text, group=group, unseen=unseen)
        self.element = self.field
        return self.field
