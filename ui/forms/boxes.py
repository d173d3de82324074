"""Parts of a form with one control: a text box, a choice, a switch, and a field that the page draws itself.

A box shows what is wrong with it once it was left or a button was pressed, not while somebody is typing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace
from nicegui import ui
from nicegui.events import GenericEventArguments

from ui.forms.number_texts import numbers_meant
from ui.forms.part import Owner, Part
from ui.forms.specs import ABSENT, Absent, FieldSpec, Json
from ui.forms.values import completed_address, parse, problem_of
from ui.kit.parts import sentence
from ui.kit.text import _

#: Browser handler: text of several lines is handed to the server, which makes an item of each line.
_SEVERAL_LINES = """(event) => {
  const text = event.clipboardData?.getData("text/plain") ?? event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
  if (!/[\\r\\n]/.test(text.trim())) return;
  event.preventDefault();
  const box = event.target, from = box.selectionStart, to = box.selectionEnd;
  const rest = from === to ? null : box.value.slice(0, from) + box.value.slice(to);
  emit({ text: text.slice(0, 1000000), rest });
}"""
#: Browser handler: Enter goes on to the next item; with Shift it begins a line.
_ENTER = """(event) => {
  if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.isComposing) return;
  event.preventDefault();
  event.stopPropagation();
  emit();
}"""
#: Browser handler: an example is selected when the box is first entered, so that what is typed replaces it. A press sets
#: the caret after the focus.
_SELECT_ONCE = """(event) => {
  const box = event.target;
  if (box.dataset.entered) return;
  box.dataset.entered = "true";
  if (!box.matches(":active")) return box.select();
  const was = box.value;  // a press puts the caret somewhere after the focus came
  const select = () => {
    if (box.value === was && box.selectionStart === box.selectionEnd) box.select();
  };
  box.addEventListener("click", select, { once: true });
  box.addEventListener("blur", () => box.removeEventListener("click", select), { once: true });  // it may end elsewhere
}"""
_LONG = frozenset({"textarea", "code", "json"})
_PLAIN = frozenset({"code", "json", "number", "integer"})


class Box(Part):
    """A text box for text, numbers or JSON. Text that cannot be read stays in it, and the last value that could."""

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        self.wrong = ""  #: why the typed text cannot be read
        self.left = False  #: true once the box was left after something was typed
        self._touched = self._quiet = False
        field = self.labelled(label)
        with field.place:
            self.box = field.control(self._draw())

    def _draw(self) -> ui.input | ui.textarea:
        spec, shown = self.spec, as_text(self.spec, self.known)
        box: ui.input | ui.textarea
        if spec.kind in _LONG:
            box = ui.textarea(value=shown).props("autogrow").classes("fp-mono" if spec.kind in {"code", "json"} else "")
        else:
            box = ui.input(value=shown, password=spec.secret)
        box.on_value_change(lambda event: self._typed(event.value))
        box.on("blur", self._leave, [])
        box.props("outlined dense debounce=250")
        if not self.owner.read_only:
            box.props["placeholder"] = spec.example
        if spec.kind in {"number", "integer"}:
            box.props(f"inputmode={'numeric' if spec.kind == 'integer' else 'decimal'}")
        if spec.kind in _PLAIN or spec.is_address:
            box.props("autocomplete=off autocapitalize=off spellcheck=false")
        if self.owner.read_only:
            box.props("readonly")
        if spec.made_up:
            box.on("focus", js_handler=_SELECT_ONCE)
        return box

    def as_item(self, paste: Callable[[str, str | None], Any], enter: Callable[[], Any]) -> None:
        """Makes the box an item of a list: pasted lines become items, and Enter goes on to the next one.

        `paste` gets the lines, and what is left in the box of a text that was marked; None when nothing was.
        """

        def lines(event: GenericEventArguments) -> None:
            rest = event.args["rest"]
            paste(str(event.args["text"]), None if rest is None else str(rest))

        # keyboards of phones and programs that type for somebody put text in without a paste
        for name in ("paste", "beforeinput"):
            self.box.on(name, lines, js_handler=_SEVERAL_LINES)
        self.box.on("keydown", lambda _event: enter(), js_handler=_ENTER)

    def write(self, text: str) -> None:
        """Puts text into the box as if it was typed, without telling the form: the caller does, once for all boxes."""
        self._touched = self.left = self._quiet = True
        self.box.value = text
        self._quiet = False
        self._read(text)
        self.show_error()

    def _typed(self, text: str | None) -> None:
        if self._quiet:
            return
        self._touched = True
        self.outside = ""
        self._read(text or "")
        if not self.wrong:
            self.tell()
        self.show_error()

    def _read(self, text: str) -> None:
        parsed, self.wrong = parse(self.spec, text)
        if not self.wrong:
            self.known = parsed

    def _leave(self) -> None:
        self.complete()
        self.left = self.left or self._touched
        self.show_error()

    def complete(self) -> None:
        """Writes a web address in full that was typed without `https://`."""
        if self.spec.is_address and isinstance(self.known, str) and not self.owner.read_only:
            whole = completed_address(self.known)
            if whole != self.known:
                self.box.value = whole

    def own_error(self) -> str:
        """What is wrong with the typed text or its value."""
        return self.wrong or ("" if isinstance(self.known, Absent) else problem_of(self.spec, self.known))

    def show_error(self) -> None:
        """Shows a sentence from elsewhere, else the own one when the box was left."""
        own = self.own_error()
        if not own:
            self.left = False  # it was mended: the next mistake is told when the box is left again
            self._touched = False
        if self.field is not None:
            shown = self.outside or (own if self.left else "")
            self.field.error(shown)
            self.field.offer(self._meant() if shown and shown == self.wrong else (), self._take_offer)

    def _meant(self) -> tuple[str, ...]:
        """The numbers that a text with a comma may mean."""
        kind = self.spec.kind
        return numbers_meant(self.box.value or "", whole=kind == "integer") if kind in {"number", "integer"} else ()

    def _take_offer(self, text: str) -> None:
        self.box.value = text
        self.focus()

    def show(self) -> None:
        """Shows the known value, which came from elsewhere, in the box."""
        self.wrong = ""
        self._quiet = True
        self.box.value = as_text(self.spec, self.known)
        self._quiet = False
        self.show_error()

    def unread(self) -> Iterator[tuple[str, str]]:
        """Pointer and sentence of the typed text when it cannot be read."""
        if self.wrong:
            yield self.pointer, self.wrong

    def focus(self) -> None:
        """Moves the keyboard focus into the box."""
        self.box.run_method("focus")


class Choice(Part):
    """A choice among given values."""

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, label: str | None = None
    ) -> None:
        super().__init__(owner, spec, around, value)
        self._options: dict[Any, str] = dict(spec.choices)
        self._none = _("Not set")
        self._free = not spec.required and (spec.default in (ABSENT, None) or spec.nullable)
        labels = ([self._none] if self._free else []) + list(self._options.values())
        self._quiet = False
        field = self.labelled(label)
        with field.place:
            self.pick = ui.select(labels, value=self._word(), on_change=lambda event: self._picked(event.value))
            self.pick.props("outlined dense options-dense").classes("w-full")
            if owner.read_only:
                self.pick.props("readonly")
            field.control(self.pick)

    def _word(self) -> str | None:
        chosen = self.spec.default if isinstance(self.known, Absent) else self.known
        found = self._options.get(chosen) if isinstance(chosen, str | int | float | bool) else None
        return found or (self._none if self._free else None)

    def _picked(self, word: str | None) -> None:
        if self._quiet:
            return
        self.known = next((one for one, text in self._options.items() if text == word), ABSENT)
        self.mark("")
        self.tell()

    def show(self) -> None:
        """Shows the known value."""
        self._quiet = True
        self.pick.value = self._word()
        self._quiet = False
        self.show_error()


class Switch(Part):
    """Yes or no as a switch beside its title."""

    def __init__(self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json) -> None:
        super().__init__(owner, spec, around, value)
        self._quiet = False
        with ui.element("div").classes("fp-f") as self.element:
            self.toggle = ui.switch(
                spec.inverted or spec.title,
                value=self._is_on(),
                on_change=lambda event: self._turned(bool(event.value)),
            )
            if owner.read_only:
                self.toggle.disable()
            if spec.help:
                hint = sentence(spec.help, "fp-hint")
                self.toggle.props["aria-describedby"] = hint.html_id

    def _is_on(self) -> bool:
        value = self.known if isinstance(self.known, bool) else self.spec.default is True
        return value is not bool(self.spec.inverted)

    def _turned(self, on: bool) -> None:  # noqa: FBT001 - bound to a switch
        if not self._quiet:
            self.known = on is not bool(self.spec.inverted)
            self.tell()

    def show(self) -> None:
        """Shows the known value."""
        self._quiet = True
        self.toggle.value = self._is_on()
        self._quiet = False


class Drawn(Part):
    """A field that the page draws: `draw(part)` draws it into the current container.

    The page stores values by `Form.change`, or draws a text box of the form (`Form.draw_input`), which stores its own.
    """

    def __init__(
        self, owner: Owner, spec: FieldSpec, around: Part | None, value: Json, draw: Callable[[Drawn], None]
    ) -> None:
        super().__init__(owner, spec, around, value)
        self._draw = draw
        self._box: Box | None = None
        self.drawn_at = ""
        self._place = self.labelled(None, group=True).place
        self.show()

    def pointer_of(self, inner: Part) -> str:
        """The box holds the value of the field."""
        return self.pointer

    def inner(self) -> Iterator[Part]:
        """The box, when there is one."""
        return iter(() if self._box is None else (self._box,))

    def at(self, key: str) -> None:
        """Nothing: the page knows what is inside."""
        return

    def draw_box(self, label: str) -> ui.element:
        """Draws a text box for the value; `label` is its name for screen readers."""
        self._box = Box(self.owner, replace(self.spec, widget=""), self, self.known, label)
        self._box.box.props.set_optional("aria-labelledby", None)
        self._box.box.props["aria-label"] = label
        return self._box.box

    def inner_changed(self) -> None:
        """Takes what is written in the box."""
        if self._box is not None:
            self.known = self._box.value

    def put(self, value: Json) -> None:
        """Stores a value that the page reports."""
        self.known = value
        self.outside = ""
        self.show_error()
        self.tell()

    def show(self) -> None:
        """Draws the field for the known value. A box takes it as it is."""
        if self._box is not None:
            self._box.take(self.known)
            return
        self.drawn_at = self.pointer
        self._place.clear()
        with self._place:
            self._draw(self)


def as_text(spec: FieldSpec, value: Json) -> str:
    """The text that a box shows for a value."""
    if isinstance(value, Absent) or (value is None and spec.kind != "json"):
        value = ABSENT if spec.default in (ABSENT, None) else spec.default
    if isinstance(value, Absent):
        return ""
    if isinstance(value, str) and spec.kind != "json":
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if spec.kind == "json" else None)
