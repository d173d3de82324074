"""Parts of a step that the Run panel and the inspector share: choice of the item, facts, value."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.core.lone_surrogates import whole_utf8
from engine.flow.document import Document, Node
from engine.flow.edits import Op
from storage.jobs import StoredValue
from storage.steps import StepRow
from ui.kit.parts import button, icon, icon_button, status_badge, words
from ui.kit.text import Reader, _, cost, duration, number, plural, tokens
from ui.parts.job_words import step_words
from ui.parts.value_view import answer_view
from ui.playground.run.value_actions import pointing


def item_pager(
    steps: Sequence[StepRow],
    at: int,
    go: Callable[[int], Awaitable[None]],
    reader: Reader,
    *,
    total: int | None,
    name: str = "",
) -> None:
    """Draws the choice of a list item: previous, next, by number, next failed.

    `steps` are those of the items that reached the node, which may be fewer than the `total` items of the list; None:
    their number is not known, and those that came are counted.
    """
    last = len(steps) - 1
    place = steps[at].index[-1] if steps[at].index else at

    async def go_to(text: str) -> None:
        if text.isdecimal():
            around = steps[at].index[:-1]
            same = [number for number, step in enumerate(steps) if step.index[:-1] == around] or [at]
            await go(min(same, key=lambda number: abs(_item_number(steps, number) - int(text))))

    async def next_failed() -> None:
        failed = [place for place, step in enumerate(steps) if step.error]
        await go(next((place for place in failed if place > at), failed[0]))

    with ui.element("div").classes("fp-row fp-pager").props("role=group") as row:
        row.props["aria-label"] = _("Items {name}").format(name=name).strip()
        before = icon_button("chevron_left", _("Item before"), lambda: go(at - 1), tip=False)
        before.set_enabled(at > 0)
        outer = "".join(f"{number(part + 1, reader)} · " for part in steps[at].index[:-1])
        said = _("item {place} of {total}").format(
            place=f"{outer}{number(place + 1, reader)}", total=number(max(total or len(steps), place + 1), reader)
        )
        words(said, "fp-num fp-b fp-nw").props("role=status")
        after = icon_button("chevron_right", _("Next item"), lambda: go(at + 1), tip=False)
        after.set_enabled(at < last)
        if last > 3:
            box = ui.input(placeholder=_("No.")).props("outlined dense inputmode=numeric autocomplete=off")
            box.classes("fp-item-no").props["aria-label"] = _("Go to item")
            box.on("keydown.enter", lambda: go_to(str(box.value or "").strip()))
        words("", "fp-sp")
        failed = sum(step.error is not None for step in steps)
        if failed:
            button(
                _("Next failed ({failed})").format(failed=number(failed, reader)), next_failed, kind="link", small=True
            )


def _item_number(steps: Sequence[StepRow], at: int) -> int:
    index = steps[at].index
    return (index[-1] if index else at) + 1


def step_facts(step: StepRow, reader: Reader) -> None:
    """Draws status, time, tries, tokens, cost and warnings."""
    said = [] if step.reused or step.ended_at is None else [duration((step.duration_ms or 0) / 1000, reader)]
    if step.tries > 1:
        said.append(plural(step.tries, _("try"), _("tries"), reader))
    if step.model_calls:
        said.append(tokens(step.input_tokens + step.output_tokens, reader))
        said.append(cost(None if step.cost_nanos is None else step.cost_nanos / 1e9, reader))
    with ui.element("div").classes("fp-row fp-wrap-row fp-s12 fp-t2"):
        status_badge(*step_words(step))
        if step.simulated:
            status_badge("simulated")
        words(" · ".join(said), "fp-num")
    for warning in step.warnings:
        with ui.element("p").classes("fp-warn fp-s12 fp-row"):
            icon("warning", size=14)
            words(warning)


def step_value(
    stored: StoredValue,
    step: StepRow,
    name: str,
    *,
    title: str,
    reader: Reader,
    document: Callable[[], Document] | None = None,
    edit: Callable[[Sequence[Op]], Awaitable[Any]] | None = None,
) -> None:
    """Draws a stored input or output with its download.

    With `edit` and `document` its parts can be selected and reused.
    """
    file = f"{step.node_id}-{name}{'-' + step.index_path.replace('/', '-') if step.index_path else ''}"
    pick = None
    if edit is not None and document is not None and not stored.cut:
        if not isinstance(stored.value, dict | list):
            words(_("Use this value:"), "fp-s12 fp-t3")
        else:
            words(_("Click a name to return its value or to use it in another step."), "fp-s12 fp-t3", tag="p")
        strip, pick = pointing(document, step.node_id, edit)
        if strip is not None and pick is not None:
            pick(())
    answer_view(stored.value, label=title, download=downloading(stored.value, file), on_pick=pick, reader=reader)
    if stored.cut:
        words(_("Only the beginning of this value was kept."), "fp-s12 fp-t3", tag="p")


def downloading(value: Any, name: str) -> Callable[[], None]:
    """Returns a handler that sends a value as a file of this name: text unchanged, everything else as JSON."""

    def download() -> None:
        whole = isinstance(value, str)
        text = value if whole else json.dumps(value, ensure_ascii=False, indent=2)
        ui.download.content(whole_utf8(text), f"{name}.{'txt' if whole else 'json'}")

    return download


def nothing_words(step: StepRow, name: str) -> str:
    """The reason why there is no value."""
    if step.status == "skipped":
        return _("This step was skipped in the last run.")
    if not step.ended_at:
        return _("This step is still running.")
    return _("No input was kept.") if name == "input" else _("Nothing came out.")


def node_title(node: Node | None, node_id: str) -> str:
    """The label of a node; the id of a deleted node."""
    return node.name if node is not None else node_id
