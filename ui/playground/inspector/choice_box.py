"""The list in which a node's settings name one thing of the workspace: a dataset, a collection, a flow, a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from ui.forms.specs import FieldSpec

if TYPE_CHECKING:
    from ui.forms.form import Form

#: From so many entries on, the list can be searched by typing.
_MANY = 11


def choice_box(
    form: Form,
    spec: FieldSpec,
    options: Mapping[str, str],
    chosen: Any,
    pick: Callable[[Any], object],
    *,
    none: str = "",
) -> None:
    """Draws the list. `options`: id -> name; `pick` is called with the chosen id. `none`: what stands in an empty list.
    While nothing is chosen, Enter in the opened list chooses its first entry.
    Of a value that is none of them, like a number in a step that was pasted, nothing is shown.
    """
    value = chosen if isinstance(chosen, str) and chosen in options else None
    box = ui.select(
        dict(options), value=value, on_change=lambda event: pick(event.value), with_input=len(options) >= _MANY
    )
    box.props("outlined dense options-dense").classes("w-full")
    box.props["aria-label"] = spec.title
    if none and not options:
        box.props["placeholder"] = none
    box.props.set_bool("readonly", form.read_only)
    list_now = f"getElement({box.id}).$refs.qRef"
    box.on("popup-show", js_handler=f"() => setTimeout(() => {list_now}.modelValue ?? {list_now}.setOptionIndex(0))")
