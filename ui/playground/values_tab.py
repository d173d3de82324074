"""The tabs Input and Output: what went in and came out in the last run, item by item; every value of an output can be pointed at."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.document import Node
from engine.flow.edits import Op
from storage.jobs import StoredValue
from storage.steps import StepRow
from ui.look.code_view import value_view
from ui.look.feedback import error_card
from ui.look.frame import reader
from ui.look.parts import button, icon, icon_button, status_badge, words
from ui.look.text import _, cost, duration, number, tokens
from ui.playground.draft import OpenDraft
from ui.playground.last_run import LastRun
from ui.playground.point_at import pointing


class ValuesTab:
    """`item` is the place in the list that is shown; `on_item` is told another one."""

    def __init__(
        self,
        node: Node,
        name: str,
        *,
        draft: OpenDraft,
        last_run: LastRun,
        item: int,
        on_item: Callable[[int], Any],
        run: Callable[[], Awaitable[Any]] | None,
        edit: Callable[[Sequence[Op]], Awaitable[Any]] | None,
    ) -> None:
        self.node = node
        self.name = name
        self.draft = draft
        self.last_run = last_run
        self.item = item
        self.on_item = on_item
        self.run = run
        self.edit = edit
        self.reader = reader()
        self.place = ui.element("div").classes("fp-stack")

    async def draw(self) -> None:
        """Draws what the last run left; again after a run."""
        steps = await self.last_run.steps(self.node.id)
        step = steps[min(self.item, len(steps) - 1)] if steps else None
        stored = await self.last_run.value(step, self.name) if step else None
        if self.place.is_deleted:
            return
        self.place.clear()
        with self.place:
            if step is None:
                self._draw_nothing()
                return
            if len(steps) > 1:
                self._draw_pager(steps)
            self._draw_facts(step)
            if self.name == "output" and step.error:
                self._draw_error(step)
            elif stored is None:
                words(_nothing(step, self.name), "fp-t2", tag="p")
            else:
                self._draw_value(stored, step)

    def _draw_nothing(self) -> None:
        words(_("Run the flow to see what went in and what came out here."), "fp-t2", tag="p")
        if self.run is not None:
            with ui.element("div"):
                button(_("Run this node"), self.run, icon="play_arrow", small=True)

    def _draw_pager(self, steps: Sequence[StepRow]) -> None:
        at = min(self.item, len(steps) - 1)

        async def go(to: int) -> None:
            self.item = max(0, min(to, len(steps) - 1))
            self.on_item(self.item)
            await self.draw()

        async def find(what: str) -> None:
            wanted = next((place for place, step in enumerate(steps) if step.status == what and place > at), None)
            if wanted is None:
                wanted = next((place for place, step in enumerate(steps) if step.status == what), at)
            await go(wanted)

        with ui.element("div").classes("fp-row fp-pager").props("role=group") as row:
            row.props["aria-label"] = _("Items")
            before = icon_button("chevron_left", _("Item before"), lambda: go(at - 1), tip=False)
            before.set_enabled(at > 0)
            words(
                f"{_('item')} {number(at + 1, self.reader)} {_('of')} {number(len(steps), self.reader)}",
                "fp-num fp-b fp-nw",
            ).props("role=status")
            after = icon_button("chevron_right", _("Next item"), lambda: go(at + 1), tip=False)
            after.set_enabled(at < len(steps) - 1)
            words("", "fp-sp")
            failed = sum(step.status == "failed" for step in steps)
            if failed:
                button(f"{_('Next failed')} ({failed})", lambda: find("failed"), kind="link", small=True)

    def _draw_facts(self, step: StepRow) -> None:
        said = [duration((step.duration_ms or 0) / 1000, self.reader)] if step.ended_at else []
        if step.tries > 1:
            said.append(f"{step.tries} {_('tries')}")
        if step.model_calls:
            said.append(tokens(step.input_tokens + step.output_tokens, self.reader))
            said.append(cost(None if step.cost_nanos is None else step.cost_nanos / 1e9, self.reader))
        with ui.element("div").classes("fp-row fp-s12 fp-t2"):
            status_badge(step.status)
            if step.simulated:
                status_badge("simulated")
            words(" · ".join(said), "fp-num")
        for warning in step.warnings:
            with ui.element("p").classes("fp-warn fp-s12 fp-row"):
                icon("warning", size=14)
                words(warning)

    def _draw_error(self, step: StepRow) -> None:
        error: dict[str, Any] = step.error or {}
        text = json.dumps(error, ensure_ascii=False, indent=2)
        error_card(
            f"{self.node.name} {_('failed')}",
            happened=str(error.get("message") or ""),
            why=str(error.get("why") or ""),
            todo=str(error.get("remedy") or ""),
            code=str(error.get("code") or ""),
            technical=text,
        )

    def _draw_value(self, stored: StoredValue, step: StepRow) -> None:
        label = f"{_('Output') if self.name == 'output' else _('Input')} {self.node.name}"
        name = f"{self.node.id}-{self.name}{'-' + step.index_path.replace('/', '-') if step.index_path else ''}"

        def download() -> None:
            whole = isinstance(stored.value, str)
            text = stored.value if whole else json.dumps(stored.value, ensure_ascii=False, indent=2)
            ui.download.content(text.encode(), f"{name}.{'txt' if whole else 'json'}")

        pick = None
        points = self.name == "output" and self.edit is not None and not stored.cut
        if points:
            if not isinstance(stored.value, dict | list):
                words(_("Use this value:"), "fp-s12 fp-t3")
            else:
                words(_("Click a name to return its value or to use it in another step."), "fp-s12 fp-t3", tag="p")
            strip, pick = pointing(lambda: self.draft.document, self.node.id, self.edit)
            if strip is not None and pick is not None:
                pick(())
        value_view(stored.value, label=label, download=download, on_pick=pick, reader=self.reader)
        if stored.cut:
            words(_("Only the beginning of this value was kept."), "fp-s12 fp-t3", tag="p")


def _nothing(step: StepRow, name: str) -> str:
    if step.status == "skipped":
        return _("This step was skipped in the last run.")
    if not step.ended_at:
        return _("This step is still running.")
    return _("No input was kept.") if name == "input" else _("Nothing came out.")
