"""One labelled field: a label with its type, room for a control, help and an error.

Help and errors are connected to the control for screen readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from nicegui import ui

from ui.kit.parts import button, icon, sentence, words
from ui.kit.text import _

E = TypeVar("E", bound=ui.element)


class Field(ui.element):
    """A label with room for one control, help and an error.

    Create the control in `place` and hand it to `control`:

        field = Field(_("Title"))
        with field.place:
            box = field.control(ui.input())

    `group`: it holds several controls, and the label names them together. `unseen`: the label is for screen readers only.
    """

    def __init__(
        self, label: str, type_text: str = "", help_text: str = "", *, group: bool = False, unseen: bool = False
    ) -> None:
        super().__init__("div")
        self.classes("fp-f")
        with self:
            self._label = words(label, "fp-lab" if group else "", tag="div" if group else "label")
            self._label.classes("fp-hide" if unseen else "")
            self._place = ui.element("div")
            with ui.element("p").classes("fp-hint fp-bad") as self._error:
                icon("error", size=14)
                self._error_text = words("")
            self._error.visible = False
        self._control: ui.element | None = None
        self._help: ui.element | None = None
        self._offers: ui.element | None = None
        self._offered: tuple[str, ...] = ()
        self.tell(label, type_text, help_text)
        if group:
            self._place.props("role=group")
            self._place.props["aria-labelledby"] = self._label.html_id

    @property
    def place(self) -> ui.element:
        """The container of the control."""
        return self._place

    def tell(self, label: str, type_text: str = "", help_text: str = "") -> None:
        """Changes the label, the type and the help text."""
        self._label.text = label
        self._label.clear()
        if type_text:
            with self._label:
                words(type_text, "fp-t3")
        if self._help is not None:
            self._help.delete()
        self._help = None
        if help_text:
            with self:
                self._help = sentence(help_text, "fp-hint")
            self._help.move(target_index=2)
        self._describe()

    def control(self, element: E) -> E:
        """Connects label, help and error to the control for screen readers."""
        self._control = element
        element.props["for"] = f"{element.html_id}-in"
        self._label.props["for"] = f"{element.html_id}-in"
        # Quasar sets aria-labelledby on a wrapper of a select's input, which `for` labels already
        if not isinstance(element, ui.select):
            element.props["aria-labelledby"] = self._label.html_id
        self._describe()
        return element

    def error(self, text: str) -> None:
        """Shows a sentence under the control; "" removes it.

        An equal sentence changes nothing, because a changed element is sent again with its value, also when that is a
        password.
        """
        if text == self._error_text.text:
            return
        self._error_text.text = text
        self._error.visible = bool(text)
        if self._control is not None:
            self._control.classes(add="fp-is-bad") if text else self._control.classes(remove="fp-is-bad")
            self._control.props.set_bool("aria-invalid", "true" if text else None)
            self._describe()

    def offer(self, texts: Sequence[str], take: Callable[[str], None]) -> None:
        """Shows a button for each text that may have been meant, below the error; none for no text."""
        if tuple(texts) == self._offered:
            return
        self._offered = tuple(texts)
        if self._offers is not None:
            self._offers.delete()
            self._offers = None
        if not texts:
            return
        with self, ui.element("div").classes("fp-row fp-wrap-row fp-offers") as self._offers:
            for text in texts:
                button(_("Use {text}").format(text=text), lambda text=text: take(text), small=True)

    def _describe(self) -> None:
        if self._control is None:
            return
        ids = [one.html_id for one in (self._help, self._error if self._error.visible else None) if one is not None]
        self._control.props.set_optional("aria-describedby", " ".join(ids) or None)

    def focus(self) -> None:
        """Moves the keyboard focus into the control, or into the first one of several."""
        if self._control is not None:
            self._control.run_method("focus")
        else:
            first = f"getHtmlElement({self.place.id})?.querySelector('input, textarea, button')"
            self.client.run_javascript(f"{first}?.focus()")
