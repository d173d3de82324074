"""Values of the last run by node and item, for previews, available data and the tabs Input and Output.

Imports no NiceGUI.

The last run is the run that the Run panel shows, or before the first run of the page the flow's newest Playground job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.ids import JobId
from storage.jobs import JobFilters, StoredValue, find_value, list_jobs
from storage.steps import StepRow
from ui.flow_view.job_watch import Look, look_at

P = ParamSpec("P")
T = TypeVar("T")

#: The largest number of steps whose values are read at once.
MAX_VALUES = 60


class ShownRun(Protocol):
    """The run that the page shows; both fields are None before the first run."""

    job_id: JobId | None
    look: Look | None


class Reads(Protocol):
    """Runs a query on the workspace of the person at the page. `PageSession` implements it."""

    async def query(self, query: Callable[Concatenate[Session, str, P], T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class LastRun:
    """Reads the last run from the database on every call.

    Only the id of the newest job before the page's first run is kept.
    """

    def __init__(self, reads: Reads, flow_id: str, shown: ShownRun) -> None:
        self.reads = reads
        self.flow_id = flow_id
        self.shown = shown
        self._earlier: Look | None = None
        self._asked = False

    async def look(self) -> Look | None:
        """Returns the job with its steps; None when the flow never ran."""
        if self.shown.job_id is not None:
            return self.shown.look
        if not self._asked:
            self._asked = True
            self._earlier = await self.reads.query(_newest_run, self.flow_id)
        return self._earlier

    async def steps(self, node_id: str) -> list[StepRow]:
        """The steps of a node, one per item in their order; empty when it did not run."""
        look = await self.look()
        return sorted(
            (step for step in look.steps if step.node_id == node_id) if look else (), key=lambda step: step.index
        )

    async def value(self, step: StepRow, name: str) -> StoredValue | None:
        """The stored `input` or `output` of a step."""
        look = await self.look()
        if look is None:
            return None
        job_id = look.job.id
        return await self.reads.query(
            lambda session, _workspace: find_value(session, job_id, name, step.node_id, step.index_path)
        )

    async def outputs(self, node_ids: Iterable[str], item: tuple[int, ...] = ()) -> dict[str, Any]:
        """The outputs of these nodes, by node id, for the item at this index.

        A value that was stored in part is its beginning.
        """
        look = await self.look()
        if look is None:
            return {}
        steps = {node_id: step for node_id in node_ids if (step := nearest(look.steps, node_id, item)) is not None}
        chosen = list(steps.items())[:MAX_VALUES]
        job_id = look.job.id

        def read(session: Session, _workspace: str) -> dict[str, Any]:
            found = {}
            for node_id, step in chosen:
                name = "output" if step.items is None else "input"
                stored = find_value(session, job_id, name, node_id, step.index_path)
                if step.items is not None:
                    given = _item_of(stored, item[len(step.index) :])
                    found |= {} if given is None else {node_id: given}
                elif stored is not None:
                    found[node_id] = stored.value
            return found

        return await self.reads.query(read)


def _item_of(stored: StoredValue | None, item: tuple[int, ...]) -> Any:
    """The value of one item, read from the list that the Splitter was given; None when that list is not known."""
    items = stored.value.get("items") if stored is not None and isinstance(stored.value, dict) else None
    place = item[0] if item else 0
    return items[place] if isinstance(items, list) and place < len(items) else None


def nearest(steps: Iterable[StepRow], node_id: str, item: tuple[int, ...]) -> StepRow | None:
    """Finds the completed step of a node whose output the item at this index uses.

    That is the step at the longest prefix of the index, else the node's first completed step.
    """
    own = [step for step in steps if step.node_id == node_id and step.status == "completed"]
    seen = [step for step in own if step.index == item[: len(step.index)]]
    return max(seen, key=lambda step: len(step.index), default=None) or min(
        own, key=lambda step: step.index, default=None
    )


def _newest_run(session: Session, workspace_id: str, flow_id: str) -> Look | None:
    page = list_jobs(session, workspace_id, JobFilters(flow_id=flow_id, environments=("playground",)), limit=1)
    if not page.jobs:
        return None
    try:
        return look_at(session, workspace_id, page.jobs[0].id)
    except NotFound:
        return None
