"""Queries that compare two runs of a flow: which runs there are, and which outputs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session

from storage.jobs import JobRow, as_job, get_job, list_beginnings, select_jobs
from storage.table_base import belongs_to
from storage.tables import Job, Value

#: How many runs are offered for a comparison.
MAX_RUNS = 40
#: How many outputs of a run are compared. Each is read in full.
MAX_OUTPUTS = 5_000


class RecentRun(Struct, frozen=True):
    """A job that has ended, with the beginning of its input as JSON text."""

    job: JobRow
    payload: str


class OutputsCompared(Struct, frozen=True):
    """A node's outputs in two runs, compared item by item.

    `differs_at`: the index path of the first difference, or None. `cut`: the node has more outputs, which are not compared,
    because a run has more than MAX_OUTPUTS.
    """

    same: int
    different: int
    only_first: int
    only_second: int
    differs_at: str | None
    cut: bool = False


def list_recent_runs(session: Session, workspace_id: str, flow_id: str) -> list[RecentRun]:
    """Returns the newest ended runs of this flow, from the Playground and from callers."""
    rows = session.execute(
        select_jobs()
        .where(belongs_to(Job.workspace_id, workspace_id), Job.flow_id == flow_id, Job.completed_at.is_not(None))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(MAX_RUNS)
    )
    jobs = [as_job(row) for row in rows]
    payloads = list_beginnings(session, jobs)
    return [RecentRun(job, payloads.get(job.id, "")) for job in jobs]


def compare_outputs(session: Session, workspace_id: str, first: str, second: str) -> dict[str, OutputsCompared]:
    """Returns node id -> comparison of its outputs. Raises NotFound for a job of another workspace."""
    for job_id in (first, second):
        get_job(session, workspace_id, job_id)
    ends = [end for job_id in (first, second) if (end := _last_compared(session, job_id)) is not None]
    mine, theirs = (dict(_outputs(session, job_id, ends)) for job_id in (first, second))
    cut = _nodes_after(session, (first, second), ends)
    found: dict[str, OutputsCompared] = {}
    keys = sorted({*mine, *theirs}, key=lambda key: (key[0], [int(part) for part in key[1].split("/") if part]))
    for node_id in dict.fromkeys([*(node_id for node_id, _path in keys), *sorted(cut)]):
        paths = [path for other, path in keys if other == node_id]
        both = [path for path in paths if (node_id, path) in mine and (node_id, path) in theirs]
        differing = [path for path in both if mine[node_id, path] != theirs[node_id, path]]
        found[node_id] = OutputsCompared(
            len(both) - len(differing),
            len(differing),
            sum((node_id, path) not in theirs for path in paths),
            sum((node_id, path) not in mine for path in paths),
            differing[0] if differing else None,
            node_id in cut,
        )
    return found


#: The place of an output in the order in which the database sorts outputs.
_PLACE = tuple_(Value.node_id, Value.index_path)


def _last_compared(session: Session, job_id: str) -> tuple[str, str] | None:
    """Returns the place of the last output of a job that is compared; None when all of them are."""
    last = session.execute(
        select(Value.node_id, Value.index_path)
        .where(Value.job_id == job_id, Value.name == "output")
        .order_by(Value.node_id, Value.index_path)
        .offset(MAX_OUTPUTS - 1)
        .limit(2)
    ).all()
    return (last[0].node_id, last[0].index_path) if len(last) > 1 else None


def _nodes_after(session: Session, job_ids: Sequence[str], ends: Sequence[tuple[str, str]]) -> set[str]:
    """Returns the nodes with outputs behind one of these places."""
    if not ends:
        return set()
    rows = session.scalars(
        select(Value.node_id)
        .where(Value.job_id.in_(job_ids), Value.name == "output", or_(*(end < _PLACE for end in ends)))
        .distinct()
    )
    return set(rows)


def _outputs(
    session: Session, job_id: str, ends: Sequence[tuple[str, str]]
) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """Yields (node id, index path) and (size, hash) of each output up to all of these places, so that outputs are compared
    without keeping them in memory.
    """
    rows = session.execute(
        select(Value.node_id, Value.index_path, Value.size, Value.data)
        .where(Value.job_id == job_id, Value.name == "output", *(end >= _PLACE for end in ends))
        .execution_options(yield_per=100)
    )
    for node_id, path, size, data in rows:
        yield (node_id, path), (size, hash(data))
