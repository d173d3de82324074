"""Open drafts: the server's copy of each flow that is being edited, shared by every tab that shows it.

Imports no NiceGUI.

A change is applied, stored, and only then acknowledged. When the stored draft was changed without this copy (another
page restored a version), it is read again and the change is applied to it. Servers that share a PostgreSQL tell each other
of changes, and read again what they have open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from engine.actions.deployments import Deployed, deploy
from engine.actions.flows import restore_version, save_as, save_draft, save_version
from engine.core.errors import Refusal, VersionConflict
from engine.core.ids import FlowId
from engine.flow.document import Document, load_document, with_huge_integers_as_text
from engine.flow.edits import EditRefused, Op, apply_ops, difference_ops
from engine.flow.node_places import with_places
from engine.jobs.notifier import CONNECTED, DRAFT_CHANGED, on_word
from engine.nodes import CATALOG
from storage.database import Database
from storage.flows import DraftRow, get_draft
from ui.page_session import App, PageSession

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Called after a change with the operations, the new revision, the tab that made it and the person's name. Tab and name
#: are empty when the stored draft was changed without a tab of this server.
Listener = Callable[[Sequence[Op], int, str, str], None]
#: Applies operations as an edit of this person, who can undo it on the canvas; False when it was refused.
Edit = Callable[[Sequence[Op]], Awaitable[bool]]


def _document_of(row: DraftRow) -> Document:
    return with_huge_integers_as_text(load_document(row.document))


class TooLargeToSend(EditRefused):
    """This edit is too large to be sent, so it was taken back."""

    remedy = "Make it in smaller parts, for example with fewer steps at a time."


class Turn(Enum):
    """Where a message of a page stands among the messages of its tab."""

    #: It is the next one, and it is applied.
    NEXT = "next"
    #: It came before: it is passed over, and can be acknowledged again.
    SEEN = "seen"
    #: One before it is missing: it is not applied, and the tab has to send its messages again.
    EARLY = "early"


@dataclass
class OpenDraft:
    """The shared draft of one flow. `seen` holds the number of the last change that was taken from each tab, so that none
    is applied twice and none is left out.

    Code that derives new parts from the document holds `making` until the parts are added; otherwise two quick clicks
    could create two nodes with one id.
    """

    flow_id: str
    document: Document
    revision: int
    saved_at: int
    workspace_id: str = ""
    listeners: dict[str, Listener] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    #: How many pages have it open, or are being built with it, and how many actions have borrowed it.
    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: What steps that were deleted meanwhile were called, by their ids: other steps may still name them.
    deleted: dict[str, str] = field(default_factory=dict)
    #: The document from which something was derived last, what else it depends on, and what was derived.
    _derived: tuple[Document, Any, Any] | None = None

    def derive(self, about: Any, make: Callable[[Document], T]) -> T:
        """Returns what `make` derives from the document and `about`. All tabs share it: it is made once for each change."""
        if self._derived is None or self._derived[0] is not self.document or self._derived[1] != about:
            self._derived = (self.document, about, make(self.document))
        return self._derived[2]

    def note_derived(self, document: Document, about: Any, derived: Any) -> None:
        """Keeps what was derived from this document beside the event loop, unless the document has changed meanwhile."""
        if self.document is document:
            self._derived = (document, about, derived)

    async def change(self, page_session: PageSession, client: str, ops: Sequence[Op], seq: int | None = None) -> int:
        """Applies and stores operations, sends them to the other tabs, and returns the revision. Raises Refusal."""
        async with self.lock:
            if seq is None or seq > self.seen.get(client, 0):
                await self._change(page_session, client, ops, seq)
            return self.revision

    async def change_in_turn(self, page_session: PageSession, client: str, ops: Sequence[Op] | None, seq: int) -> Turn:
        """Does the same for a message of a page that is open, when it follows on the last one that was taken. `ops` is
        None when they are too large to be sent.

        A connection that breaks loses messages while later ones arrive. Raises Refusal; a refused message counts as
        taken.
        """
        async with self.lock:
            seen = self.seen.get(client)
            if seen is not None and seq != seen + 1:
                return Turn.SEEN if seq <= seen else Turn.EARLY
            try:
                if ops is None:
                    raise TooLargeToSend
                await self._change(page_session, client, ops, seq)
            except Refusal:
                self.seen[client] = seq
                raise
            return Turn.NEXT

    def number_from(self, client: str, seq: int) -> None:
        """Takes `seq` as the number of the last change of a tab: those that follow are counted on from it."""
        self.seen[client] = max(seq, self.seen.get(client, 0))

    async def save(self, page_session: PageSession, note: str = "", based_on: int | None = None) -> int:
        """Saves the draft as the next version, after edits in progress are stored.

        Returns its number. Raises Refusal.
        """
        async with self.lock:
            return await page_session.execute(save_version, self.flow_id, note, based_on)

    async def save_as(self, page_session: PageSession, title: str) -> FlowId:
        """Moves the draft into Saved Flows, after edits in progress are stored.

        Returns the flow's id. Raises Refusal.
        """
        async with self.lock:
            return await page_session.execute(save_as, self.flow_id, title)

    async def restore(self, page_session: PageSession, number: int) -> None:
        """Replaces the draft by a version, and shows it in the tabs that have the draft open. Raises Refusal."""
        async with self.lock:
            await page_session.execute(restore_version, self.flow_id, number)
            await self._read(page_session)

    async def replace_described(self, page_session: PageSession, document: Document, revision: int) -> None:
        """Replaces the draft by a document that does what the description of its template says, and shows it in the tabs
        that have the draft open. Raises Refusal: VersionConflict when the draft has another `revision`.
        """
        async with self.lock:
            await page_session.execute(save_draft, self.flow_id, document, revision, as_described=True)
            await self._read(page_session)

    async def deploy(
        self, page_session: PageSession, version: int | None = None, revision: int | None = None
    ) -> Deployed:
        """Deploys a saved version, or the draft after edits in progress are stored. Raises Refusal: VersionConflict when
        the draft has another `revision`.
        """
        async with self.lock:
            settings = page_session.app.settings
            return await page_session.execute(
                deploy, self.flow_id, version=version, settings=settings, revision=revision
            )

    async def settled(self) -> Document:
        """Returns the document after edits in progress are stored, such as text typed just before a button was
        pressed.
        """
        async with self.lock:
            return self.document

    def waiting(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Returns the unacknowledged messages of a canvas whose operations would still change the document, or would be
        refused.
        """
        new, document = [], self.document
        for message in messages:
            if int(message["seq"]) > self.seen.get(str(message["clientId"]), 0):
                try:
                    after = apply_ops(document, message["ops"])
                except Refusal:
                    new.append(message)
                    continue
                if after != document:
                    new.append(message)
                    document = after
        return new

    async def read_again(self, page_session: PageSession) -> None:
        """Replaces this copy by the stored draft."""
        async with self.lock:
            await self._read(page_session)

    async def read_newer(self, database: Database, revision: int) -> None:
        """Replaces this copy by the stored draft when another server has stored this revision or a later one."""
        async with self.lock:
            if self.revision < revision:
                self._take(await database.read(get_draft, self.workspace_id, self.flow_id))

    def _after(self, ops: Sequence[Op]) -> tuple[list[Op], Document]:
        """Returns all operations of a change, and the document after it.

        A flow whose nodes have no positions gets them on screen; the first change stores these positions too.
        """
        placed = with_places(self.document, CATALOG)
        told = [*difference_ops(self.document, placed), *ops] if placed is not self.document else list(ops)
        return told, apply_ops(self.document, told)

    async def _change(self, page_session: PageSession, client: str, ops: Sequence[Op], seq: int | None) -> None:
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

    async def _store(self, page_session: PageSession, document: Document) -> None:
        self.revision = await page_session.execute(save_draft, self.flow_id, document, self.revision)
        self._remember_deleted(document)
        self.document = document
        self.saved_at = page_session.app.database.clock.now()

    async def _read(self, page_session: PageSession) -> None:
        self._take(await page_session.query(get_draft, self.flow_id))

    def _take(self, row: DraftRow) -> None:
        before, after = self.document, _document_of(row)
        self._remember_deleted(after)
        self.document, self.revision, self.saved_at = after, row.revision, row.saved_at
        if moved := difference_ops(before, self.document):
            self._tell(moved, "", "")

    def _remember_deleted(self, after: Document) -> None:
        kept = {node.id for node in after.nodes}
        self.deleted |= {node.id: node.name for node in self.document.nodes if node.id not in kept}

    def _tell(self, ops: Sequence[Op], client: str, name: str) -> None:
        for listener in list(self.listeners.values()):
            listener(ops, self.revision, client, name)


class Drafts:
    """The drafts that tabs of this process have open. `drafts_of(app)` returns those of a server."""

    def __init__(self) -> None:
        self._open: dict[str, OpenDraft] = {}
        self._reading: set[asyncio.Task[None]] = set()
        #: True once other servers tell of their changes.
        self.hears = False

    def hear_others(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        """Reads open drafts again when another server changes them. With SQLite there is none."""

        def changed(*told: str) -> None:
            revisions = {flow_id: int(revision) for flow_id, _, revision in (one.partition(":") for one in told)}
            loop.call_soon_threadsafe(self._read_newer, database, revisions)

        def connected() -> None:  # changes may have been missed: what was not changed is read for nothing
            loop.call_soon_threadsafe(self._read_newer, database, None)

        on_word(database, DRAFT_CHANGED, changed)
        on_word(database, CONNECTED, connected)

    def _read_newer(self, database: Database, revisions: Mapping[str, int] | None) -> None:
        for draft in list(self._open.values()):
            revision = draft.revision + 1 if revisions is None else revisions.get(draft.flow_id, 0)
            if draft.revision < revision:
                task = asyncio.get_running_loop().create_task(self._read_one(draft, database, revision))
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)

    async def _read_one(self, draft: OpenDraft, database: Database, revision: int) -> None:
        try:
            await draft.read_newer(database, revision)
        except Refusal as refusal:  # the next change reads it again
            log.info("The draft of %s was not read again: %s", draft.flow_id, refusal)

    async def open(self, page_session: PageSession, flow_id: str) -> OpenDraft:
        """Returns the shared draft, which stays the shared one until as many have called `leave`.

        Raises NotFound for a flow that does not exist or belongs to another workspace.
        """
        row = await page_session.query(get_draft, flow_id)
        draft = self._open.get(flow_id)
        if draft is None:
            workspace_id = page_session.person.workspace_id
            draft = OpenDraft(flow_id, _document_of(row), row.revision, row.saved_at, workspace_id)
            self._open[flow_id] = draft
        draft.users += 1
        if draft.revision < row.revision:
            try:
                await draft.read_again(page_session)
            except BaseException:
                self.leave(draft, "")
                raise
        return draft

    @property
    def shown(self) -> frozenset[str]:
        """The flows whose drafts tabs show."""
        return frozenset(self._open)

    @asynccontextmanager
    async def borrowed(self, page_session: PageSession, flow_id: str) -> AsyncIterator[OpenDraft]:
        """Opens the shared draft for one action of a page that does not show it. Raises the same refusals as `open`."""
        draft = await self.open(page_session, flow_id)
        try:
            yield draft
        finally:
            self.leave(draft, "")

    def leave(self, draft: OpenDraft, client: str) -> None:
        """Removes a tab's listener, and closes the draft when nobody else has it open."""
        draft.listeners.pop(client, None)
        draft.users -= 1
        if draft.users <= 0 and self._open.get(draft.flow_id) is draft:
            del self._open[draft.flow_id]


def drafts_of(app: App) -> Drafts:
    """The open drafts of this server. Every page that changes a draft uses them, not only the Playground."""
    drafts = app.shared(Drafts)
    if app.database.is_postgres and not drafts.hears:
        drafts.hears = True
        drafts.hear_others(app.database, asyncio.get_running_loop())
    return drafts
