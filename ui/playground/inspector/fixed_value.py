"""Fields that take no data of earlier steps, and the form widget `text`: the value of a rule, which is the same in each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from ui.forms.specs import FieldSpec, Json
from ui.kit import feedback
from ui.kit.parts import words
from ui.kit.text import _

if TYPE_CHECKING:
    from ui.forms.form import Form

#: An attribute of what takes no data, for `assets/components/data_list.js`, and its two values.
ATTRIBUTE, SETTING, RULE = "data-fixed", "setting", "rule"
_FIXED = _("This value is fixed.")
_INSTEAD = _("To compare with data of another step use Look up a row or Condition.")


def draw_fixed_value(form: Form, spec: FieldSpec, pointer: str, _value: Json) -> None:
    """Draws the text box, and what to use instead while something like `{{ }}` stands in it."""
    box = form.draw_input(spec, pointer, spec.title)
    assert isinstance(box, ui.input)
    box.props[ATTRIBUTE] = RULE
    hint = words(f"{_FIXED} {_INSTEAD}", "fp-hint fp-warn", tag="p")
    hint.bind_visibility_from(box, "value", lambda text: "{{" in str(text or ""))


def say_fixed(what: str) -> None:
    """Says why data that was clicked went nowhere. `what`: SETTING or RULE, of the field that has the keyboard."""
    if what == RULE:
        feedback.told(_FIXED, _INSTEAD, symbol="info")
    else:
        feedback.told(_("This field takes no data of earlier steps."), symbol="info")
