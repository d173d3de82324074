"""Erasing removes a job's input and output from every table and from the bytes of the files; the job itself stays."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import JSON, LargeBinary, String, select, text, update
from sqlalchemy.orm import Session

from engine.actions.erasing import erase_data, erase_part, find_copies, find_part
from engine.actions.jobs import RunOptions, run_in_playground, submit
from engine.actions.keys import create_key
from engine.actions.playground_batches import begin_playground_batch, run_in_batch
from engine.backups.backups import list_backups
from engine.core.clock import DAY, MovedClock
from engine.core.errors import Conflict, IdempotencyKeyReused, JobNotEnded, NotFound
from engine.core.settings import Settings
from engine.jobs.server import erasing
from engine.jobs.server.erasing import ERASED_MESSAGE, finish_erasing, is_clean
from engine.jobs.server.maintenance import Maintenance
from engine.jobs.server.retention import Retention, Rules
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.transitions import claim, finish
from engine.secrets.sealing import open_vault
from storage.audit import list_entries
from storage.erasing import last_page, unfinished
from storage.events import list_events
from storage.job_changes import Lease
from storage.job_log import read_log
from storage.jobs import find_job, find_value, read_value
from storage.playground_batches import store_batch_state
from storage.retention import release_pages, remove_jobs, remove_values
from storage.statements import DRIVER, Statement
from storage.steps import NewValue, Progress, list_steps, write_progress
from storage.tables import Job
from tests.engine.jobs.world import World, document_of
from tests.factories import person
from tests.storage.releases.make import TABLES
from tests.storage.releases.rows import add_rows
from tests.stored import places_of

CANARY = "canary-7Yq2"


@pytest.fixture
def ada(world: World) -> Any:
    return person(world.workspace_id)


def step(node_id: str, said: str, status: str = "failed") -> dict[str, Any]:
    error = {"code": "http_status", "message": said, "why": said, "remedy": said, "node_id": node_id}
    return {
        "node_id": node_id, "index_path": "", "status": status, "attempt": 1, "tries": 1, "started_at": 1, "ended_at": 2,
        "duration_ms": 1, "error": error, "warnings": [said], "cost_nanos": 5, "input_tokens": 1, "output_tokens": 2,
        "model_calls": 0, "simulated": False, "items": None,
    }  # fmt: skip


def run_job(
    world: World, flow_id: str, said: str = CANARY, status: str = "failed", size: int = 1, **options: Any
) -> str:
    """Runs a job to its end with the text in everything that is stored of it."""
    job_id = send(world, flow_id, said * size, **options)
    return end_job(world, job_id, said, status, size)


def send(world: World, flow_id: str, said: str, *, caller: Caller | None = None, key: str | None = None) -> str:
    options = SubmitOptions(idempotency_key=key)
    return world.write(submit, caller or world.caller, flow_id, {"text": said}, options).job_id


def end_job(world: World, job_id: str, said: str, status: str = "failed", size: int = 1) -> str:
    world.write(claim, world.boot_id, job_id)
    lease = Lease(world.boot_id, 1)
    job = world.job(job_id)
    value = json.dumps(said * size)
    progress = Progress(
        job_id,
        world.workspace_id,
        job.flow_id,
        lease,
        steps=(step("test", said),),
        values=tuple(NewValue("test", "", name, value, len(value)) for name in ("input", "output", "log", "tries")),
        calls=(),
        events=(("step.delta", 1, {"text": said * size}), ("step.failed", 2, {"message": said})),
        steps_done=1,
        items_failed=0,
    )
    assert world.write(write_progress, progress) == [True]
    error = {**step("test", said)["error"], "node_label": "Test", "item_index": 3, "attempts": 1}
    more: Any = {"error": error} if status == "failed" else {"result": (json.dumps({"text": said * size}), 9)}
    assert world.write(finish, job_id, status, lease=lease, **more)
    return job_id


def files_hold(world: World, said: str) -> list[str]:
    """Returns the files of the data folder that contain this text; with PostgreSQL, the tables, too."""
    return places_of(world.data, said)


def plan_of(session: Any, statement: str) -> list[str]:
    """Returns the lines of SQLite's query plan."""
    return [row[3] for row in session.connection().exec_driver_sql(f"explain query plan {statement}")]


def flow(world: World) -> str:
    return world.add_flow(document_of(fields=[{"name": "text", "type": "string"}]))


@pytest.mark.parametrize("status", ["failed", "completed"])
@pytest.mark.parametrize("size", [1, 2_000], ids=["small", "large"])
def test_nothing_of_it_is_left_in_the_files_and_the_job_stays(world: World, ada: Any, status: str, size: int) -> None:
    flow_id = flow(world)
    job_id = run_job(world, flow_id, status=status, size=size)
    before = world.job(job_id)
    assert files_hold(world, CANARY)

    world.write(erase_data, ada, job_id)
    assert finish_erasing(world.database)

    assert files_hold(world, CANARY) == []
    after = world.job(job_id)
    assert after.data_erased_at is not None
    kept = (
        "status",
        "created_at",
        "started_at",
        "completed_at",
        "cost_nanos",
        "input_tokens",
        "output_tokens",
        "attempts",
    )
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    if status == "failed":
        assert after.error == {
            "code": "http_status", "node_id": "test", "node_label": "Test", "item_index": 3, "attempts": 1,
            "message": ERASED_MESSAGE, "why": "", "remedy": "",
        }  # fmt: skip


#: What stays of an erased job, by table: the columns that may hold text, all of them without words of a person. Of tables
#: that are not named here, no row of the job stays.
STAYS = {
    "jobs": "id workspace_id flow_id snapshot_id environment key_id batch_id status owner request_id webhook_url trigger",
    "model_calls": "workspace_id job_id flow_id node_id index_path connection model price error",
    "webhook_deliveries": "id workspace_id flow_id job_id batch_id question_id url event status log",
    "hooks": "id workspace_id flow_id title preset mapping created_by",
    "hook_deliveries": "hook_id code reason job_id",
    "hook_messages": "hook_id message job_id",
    "schedule_starts": "schedule_id job_id batch_id left_out trouble",
    "rollup_carried": "job_id workspace_id",
}
_NAMES_JOB = ("job_id", "last_job_id")
#: The columns of which a part stays, with the part that goes.
PARTS = {"jobs.error": {"message": CANARY}, "jobs.run_options": {"title": CANARY}}


def test_each_text_in_a_row_of_a_job_is_erased_or_named_as_what_stays(world: World, ada: Any) -> None:
    flow_id = flow(world)
    job_id = run_job(world, flow_id, "own")
    world.write(add_rows, world.workspace_id, flow_id, "key_1", job_id)
    names_job = {table.name: column for table in TABLES.values() for column in table.c if column.name in _NAMES_JOB}
    names_job["jobs"] = TABLES["jobs"].c.id
    goes = [
        column
        for name, kept in STAYS.items()
        for column in TABLES[name].c
        if isinstance(column.type, String | JSON | LargeBinary) and column.name not in kept.split()
    ]

    def fill(session: Session) -> None:
        session.execute(update(Job).where(Job.id == job_id).values(trigger="hook:hook_1"))
        for column in goes:
            if column.name not in _NAMES_JOB:
                said = PARTS.get(str(column), CANARY)
                session.execute(
                    update(column.table).where(names_job[column.table.name] == job_id).values({column: said})
                )

    def rows_of_it(session: Session) -> set[str]:
        return {
            name
            for name, column in names_job.items()
            if session.scalar(select(column).where(column == job_id).limit(1))
        }

    world.write(fill)
    assert world.read(rows_of_it) == names_job.keys(), "each table has a row of it (tests/storage/releases/rows.py)"

    world.write(erase_data, ada, job_id)
    assert finish_erasing(world.database)

    assert world.read(rows_of_it) - STAYS.keys() == set(), (
        "delete what these tables hold of an erased job (`clear_job` in storage/retention.py, or `mark_erased` in"
        " storage/erasing.py), or name what stays in `STAYS`"
    )
    left = {
        str(column)
        for column in goes
        if CANARY in str(world.read(lambda session, one=column: session.scalars(select(one)).all()))
    }
    assert left == set(), (
        "clear these columns in `mark_erased` of storage/erasing.py, and name what goes where it is told: docs/dev/recipes.md;"
        " a column that never holds words of a person is named in `STAYS`"
    )


def test_nobody_is_shown_what_was_not_removed_yet(world: World, ada: Any) -> None:
    job_id = run_job(world, flow(world))
    world.write(erase_data, ada, job_id)  # marks the job; the bytes are not removed yet
    assert files_hold(world, CANARY)

    assert world.read(list_events, world.workspace_id, job_id) == []
    assert world.read(list_steps, world.workspace_id, job_id) == []
    assert [world.read(find_value, job_id, name, "test") for name in ("input", "output", "log", "tries")] == [None] * 4
    log = world.read(read_log, world.workspace_id, job_id)
    assert (log.events, log.tries, log.said) == ((), {}, {})


def test_runs_of_a_batch_that_are_erased_together_take_their_document_along(world: World, ada: Any) -> None:
    document = document_of(fields=[{"name": "text", "type": "string"}])
    source = {"kind": "listed", "rows": [[CANARY, {"text": CANARY}]] * 3, "skip": []}
    batch = world.write(begin_playground_batch, ada, world.add_flow(document), document, 3, source)
    jobs = [world.write(run_in_batch, ada, batch, {"text": CANARY}, row=row, title="") for row in (1, 2, 3)]
    for job_id in jobs:
        end_job(world, job_id, CANARY)
    world.write(store_batch_state, batch.id, ada.actor, "ended", "", closed=True)

    def snapshots() -> Any:
        return world.read(lambda session: session.scalar(text("select count(*) from snapshots")))

    world.write(erase_data, ada, jobs[0])
    assert finish_erasing(world.database)
    assert snapshots() == 1, "the others are shown with it"
    world.write(erase_data, ada, jobs[1])
    world.write(erase_data, ada, jobs[2])
    assert finish_erasing(world.database)
    assert snapshots() == 0
    assert world.read(lambda session: session.scalar(text("select count(*) from playground_batches"))) == 0


@pytest.mark.sqlite("It is about remains in pages of SQLite's file.")
def test_pages_that_other_jobs_share_keep_no_remains(world: World, ada: Any) -> None:
    """When rows grow or are deleted, SQLite moves neighbouring rows in a page and leaves copies of them in its free
    space.
    """
    flow_id = flow(world)
    jobs = [run_job(world, flow_id, f"{CANARY}-{number:03d}-", size=1 + number * 7 % 40) for number in range(60)]
    world.write(lambda session: session.info[DRIVER].execute("delete from job_values where rowid % 3 = 0"))
    world.write(lambda session: session.info[DRIVER].execute("delete from events where rowid % 3 = 1"))
    gone = jobs[::2]

    for job_id in gone:
        world.write(erase_data, ada, job_id)
    assert finish_erasing(world.database)

    left = [number for number in range(0, 60, 2) if files_hold(world, f"{CANARY}-{number:03d}-")]
    assert left == []
    assert files_hold(world, f"{CANARY}-001-"), "the others' data stays"
    assert world.read(lambda session: session.scalar(text("pragma integrity_check"))) == "ok"


class Meanwhile(threading.Event):
    """Never stops the work, and does something of its own in one pause of it."""

    def __init__(self, work: Callable[[], object], *, pause: int) -> None:
        super().__init__()
        self._work = work
        self._pauses = itertools.count(1)
        self._pause = pause

    def wait(self, timeout: float | None = None) -> bool:
        if next(self._pauses) == self._pause:
            self._work()
        return False


def leave_remains(session: Any) -> int:
    """Puts the text into the unused part of the last page with rows; returns its number."""
    driver = session.info[DRIVER]
    pages = driver.execute("select pgno, data from sqlite_dbpage where substr(data, 1, 1) = x'0d' order by pgno desc")
    for number, page in pages.fetchall():
        begin, end = 8 + 2 * int.from_bytes(page[3:5]), int.from_bytes(page[5:7])
        if end - begin > len(CANARY):
            left = page[: end - len(CANARY)] + CANARY.encode() + page[end:]
            driver.execute("update sqlite_dbpage set data = ? where pgno = ?", (left, number))
            return number
    raise AssertionError("no page has room")


@pytest.mark.parametrize("pages", [3, 9_999], ids=["more-than-one-write-takes", "few"])
@pytest.mark.sqlite("It is about remains in pages of SQLite's file.")
def test_pages_that_the_shrinking_file_moves_while_it_is_looked_through_keep_no_remains(
    world: World, ada: Any, monkeypatch, pages: int
) -> None:
    """SQLite moves the last pages of the file to unused numbers before them, as they are."""
    monkeypatch.setattr("engine.jobs.server.erasing.PAGES", pages)
    flow_id = flow(world)
    early = [run_job(world, flow_id, "early", size=20_000) for _ in range(4)]
    for number in range(30):
        run_job(world, flow_id, f"late-{number}", size=40)
    job_id = run_job(world, flow_id, "own")
    world.write(remove_values, early, 9_999)
    world.write(erase_data, ada, job_id)
    last = world.write(leave_remains)
    monkeypatch.setattr("engine.jobs.server.erasing.LOOKED_AT", last - 2)  # the first look is at all pages before it

    def shrink() -> None:
        assert (
            world.read(lambda session: session.scalar(text(f"select count(*) from steps where job_id = '{job_id}'")))
            == 0
        )
        before = world.read(last_page)
        world.write(release_pages, before)
        assert world.read(last_page) < last, "the page moved"
        assert files_hold(world, CANARY)

    assert finish_erasing(world.database, stop=Meanwhile(shrink, pause=2))

    assert files_hold(world, CANARY) == []
    assert world.read(lambda session: session.scalar(text("pragma integrity_check"))) == "ok"


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.sqlite("It is about remains in pages of SQLite's file.")
def test_without_a_way_to_clear_pages_a_small_file_is_written_anew(
    world: World, ada: Any, monkeypatch, caplog: pytest.LogCaptureFixture, small: bool
) -> None:
    """As with an SQLite that was built without `sqlite_dbpage`."""
    monkeypatch.setattr("storage.erasing._CAN_CLEAN", Statement("select 1 where 0"))
    job_id = run_job(world, flow(world))
    world.write(leave_remains)
    world.write(erase_data, ada, job_id)
    if not small:
        monkeypatch.setattr("engine.jobs.server.erasing.ANEW_BYTES", 0)

    assert finish_erasing(world.database)

    assert is_clean(world.database) == small
    assert files_hold(world, CANARY) == ([] if small else ["flowport.db"])
    assert ("VACUUM" in caplog.text) == (not small)
    assert world.read(unfinished, 9) == []


def test_a_job_that_has_not_ended_is_left_alone(world: World, ada: Any) -> None:
    flow_id = flow(world)
    job_id = world.submit(flow_id, {"text": CANARY}).job_id

    with pytest.raises(JobNotEnded, match="queued"):
        world.write(erase_data, ada, job_id)

    assert world.read(read_value, job_id, "payload") == {"text": CANARY}


def test_erasing_again_changes_nothing_and_tells_the_audit_log_once(world: World, ada: Any) -> None:
    job_id = run_job(world, flow(world))
    world.write(erase_data, ada, job_id)
    first = world.job(job_id).data_erased_at
    assert world.write(erase_data, ada, job_id).data_erased_at == first

    (entry,) = [one for one in world.read(list_entries, world.workspace_id) if one.verb == "erase data"]
    assert (entry.subject, entry.detail) == (job_id, "1 job")


def test_runs_made_again_from_it_lose_their_copies_too(world: World, ada: Any) -> None:
    document = document_of(fields=[{"name": "text", "type": "string"}])
    flow_id = world.add_flow(document)
    job_id = run_job(world, flow_id)
    payload = {"text": CANARY}
    again = world.write(run_in_playground, ada, flow_id, document, payload, RunOptions(again=job_id))
    with pytest.raises(JobNotEnded, match=again):
        world.write(erase_data, ada, job_id)
    end_job(world, again, CANARY)
    third = world.write(run_in_playground, ada, flow_id, document, payload, RunOptions(again=again))
    end_job(world, third, CANARY)
    other = world.write(run_in_playground, ada, flow_id, document, {"text": "own"})
    end_job(world, other, "own")

    world.write(erase_data, ada, job_id)
    assert finish_erasing(world.database)

    assert files_hold(world, CANARY) == []
    assert world.job(other).data_erased_at is None
    with pytest.raises(Conflict, match="erased"):
        world.write(run_in_playground, ada, flow_id, document, payload, RunOptions(again=job_id))


@pytest.mark.sqlite("It reads SQLite's statements and query plans.")
def test_runs_made_again_are_looked_for_before_the_write_that_erases(world: World, ada: Any, clock: MovedClock) -> None:
    document = document_of(fields=[{"name": "text", "type": "string"}])
    flow_id, payload = world.add_flow(document), {"text": CANARY}
    job_id = run_job(world, flow_id)
    early = world.write(run_in_playground, ada, flow_id, document, payload, RunOptions(again=job_id))
    end_job(world, early, CANARY)
    clock.offset += DAY
    copies = world.read(find_copies, world.workspace_id, [job_id])
    assert copies.run_ids == (early,)
    late = world.write(run_in_playground, ada, flow_id, document, payload, RunOptions(again=early))
    end_job(world, late, CANARY)
    ran: list[str] = []

    def traced(session: Any) -> None:
        session.info[DRIVER].set_trace_callback(ran.append)
        erase_data(session, ada, job_id, copies)
        session.info[DRIVER].set_trace_callback(None)

    world.write(traced)
    assert finish_erasing(world.database)

    assert files_hold(world, CANARY) == []
    assert all(world.job(one).data_erased_at for one in (job_id, early, late))
    (since,) = [int(said) for one in ran for said in re.findall(r"created_at >= (\d+)", one)]
    assert since > world.job(early).created_at, "those of before are not passed again"


def test_the_remembered_request_cannot_be_compared_any_more(world: World, ada: Any) -> None:
    flow_id = flow(world)
    job_id = run_job(world, flow_id, key="k1")
    (before,) = world.read(lambda session: session.scalars(text("select fingerprint from idempotency")).all())

    world.write(erase_data, ada, job_id)
    assert finish_erasing(world.database)

    assert files_hold(world, before) == []
    with pytest.raises(IdempotencyKeyReused, match="erased"):
        send(world, flow_id, CANARY, key="k1")


def test_what_was_interrupted_is_finished_by_the_server(world: World, ada: Any) -> None:
    job_id = run_job(world, flow(world))
    world.write(erase_data, ada, job_id)  # the process ends before the erasing is finished
    assert files_hold(world, CANARY)

    Maintenance(world.database, Settings(data=world.data), open_vault(world.data)).pass_over()

    assert files_hold(world, CANARY) == []


def test_a_look_of_the_server_does_a_part_however_much_is_erased(world: World, ada: Any, monkeypatch) -> None:
    monkeypatch.setattr("engine.jobs.server.erasing.JOBS", 2)
    flow_id = flow(world)
    jobs = [run_job(world, flow_id) for _ in range(3)]
    for job_id in jobs:
        world.write(erase_data, ada, job_id)
    maintenance = Maintenance(world.database, Settings(data=world.data), open_vault(world.data))

    maintenance.pass_over()
    assert len(world.read(unfinished, 9)) == 1

    maintenance.pass_over()
    assert world.read(unfinished, 9) == []


def test_the_server_goes_on_with_its_other_work_while_somebody_erases(world: World, ada: Any) -> None:
    """A continuous stream of erasures must not delay retention, the nightly backup or the end of the server."""
    run_job(world, flow(world))
    maintenance = Maintenance(world.database, Settings(data=world.data), open_vault(world.data))
    looking = threading.Thread(target=maintenance.pass_over, daemon=True)
    with erasing._one_at_a_time:
        looking.start()
        looking.join(timeout=20)
        assert not looking.is_alive()
    assert [one.kind for one in list_backups(world.data)] == ["nightly"]


def test_values_that_retention_took_before_can_be_erased_still(world: World, ada: Any, clock: MovedClock) -> None:
    job_id = run_job(world, flow(world))
    clock.offset = 31 * DAY
    Retention(world.database, rest=0).run(Rules(cap_gb=0))
    assert files_hold(world, CANARY), "the message stays"

    world.write(erase_data, ada, job_id)
    assert finish_erasing(world.database)

    assert files_hold(world, CANARY) == []


@pytest.mark.parametrize("days", [31, 500], ids=["values", "rows"])
def test_retention_leaves_a_job_alone_that_is_being_erased(
    world: World, ada: Any, clock: MovedClock, days: int
) -> None:
    """Retention must leave the row: without it, the erasing would count as finished before pages and log are
    cleaned.
    """
    job_id = run_job(world, flow(world))
    world.write(erase_data, ada, job_id)  # the process ends before the erasing is finished
    clock.offset = days * DAY

    Retention(world.database, rest=0).run(Rules(cap_gb=1e-6))
    assert world.read(unfinished, 9) == [job_id]

    assert finish_erasing(world.database)
    assert files_hold(world, CANARY) == []
    Retention(world.database, rest=0).run(Rules())
    assert (world.read(find_job, world.workspace_id, job_id) is None) == (days == 500), "its row goes when it is due"


def test_retention_that_chose_a_job_before_it_was_erased_leaves_it_alone(world: World, ada: Any) -> None:
    job_id = run_job(world, flow(world))
    world.write(erase_data, ada, job_id)

    world.write(remove_values, [job_id], 999)
    assert world.write(remove_jobs, [job_id]) == 0

    assert world.read(unfinished, 9) == [job_id]


def test_all_that_a_key_sent_in_a_period_goes_in_parts(world: World, ada: Any, clock: MovedClock, monkeypatch) -> None:
    monkeypatch.setattr("engine.actions.erasing.PART_JOBS", 2)
    flow_id = flow(world)
    keys = [world.write(create_key, ada, label, "live").id for label in ("Shop", "Other")]
    shop, other = (Caller(world.workspace_id, key, "live") for key in keys)
    run_job(world, flow_id, "early", caller=shop)
    clock.offset += DAY
    since = clock.now()
    jobs = [run_job(world, flow_id, f"{CANARY}{number}", caller=shop) for number in range(5)]
    open_one = send(world, flow_id, "open", caller=shop)
    run_job(world, flow_id, "foreign", caller=other)
    until = clock.now() + 1
    clock.offset += DAY
    run_job(world, flow_id, "late", caller=shop)

    parts, after = [], (since - 1, "~")
    while after is not None:
        part = world.read(find_part, world.workspace_id, keys[0], until, after)
        parts.append(world.write(erase_part, ada, keys[0], part.job_ids))
        after = part.after
    assert finish_erasing(world.database)

    assert (sum(parts), max(parts)) == (5, 2)
    assert files_hold(world, CANARY) == []
    assert all(world.job(job).data_erased_at for job in jobs)
    assert world.read(read_value, open_one, "payload") == {"text": "open"}
    for kept in ("early", "foreign", "late"):
        assert files_hold(world, kept)
    entries = [one for one in world.read(list_entries, world.workspace_id) if one.verb == "erase data"]
    assert {one.subject for one in entries} == {keys[0]}
    assert CANARY not in repr(entries)
    assert world.write(erase_part, ada, keys[0], jobs) == 0, "again is no error"
    assert world.write(erase_part, ada, keys[1], [open_one]) == 0, "of another key"
    with pytest.raises(JobNotEnded):
        world.write(erase_part, ada, keys[0], [open_one])


@pytest.mark.sqlite("It reads SQLite's statements and query plans.")
def test_the_write_that_erases_a_keys_jobs_looks_for_none_of_them(world: World, ada: Any) -> None:
    """A workspace may have a million jobs of other keys.

    They are scanned in a read, because a write would block other writers.
    """
    key_id = world.write(create_key, ada, "Shop", "live").id
    job_id = run_job(world, flow(world), caller=Caller(world.workspace_id, key_id, "live"))
    ran: list[str] = []

    def traced(session: Any) -> int:
        session.info[DRIVER].set_trace_callback(ran.append)
        try:
            return erase_part(session, ada, key_id, [job_id])
        finally:
            session.info[DRIVER].set_trace_callback(None)

    assert world.write(traced) == 1
    reads = [one for one in ran if re.search(r"\bfrom jobs\b", one, re.IGNORECASE)]
    plans = [line for one in reads for line in world.read(plan_of, one)]
    assert reads
    assert [line for line in plans if " jobs " in f"{line} " and not re.search(r"\(id=\?\)|ix_jobs_copies", line)] == []


def test_another_workspaces_jobs_and_keys_are_unknown(world: World) -> None:
    job_id = run_job(world, flow(world))
    mallory = person("ws_other", name="Mallory")
    with pytest.raises(NotFound):
        world.write(erase_data, mallory, job_id)
    with pytest.raises(NotFound):
        world.write(erase_part, mallory, "key_x", [job_id])
