"""What an Extract Pattern finds, chosen in words: the choice writes the pattern below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nicegui import ui

from engine.flow.common_patterns import Choice, Kind, choice_of, pattern_for
from ui.forms.field import Field
from ui.kit.text import _

_CHOICES: Final[dict[Kind, str]] = {
    "number": _("A number, like 12 or 39.90"),
    "amount_after": _("An amount after a word, like “Price: 39.90”"),
    "words": _("Certain words, like “in stock”"),
    "email": _("An e-mail address"),
    "address": _("A web address"),
    "date": _("A date, like 2026-01-31 or 31.1.2026"),
    "code": _("A code, like AB-1234"),
    "own": _("A pattern of your own"),
}
#: What a choice asks for: title, example and help.
_ASKED: Final[dict[Kind, tuple[str, str, str]]] = {
    "amount_after": (
        _("The word before the amount"),
        _("price:"),
        _("As it stands in the text. Capitals or not are the same."),
    ),
    "words": (_("The words"), _("in stock"), _("As they stand in the text. Capitals or not are the same.")),
    "code": (
        _("An example of the code"),
        "AB-1234",
        _("Codes with letters and digits at the same places are found."),
    ),
}


class PatternChoice:
    """Draws the choice. `pattern`: the pattern of the node; `write`: puts another one into its field."""

    def __init__(self, pattern: Callable[[], str], write: Callable[[str], object], *, readonly: bool) -> None:
        self._pattern, self._write = pattern, write
        self._seen = pattern()
        chosen = choice_of(self._seen)
        self._quiet = False
        field = Field(_("What to find"), "", _("Writes the pattern below for you."))
        with field.place:
            self._pick = ui.select(
                dict(_CHOICES), value=chosen.kind if self._seen else None, on_change=lambda _event: self._picked()
            )
            self._pick.props("outlined dense options-dense").classes("w-full")
            self._pick.props.set_bool("readonly", readonly)
            self._pick.props["placeholder"] = _("Choose, or write a pattern")
            field.control(self._pick)
        self._asked = Field("")
        with self._asked.place:
            self._words = ui.input(value=chosen.words, on_change=lambda _event: self._put())
            self._words.props("outlined dense debounce=250 autocomplete=off spellcheck=false")
            self._words.props.set_bool("readonly", readonly)
            self._asked.control(self._words)
        self._ask()

    def follow(self) -> None:
        """Shows the choice that writes the pattern, which was changed elsewhere."""
        pattern = self._pattern()
        if pattern == self._seen:
            return
        self._seen = pattern
        chosen = choice_of(pattern)
        self._quiet = True
        self._pick.value = chosen.kind if pattern else None
        self._words.value = chosen.words
        self._quiet = False
        self._ask()

    def _picked(self) -> None:
        self._ask()
        if self._quiet:
            return
        if self._pick.value in _ASKED:
            self._quiet, self._words.value = True, ""
            self._quiet = False
            self._words.run_method("focus")
        self._put()

    def _put(self) -> None:
        kind: Kind | None = self._pick.value
        if not self._quiet and kind is not None and (made := pattern_for(Choice(kind, self._words.value or ""))):
            self._seen = made
            self._write(made)

    def _ask(self) -> None:
        asked = _ASKED.get(self._pick.value) if self._pick.value else None
        self._asked.visible = asked is not None
        if asked is not None:
            title, example, said = asked
            self._asked.tell(title, "", said)
            self._words.props["placeholder"] = example
