"""An edit on one server shows on the others, which have the draft open, too."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from engine.actions.flows import import_flow, save_draft
from engine.actions.principal import command_line
from engine.actions.workspaces import ensure_workspace
from engine.flow.document import load_document
from engine.flow.edits import Op, apply_ops
from engine.jobs.server.job_waiters import JobWaiters
from engine.jobs.shared_notices import join
from storage.database import Database
from storage.flows import get_draft
from storage.opening import open_database
from storage.postgres.process_link import Link
from tests.databases import url_of
from tests.factories import flow_file, greeting
from ui.page_session import PageSession
from ui.parts.open_drafts import Drafts, OpenDraft


@dataclass
class Reader:
    """As much of a page's session as a draft is opened with."""

    database: Database
    workspace_id: str

    @property
    def person(self) -> Reader:
        return self

    async def query(self, query: Callable[..., Any], *args: Any) -> Any:
        return await self.database.read(query, self.workspace_id, *args)


class Server:
    """A server of its own on the database of a folder."""

    def __init__(self, data: Path, name: str) -> None:
        self.database = open_database(data / name, url=url_of(data))
        self.drafts = Drafts()
        self.link: Link = join(self.database, name, JobWaiters(self.database))
        self.drafts.hear_others(self.database, asyncio.get_running_loop())
        self.link.start()

    async def open(self, workspace_id: str, flow_id: str) -> OpenDraft:
        return await self.drafts.open(cast("PageSession", Reader(self.database, workspace_id)), flow_id)

    def close(self) -> None:
        self.link.close()
        self.database.close()


async def test_an_edit_on_one_server_shows_on_another_within_a_second(new_data: Path) -> None:
    one, other = Server(new_data, "one"), Server(new_data, "other")
    workspace_id = one.database.write_now(ensure_workspace, "free")
    owner = command_line(workspace_id)
    flow_id = one.database.write_now(import_flow, owner, flow_file(greeting(), "Flow")).flow_id
    shown = await other.open(workspace_id, flow_id)
    seen: queue.SimpleQueue[tuple[Sequence[Op], int, str, str]] = queue.SimpleQueue()
    shown.listeners["tab"] = lambda *told: seen.put(told)
    while not (one.link.is_held and other.link.is_held):
        await asyncio.sleep(0.01)

    row = await one.database.read(get_draft, workspace_id, flow_id)
    document = load_document(row.document)
    node = document.nodes[-1]
    op: Op = {"op": "updateNode", "id": node.id, "before": {"label": node.label}, "after": {"label": "Renamed"}}
    begun = time.monotonic()
    revision = await one.database.write(save_draft, owner, flow_id, apply_ops(document, [op]), row.revision)
    # waited for in a thread, since the clock of the loop skips what the threads of the links take
    ops, told, client, name = await asyncio.to_thread(seen.get, timeout=5)
    assert time.monotonic() - begun < 1
    assert (told, client, name) == (revision, "", "")
    assert list(ops) == [op]
    assert shown.document.nodes[-1].label == "Renamed"
    one.close()
    other.close()
