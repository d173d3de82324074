"""An open draft: the server's copy of a flow that is being edited, shared by every tab that shows it. No NiceGUI here.

A change is applied, stored, and only then acknowledged. When the stored draft moved on meanwhile (another page restored a
version), it is read again and the change is put on top of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.actions.deployments import Deployed, deploy
from engine.actions.flows import save_as, save_draft, save_version
from engine.core.errors import VersionConflict
from engine.core.ids import FlowId
from engine.flow.document import Document, load_document
from engine.flow.edits import Op, apply_ops, difference_ops
from engine.flow.layout import with_places
from storage.flows import get_draft
from ui.page_session import App, PageSession

#: Called after a change with the operations, the new revision, the tab that made it and the person's name. Both are empty when
#: the stored draft had moved on without this server's tabs.
Listener = Callable[[Sequence[Op], int, str, str], None]


@dataclass
class OpenDraft:
    """One flow's draft as the tabs see it. `seen` holds the last change number of each tab, so none is applied twice.

    Whoever makes new parts out of the document holds `making` until they are in it: two quick presses would give two nodes one id.
    """

    flow_id: str
    document: Document
    revision: int
    saved_at: int
    listeners: dict[str, Listener] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def change(self, page_session: PageSession, client: str, ops: Sequence[Op], seq: int | None = None) -> int:
        """Applies and stores operations, tells the other tabs, and returns the revision. Raises Refusal."""
        async with self.lock:
            if seq is not None and seq <= self.seen.get(client, 0):
                return self.revision
            told, document = self._after(ops)
            if document != self.document:
                try:
                    await self._store(page_session, document)
                except VersionConflict:
                    await self._read(page_session)
                    told, document = self._after(ops)
                    await self._store(page_session, document)
            if seq is not None:
                self.seen[client] = seq
            self._tell(told, client, page_session.person.name)
            return self.revision

    async def save(self, page_session: PageSession, note: str = "", based_on: int | None = None) -> int:
        """Makes the draft the next version once every edit on its way is in it; its number. Raises Refusal."""
        async with self.lock:
            return await page_session.execute(save_version, self.flow_id, note, based_on)

    async def save_as(self, page_session: PageSession, title: str) -> FlowId:
        """Puts the draft into Saved Flows once every edit on its way is in it; the flow it is now. Raises Refusal."""
        async with self.lock:
            return await page_session.execute(save_as, self.flow_id, title)

    async def deploy(self, page_session: PageSession, version: int | None = None) -> Deployed:
        """Makes the draft, once every edit on its way is in it, or a saved version what callers get. Raises Refusal."""
        async with self.lock:
            return await page_session.execute(deploy, self.flow_id, version=version)

    async def settled(self) -> Document:
        """The document once every edit on its way is in it: what was typed just before a button was pressed counts."""
        async with self.lock:
            return self.document

    def waiting(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Which of a canvas's unacknowledged messages would change something that is not here yet. Raises Refusal."""
        new, document = [], self.document
        for message in messages:
            if int(message["seq"]) > self.seen.get(str(message["clientId"]), 0):
                after = apply_ops(document, message["ops"])
                if after != document:
                    new.append(message)
                    document = after
        return new

    async def read_again(self, page_session: PageSession) -> None:
        """Takes over what is stored."""
        async with self.lock:
            await self._read(page_session)

    def _after(self, ops: Sequence[Op]) -> tuple[list[Op], Document]:
        """All operations of a change, and the document after it. A flow that came without places is spread out on screen; its
        first change stores that too.
        """
        placed = with_places(self.document)
        told = [*difference_ops(self.document, placed), *ops] if placed is not self.document else list(ops)
        return told, apply_ops(self.document, told)

    async def _store(self, page_session: PageSession, document: Document) -> None:
        self.revision = await page_session.execute(save_draft, self.flow_id, document, self.revision)
        self.document = document
        self.saved_at = page_session.app.database.clock.now()

    async def _read(self, page_session: PageSession) -> None:
        row = await page_session.query(get_draft, self.flow_id)
        before = self.document
        self.document, self.revision, self.saved_at = load_document(row.document), row.revision, row.saved_at
        if moved := difference_ops(before, self.document):
            self._tell(moved, "", "")

    def _tell(self, ops: Sequence[Op], client: str, name: str) -> None:
        for listener in list(self.listeners.values()):
            listener(ops, self.revision, client, name)


class Drafts:
    """The drafts that tabs of this process have open; `drafts_of(app)` gives those of a server."""

    def __init__(self) -> None:
        self._open: dict[str, OpenDraft] = {}

    async def open(self, page_session: PageSession, flow_id: str) -> OpenDraft:
        """The shared draft. Raises NotFound for an unknown or foreign flow, for everybody who asks."""
        row = await page_session.query(get_draft, flow_id)
        draft = self._open.get(flow_id)
        if draft is None:
            draft = OpenDraft(flow_id, load_document(row.document), row.revision, row.saved_at)
            self._open[flow_id] = draft
        elif draft.revision < row.revision:
            await draft.read_again(page_session)
        return draft

    @asynccontextmanager
    async def borrowed(self, page_session: PageSession, flow_id: str) -> AsyncIterator[OpenDraft]:
        """The shared draft for one action of a page that does not show it. Raises as `open`."""
        draft = await self.open(page_session, flow_id)
        try:
            yield draft
        finally:
            self.leave(draft, "")

    def leave(self, draft: OpenDraft, client: str) -> None:
        """A tab closed; the last one takes the draft with it."""
        draft.listeners.pop(client, None)
        if not draft.listeners:
            self._open.pop(draft.flow_id, None)


def drafts_of(app: App) -> Drafts:
    """The open drafts of this server: pages other than the Playground that change a draft go through them, too."""
    return app.shared(Drafts)
