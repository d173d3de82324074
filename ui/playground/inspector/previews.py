"""Previews under the fields of a node: each text with the data of the last run inserted, and the cost of a prompt of
that length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nicegui import background_tasks, ui

from engine.flow.document import Node
from engine.flow.node_type import NodeType
from engine.flow.value_types import type_of
from engine.models.price import Price
from storage.connections import list_connections, list_prices
from ui.kit.frame import reader
from ui.kit.parts import icon, words
from ui.kit.text import _, cost, number, tokens
from ui.page_session import PageSession
from ui.playground.inspector.bindings import Bindings, preview
from ui.playground.state.field_previews import Preview, nodes_in, preview_of, price_of, tokens_in
from ui.playground.state.last_run import LastRun

#: Seconds between the last change and the update of the preview.
_LATER_SECONDS = 0.25
#: Assumed number of output tokens for the cost of a prompt without a token limit.
_USUAL_ANSWER = 1000


class Previews:
    """The previews of one node.

    `outputs` holds the outputs of earlier nodes in the last run; `soon` adds those it reads.
    """

    def __init__(
        self,
        page_session: PageSession,
        last_run: LastRun,
        kind: NodeType,
        node: Callable[[], Node | None],
        bindings: Bindings,
    ) -> None:
        self.page_session = page_session
        self.last_run = last_run
        self.kind = kind
        self.node = node
        self.bindings = bindings
        self.reader = reader()
        self.item = 0
        self.outputs: dict[str, Any] = {}
        self._rendered: dict[str, Preview] = {}
        self._waiting: asyncio.Task[None] | None = None
        self._price: tuple[str, Price | None] | None = None
        self.cost_line = ui.element("div")

    async def show(self) -> None:
        """Draws every preview and the cost estimate."""
        node = self.node()
        if node is None or self.bindings.box.is_deleted:
            return
        items = len(await self.last_run.steps(node.id))
        self.bindings.keep_room(kept=bool(self.outputs))
        for name, box in self.bindings.previews.items():
            if box.is_deleted:
                continue
            value = node.inputs.get(name)
            source = name in self.kind.source_inputs
            used = nodes_in(value, source=source)
            known = not used or any(one in self.outputs for one in used)
            if value in (None, "") or not known:
                self._rendered.pop(name, None)
                box.clear()
                continue
            shown = self._rendered[name] = preview_of(
                value, self.outputs, source=source, value_type=type_of(node.config, name)
            )
            if used:
                preview(box, shown.text, item=self.item if items > 1 else None, trouble=shown.trouble)
            else:
                box.clear()  # without references the preview would equal the text
        if self.kind.type == "prompt":
            await self._show_cost(node, items)

    def soon(self) -> None:
        """Draws the previews again once no change came for a moment, with the outputs that are now referred to."""
        if self._waiting is not None:
            self._waiting.cancel()

        async def later() -> None:
            await asyncio.sleep(_LATER_SECONDS)
            node = self.node()
            if node is None or self.cost_line.is_deleted:
                return
            missing = [one for one in nodes_used(node, self.kind) if one not in self.outputs]
            if missing:
                self.outputs |= await self.last_run.outputs(missing)
            with self.cost_line:
                await self.show()

        self._waiting = background_tasks.create(later(), name="preview")

    async def _show_cost(self, node: Node, items: int) -> None:
        count = sum(tokens_in(shown.length) for shown in self._rendered.values())
        model = str(node.config.get("model") or "")
        said = _("About {count} a call · {money}").format(
            count=tokens(count, self.reader), money=await self._money(node, model, count)
        )
        if node.inputs.get("files"):
            said += f" · {_('without its files')}"
        if items > 1:
            said += " · " + _("{items} items in the last run").format(items=number(items, self.reader))
        if self.cost_line.is_deleted:
            return
        self.cost_line.clear()
        if count and model:
            with self.cost_line, ui.element("p").classes("fp-hint fp-costline"):
                icon("toll", size=14)
                words(said)

    async def _money(self, node: Node, model: str, count: int) -> str:
        if model == "simulated":
            return _("free: the Simulated model")
        price = await self._price_of(model, count)
        if price is None:
            return _("price unknown")
        if price.source == "local":
            return _("free: a local model")
        limit = node.config.get("max_tokens")
        limited = isinstance(limit, int)
        answer = cost(price.cost(0, limit if limited else _USUAL_ANSWER) / 1e9, self.reader)
        rest = (
            _("at most {answer} to answer").format(answer=answer)
            if limited
            else _("{answer} per 1,000 tokens of answer").format(answer=answer)
        )
        return _("{count} to ask, {rest}").format(
            count=cost(price.cost(count, 0) / 1000000000.0, self.reader), rest=rest
        )

    async def _price_of(self, model: str, count: int) -> Price | None:
        if self._price is None or self._price[0] != model:
            connections, prices = (
                await self.page_session.query(list_connections),
                await self.page_session.query(list_prices),
            )
            at = self.page_session.app.database.clock.now()
            self._price = model, await asyncio.to_thread(price_of, model, connections, prices, at=at, tokens=count)
        return self._price[1]


def nodes_used(node: Node, kind: NodeType) -> list[str]:
    """The nodes whose outputs the inputs of the node refer to."""
    found: list[str] = []
    for name, value in node.inputs.items():
        found += nodes_in(value, source=name in kind.source_inputs)
    return list(dict.fromkeys(found))
