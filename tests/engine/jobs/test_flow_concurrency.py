"""A flow may limit how many of its jobs run at once: the others wait, and begin in the order of acceptance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.actions.flows import change_flow_settings
from engine.actions.jobs import RunOptions, cancel, run_in_playground, submit
from engine.actions.principal import Principal
from engine.core.clock import MovedClock
from engine.core.ids import WorkspaceId
from engine.jobs.submit.batches import accept_batch
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.transitions import claim, claim_many, finish_many, give_back, reclaim, send_forgotten
from storage import flow_limits
from storage.job_changes import Claimed, Lease, next_alone
from storage.job_ends import JobEnd
from storage.jobs import longest_wait_ms
from tests.engine.jobs.world import ECHO, World, open_world

BOOT = "boot_test"


@dataclass
class Line:
    """The jobs of a world in the order of their acceptance, and a worker that claims and ends them."""

    world: World
    clock: MovedClock
    running: dict[str, Claimed] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    @property
    def editor(self) -> Principal:
        return Principal(WorkspaceId(self.world.workspace_id), "user_1", "Ada", "editor")  # type: ignore[arg-type]

    def flow(self, number: int | None = None) -> str:
        return self.world.add_flow(settings={} if number is None else {"concurrency": number})

    def submit(self, flow_id: str, count: int, environment: str = "live") -> list[str]:
        caller = replace(self.world.caller, environment=environment)
        return [self.accept(submit, caller, flow_id, {"n": 1}, SubmitOptions()).job_id for _ in range(count)]

    def batch(self, flow_id: str, count: int) -> list[str]:
        options = SubmitOptions(route="/batch")
        body = {"items": [{"n": 1}] * count}
        return list(self.accept(accept_batch, self.world.caller, flow_id, body, options).job_ids)

    def limit(self, flow_id: str, number: int | None) -> None:
        self.world.write(change_flow_settings, self.editor, flow_id, {"concurrency": number})

    def begin(self, most: int = 32, boot: str = BOOT) -> list[str]:
        """Takes messages until none is left; returns the jobs that began."""
        begun: list[str] = []
        messages = 1
        while messages:
            claimed, messages = self.world.write(claim_many, boot, most, self.running)
            self.running |= {job.id: job for job in claimed}
            begun += [job.id for job in claimed]
        self.begun += begun
        return begun

    def end(self, *job_ids: str, boot: str = BOOT) -> None:
        ends = [JobEnd(one, "completed", Lease(boot, self.running.pop(one).attempt)) for one in job_ids]
        assert all(self.world.write(finish_many, ends))

    def accept(self, action: Any, *values: Any) -> Any:
        """Accepts something, later than all before."""
        self.clock.offset += 1
        return self.world.write(action, *values)


@pytest.fixture
def line(new_data: Path) -> Iterator[Line]:
    clock = MovedClock()
    world = open_world(new_data, clock=clock, plan="enterprise")
    yield Line(world, clock)
    world.database.close()


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("at_once", [1, 3])
def test_never_more_run_and_all_end_in_the_order_of_acceptance(line: Line, number: int, at_once: int) -> None:
    flow_id = line.flow(number)
    sent = line.submit(flow_id, 6) + line.batch(flow_id, 3) + line.submit(flow_id, 3)
    while line.begin(at_once) or line.running:
        assert len(line.running) <= number
        line.end(*list(line.running)[:at_once])
    assert line.begun == sent
    assert {line.world.job(job_id).status for job_id in sent} == {"completed"}


def test_environments_count_together_and_the_playground_does_not(line: Line) -> None:
    flow_id = line.flow(2)
    jobs = [line.submit(flow_id, 1, environment)[0] for environment in ("live", "test", "dev")]
    runs = [line.accept(run_in_playground, line.editor, flow_id, ECHO, {"n": 3}, RunOptions()) for _ in range(3)]
    assert set(line.begin()) == {*jobs[:2], *runs}
    line.end(*runs)
    assert line.begin() == []
    line.end(jobs[1])
    assert line.begin() == [jobs[2]]


def test_a_job_that_overtook_the_others_in_the_queue_leaves_its_place_to_the_first(line: Line) -> None:
    flow_id = line.flow(1)
    first, second = line.submit(flow_id, 2)
    line.world.write(
        lambda session: session.connection().exec_driver_sql("delete from task where id = (select min(id) from task)")
    )
    assert line.begin() == [first]
    line.end(first)
    assert line.begin() == [second]


def test_a_changed_limit_counts_at_once_also_for_jobs_that_wait(line: Line) -> None:
    flow_id = line.flow(1)
    jobs = line.submit(flow_id, 8)
    assert line.begin() == jobs[:1]
    line.limit(flow_id, 3)
    assert line.begin() == jobs[1:3]
    line.limit(flow_id, 2)
    line.end(jobs[0])
    assert line.begin() == [], "two still run"
    line.end(jobs[1])
    assert line.begin() == jobs[3:4]
    line.limit(flow_id, None)
    assert line.begin() == jobs[4:]


def test_a_limit_that_is_set_later_counts_for_jobs_that_run_and_wait(line: Line) -> None:
    flow_id, other = line.flow(), line.flow()
    jobs = line.submit(flow_id, 2)
    assert line.begin() == jobs
    jobs += line.submit(flow_id, 2)
    others = line.submit(other, 3)
    line.limit(flow_id, 2)
    assert line.begin() == others, "two run already"
    line.end(jobs[0])
    assert line.begin() == jobs[2:3]


def test_jobs_of_a_dead_worker_begin_again_first(line: Line) -> None:
    flow_id = line.flow(2)
    jobs = line.submit(flow_id, 4)
    assert line.begin() == jobs[:2]
    line.running.clear()
    assert line.world.write(reclaim, BOOT) == 2
    assert line.begin(boot="boot_next") == jobs[:2]
    line.end(*jobs[:2], boot="boot_next")
    assert line.begin() == jobs[2:]


def test_a_job_that_must_run_alone_keeps_its_place_and_the_others_go_on(line: Line) -> None:
    flow_id = line.flow(2)
    jobs = line.submit(flow_id, 4)
    for _ in range(2):
        assert line.world.write(claim_many, "boot_gone", 1, ())[0][0].id == jobs[0]
        line.world.write(reclaim, "boot_gone")
    assert line.begin() == jobs[1:2]
    line.end(jobs[1])
    assert line.begin() == jobs[2:3]
    assert line.world.read(next_alone) == jobs[0]
    alone = line.world.write(claim, "boot_alone", jobs[0], alone=True)
    assert alone is not None
    line.running[alone.id] = alone
    assert line.begin() == []
    line.end(alone.id, boot="boot_alone")
    assert line.begin() == jobs[3:]


def test_one_that_must_run_alone_waits_for_its_flow_too(line: Line) -> None:
    flow_id = line.flow(1)
    first, second = line.submit(flow_id, 2)
    for _ in range(2):
        line.world.write(claim_many, "boot_gone", 1, ())
        line.world.write(reclaim, "boot_gone")
    line.limit(flow_id, 2)
    assert line.begin() == [second]
    line.limit(flow_id, 1)
    assert line.world.read(next_alone) is None
    assert line.world.write(claim, "boot_alone", first, alone=True) is None
    line.end(second)
    assert line.world.read(next_alone) == first


def test_a_job_that_was_given_back_or_cancelled_makes_room(line: Line) -> None:
    flow_id = line.flow(1)
    jobs = line.submit(flow_id, 4)
    assert line.begin() == jobs[:1]
    line.world.write(give_back, jobs[0], Lease(BOOT, line.running.pop(jobs[0]).attempt))
    assert line.begin() == jobs[:1]
    line.world.write(cancel, line.world.caller, jobs[1])
    line.end(jobs[0])
    assert line.begin() == jobs[2:3]


@pytest.mark.sqlite("It reads SQLite's statements and query plans.")
def test_a_flow_that_is_full_keeps_no_other_waiting_and_asks_nothing_of_flows_without_a_limit(line: Line) -> None:
    limited, free = line.flow(1), line.flow()
    line.submit(limited, 3)
    line.begin()
    statements: list[str] = []

    def listen(session: Session) -> None:
        session.connection().connection.driver_connection.set_trace_callback(statements.append)  # type: ignore[union-attr]

    line.world.write(listen)
    jobs = line.submit(free, 5)
    assert line.begin() == jobs
    line.end(*jobs)
    assert any("update jobs" in one for one in statements)
    asked = [one for one in statements if "flow_concurrency" in one and one.split()[0] == "select"]
    assert asked == []


def test_jobs_that_wait_for_their_flow_are_sent_again_only_when_they_may_begin(line: Line) -> None:
    flow_id = line.flow(2)
    jobs = line.submit(flow_id, 5)
    assert line.begin() == jobs[:2]
    line.clock.offset += 3_600_000
    assert line.world.write(send_forgotten) == 0
    assert line.world.read(longest_wait_ms) == 0, "no worker is late"
    line.end(jobs[0])
    line.world.write(lambda session: session.connection().exec_driver_sql("delete from task"))
    assert line.world.write(send_forgotten) == 1
    assert line.world.write(send_forgotten) == 0
    assert line.begin() == jobs[2:3]


@pytest.mark.sqlite("It reads SQLite's statements and query plans.")
def test_what_waits_is_found_in_the_indexes(line: Line) -> None:
    found = {
        "_WAITING": ("ix_jobs_flow_limited",),
        "_TAKEN": ("ix_jobs_flow_limited", "ix_jobs_alone"),
        "_FLOWS": ("ix_jobs_flow_limited",),
        "_LIMIT": ("ix_jobs_open",),
    }
    values = {"flow_id": "f", "counted": 1, "shared": 2, "most": 5, "number": 1, "at": 1}
    for name, indexes in found.items():
        sql = getattr(flow_limits, name).sql
        plan = line.world.write(
            lambda session, sql=sql: [
                row[3] for row in session.connection().exec_driver_sql(f"explain query plan {sql}", values)
            ]
        )
        reads = [step for step in plan if "jobs" in step]
        assert len(reads) == len(indexes), plan
        assert all(any(index in step for step in reads) for index in indexes), plan
        assert not any("TEMP B-TREE FOR ORDER" in step for step in plan), plan
