"""The values of the last run, by node and item: for previews, the data on offer and the tabs Input and Output. No NiceGUI here.

The run that the Run panel shows; before the first one of this page the flow's newest Playground job.
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

#: Values of so many steps are read for one look.
MOST_VALUES = 60


class ShownRun(Protocol):
    """The run that is shown on the page; both are None before the first."""

    job_id: JobId | None
    look: Look | None


class Reads(Protocol):
    """Who asks: runs a query on the workspace of the person at the page. `PageSession` does."""

    async def query(self, query: Callable[Concatenate[Session, str, P], T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class LastRun:
    """Asked anew every time; nothing of a run is kept but which job it was before the first run of this page."""

    def __init__(self, reads: Reads, flow_id: str, shown: ShownRun) -> None:
        self.reads = reads
        self.flow_id = flow_id
        self.shown = shown
        self._earlier: Look | None = None
        self._asked = False

    async def look(self) -> Look | None:
        """The job with its steps, None when nothing ever ran."""
        if self.shown.job_id is not None:
            return self.shown.look
        if not self._asked:
            self._asked = True
            self._earlier = await self.reads.query(_newest_run, self.flow_id)
        return self._earlier

    async def steps(self, node_id: str) -> list[StepRow]:
        """What the node did, one step per item in their order; empty when it did not run."""
        look = await self.look()
        return sorted(
            (step for step in look.steps if step.node_id == node_id) if look else (), key=lambda step: step.index
        )

    async def value(self, step: StepRow, name: str) -> StoredValue | None:
        """`input` or `output` of a step."""
        look = await self.look()
        if look is None:
            return None
        job_id = look.job.id
        return await self.reads.query(
            lambda session, _workspace: find_value(session, job_id, name, step.node_id, step.index_path)
        )

    async def outputs(self, node_ids: Iterable[str], item: tuple[int, ...] = ()) -> dict[str, Any]:
        """What these nodes gave, by node id, for the item at this position; a value that was cut is its beginning."""
        look = await self.look()
        if look is None:
            return {}
        steps = {node_id: step for node_id in node_ids if (step := nearest(look.steps, node_id, item)) is not None}
        chosen = list(steps.items())[:MOST_VALUES]
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
    """What a Splitter gave for an item: it is in the list it was given. None when that is not known."""
    items = stored.value.get("items") if stored is not None and isinstance(stored.value, dict) else None
    place = item[0] if item else 0
    return items[place] if isinstance(items, list) and place < len(items) else None


def nearest(steps: Iterable[StepRow], node_id: str, item: tuple[int, ...]) -> StepRow | None:
    """The step of the node that an item at this position sees: outside the list, the same item, or else the first that gave something."""
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
