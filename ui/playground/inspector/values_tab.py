"""The tabs Input and Output: a node's values in the last run, item by item.

Values of an output can be returned or used elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui import ui

from engine.flow.document import Node
from engine.flow.edits import Op
from engine.nodes import CATALOG
from storage.steps import StepRow
from ui.flow_view.job_watch import items_around
from ui.kit.feedback import error_card
from ui.kit.frame import reader
from ui.kit.parts import button, words
from ui.kit.text import _
from ui.parts.job_words import way_words
from ui.parts.open_drafts import OpenDraft
from ui.playground.run.step_parts import item_pager, nothing_words, step_facts, step_value
from ui.playground.state.last_run import LastRun


class ValuesTab:
    """One of the two tabs.

    `item` is the index of the list item that is shown; `on_item` is called when another one is chosen.
    """

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
        """Draws the values of the last run; called again after each run."""
        steps = await self.last_run.steps(self.node.id)
        step = steps[min(self.item, len(steps) - 1)] if steps else None
        stored = await self.last_run.value(step, self.name) if step else None
        way = ""
        if (
            step
            and self.name == "output"
            and len(CATALOG[self.node.type].ports if self.node.type in CATALOG else ()) > 1
        ):
            log = await self.last_run.value(step, "log")
            way = way_words(log.value if log else None)
        look = await self.last_run.look()
        total = items_around(self.draft.document, look.steps, step) if look and step else None
        if self.place.is_deleted:
            return
        self.place.clear()
        with self.place:
            if step is None:
                self._draw_nothing()
                return
            if len(steps) > 1:
                self._draw_pager(steps, total)
            step_facts(step, self.reader)
            if way:
                words(way, "fp-b fp-s13", tag="p")
            if self.name == "output" and step.error:
                self._draw_error(step)
            if stored is None and not (self.name == "output" and step.error):
                words(nothing_words(step, self.name), "fp-t2", tag="p")
            elif stored is not None:
                step_value(
                    stored,
                    step,
                    self.name,
                    title=(_("Output {name}") if self.name == "output" else _("Input {name}")).format(
                        name=self.node.name
                    ),
                    reader=self.reader,
                    document=lambda: self.draft.document,
                    edit=self.edit if self.name == "output" else None,
                )

    def _draw_nothing(self) -> None:
        words(_("Run the flow to see what went in and what came out here."), "fp-t2", tag="p")
        if self.run is not None:
            with ui.element("div"):
                button(_("Run this node"), self.run, icon="play_arrow", small=True)

    def _draw_pager(self, steps: Sequence[StepRow], total: int | None) -> None:
        async def go(to: int) -> None:
            self.item = max(0, min(to, len(steps) - 1))
            self.on_item(self.item)
            await self.draw()

        item_pager(steps, min(self.item, len(steps) - 1), go, self.reader, total=total)

    def _draw_error(self, step: StepRow) -> None:
        error: dict[str, Any] = step.error or {}
        text = json.dumps(error, ensure_ascii=False, indent=2)
        error_card(
            _("{name} failed").format(name=self.node.name),
            happened=str(error.get("message") or ""),
            why=str(error.get("why") or ""),
            todo=str(error.get("remedy") or ""),
            code=str(error.get("code") or ""),
            technical=text,
        )
