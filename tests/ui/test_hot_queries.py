"""No query of a page or a job scans a growing table as a whole, according to SQLite's query plans.

Durations are measured by `make bench`: they depend on the machine, query plans do not.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator

from nicegui.testing import User
from sqlalchemy import event

from engine.actions.jobs import cancel_all
from engine.actions.questions import Answer, answer_question
from engine.jobs.questions import expire_due
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.batches import accept_batch
from engine.jobs.submit.bodies import SubmitOptions
from storage.batches import batch_job_ids, list_batch_runs, list_batches
from storage.database import Database
from storage.files import find_files
from storage.first_steps import was_called
from storage.job_log import calls_without_answer, read_log
from storage.jobs import JobFilters, find_last_run_payload, list_jobs
from storage.playground_batches import find_job_of_row, list_repeats
from storage.questions import (
    has_due_question,
    list_questions_of_job,
    list_refusers,
    list_refusers_of_batch,
    page_of_questions,
)
from storage.run_comparison import list_recent_runs
from storage.statements import DRIVER
from tests.factories import asks_person
from tests.ui.arrange import accepted, ended, refused
from tests.ui.conftest import Site

#: Tables with at least one row per call.
GROWING = (
    "jobs",
    "job_values",
    "steps",
    "events",
    "model_calls",
    "refused_calls",
    "refusal_counts",
    "idempotency",
    "webhook_deliveries",
    "questions",
    "hook_deliveries",
    "hook_messages",
    "schedule_starts",
    "task",
)
READS_ALL = re.compile(rf"SCAN ({'|'.join(GROWING)})(_\d+)?\b")


@contextlib.contextmanager
def caught(database: Database) -> Iterator[set[str]]:
    """Collects every statement that is executed within the block, with its parameters."""
    statements: set[str] = set()
    for engine in (database.read_engine, database.write_engine):
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(statements.add))
    for run in (database.write_now, database.look_up):  # their connections stay open
        run(lambda session: session.info[DRIVER].set_trace_callback(statements.add))
    statements.clear()  # the end of that write
    yield statements


def plans(database: Database, statements: set[str]) -> dict[str, list[str]]:
    """Returns statement -> the lines of its query plan."""
    found = {}
    with contextlib.closing(sqlite3.connect(database.url.removeprefix("sqlite:///"))) as connection:
        for statement in list(statements):  # the server adds statements meanwhile
            if re.match(r"\s*(select|with|insert|update|delete)\b", statement, re.IGNORECASE):
                found[statement] = [row[3] for row in connection.execute(f"explain query plan {statement}")]
    return found


def full_reads(database: Database, statements: set[str]) -> list[str]:
    """Returns the full scans of growing tables, as text for the failure message."""
    return [
        f"{line}\n    in {' '.join(statement.split())[:700]}"
        for statement, lines in plans(database, statements).items()
        for line in lines
        if READS_ALL.search(line)
    ]


def test_a_full_read_is_noticed(site: Site) -> None:
    for wrong in ("select * from jobs where request_id = 'x'", "select count(*) from steps"):
        assert len(full_reads(site.database, {wrong})) == 1
    assert full_reads(site.database, {"select * from jobs where id = 'x'", "select * from flows"}) == []


async def test_no_page_reads_a_growing_table_from_end_to_end(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id, "failed")
    ended(site, flow_id)
    asking = accepted(site, flow_id)
    answered = asks_person(site.database, asking)
    site.database.write_now(answer_question, site.owner, answered.id, Answer(approved=True))
    asking = accepted(site, flow_id)
    asks_person(site.database, asking)
    refused(site, flow_id)
    pages = [
        "/start",
        "/flows",
        *(f"/flows/{flow_id}?tab={tab}" for tab in ("api", "triggers", "versions", "jobs", "monitoring", "settings")),
        "/jobs",
        f"/jobs?flow={flow_id}&status=failed",
        "/jobs?trigger=schedule:",
        "/jobs?trigger=hook:hook_1",
        "/jobs?tab=refused",
        f"/jobs?tab=refused&flow={flow_id}&code=validation_failed",
        f"/jobs/{job_id}",
        f"/jobs/{job_id}?step=text_template",
        f"/jobs/{asking}",
        "/waiting",
        *(f"/monitoring?range={name}" for name in ("1h", "30d")),
        f"/monitoring?range=30d&flow={flow_id}",
        *(f"/settings/{place}" for place in ("keys", "tools", "limits", "about")),
        f"/playground/{flow_id}",
    ]
    with caught(site.database) as statements:
        for page in pages:
            await user.open(page)

    assert len(statements) > 40
    assert any(" jobs " in statement for statement in statements)
    assert full_reads(site.database, statements) == []


def test_no_call_and_no_worker_reads_a_growing_table_from_end_to_end(site: Site) -> None:
    flow_id = site.flow("Greeting", live=True)
    filters = (
        JobFilters(),
        JobFilters(environments=("live",)),
        JobFilters(statuses=("failed",), environments=("live",)),
        JobFilters(flow_id=flow_id, created_after=1),
    )
    with caught(site.database) as statements:
        for status in ("completed", "failed", "cancelled"):
            ended(site, flow_id, status)
        for narrowed in filters:
            site.database.read_now(list_jobs, site.workspace_id, narrowed)
        caller = Caller(site.workspace_id, None, "live")
        items = {"items": [{"name": "Ada"}, {"name": "Grace"}]}
        batch_id = site.database.write_now(accept_batch, caller, flow_id, items, SubmitOptions(route="/batch")).batch_id
        site.database.read_now(list_batches, site.workspace_id, caller.scope, 50, None)
        site.database.read_now(batch_job_ids, batch_id, 50, None)
        site.database.write_now(cancel_all, caller, batch_id)
        question = asks_person(site.database, accepted(site, flow_id), expires_after_seconds=0)
        assert site.database.read_now(has_due_question)
        assert site.database.write_now(expire_due) == 1
        site.database.read_now(page_of_questions, site.workspace_id, question.job_id, 50, None)

    assert any("insert into jobs" in statement.lower() for statement in statements)
    assert full_reads(site.database, statements) == []


def test_the_last_input_of_a_flow_is_found_without_reading_the_jobs_of_its_callers(site: Site) -> None:
    flow_id = site.flow("Greeting", live=True)
    with caught(site.database) as statements:
        for keys in ((), ("key_1", "key_2")):
            for completed in (True, False):
                site.database.read_now(find_last_run_payload, site.workspace_id, flow_id, keys, completed=completed)
    found = [line for one in plans(site.database, statements).values() for line in one if "jobs" in line]
    assert len(found) == 4
    assert all("USING INDEX ix_jobs_tried (flow_id=?)" in line for line in found), found


def test_the_runs_that_repeat_rows_of_a_batch_are_found_without_reading_the_jobs_of_callers(site: Site) -> None:
    with caught(site.database) as statements:
        site.database.read_now(list_repeats, site.workspace_id, "bat_1")
    (lines,) = (lines for one, lines in plans(site.database, statements).items() if " jobs" in one)
    assert [line for line in lines if " jobs " in line] == [
        "SEARCH jobs USING INDEX ix_jobs_tried (flow_id=? AND created_at>?)",
        "SEARCH jobs USING INDEX ix_jobs_batch (batch_id=?)",
    ]


def test_a_query_of_one_job_batch_flow_or_trigger_reads_nothing_else_of_the_workspace(site: Site) -> None:
    flow_id = site.flow("Greeting", live=True)
    for _ in range(2):
        asks_person(site.database, accepted(site, flow_id))
    ours = site.workspace_id
    jobs = site.database.read_now(list_jobs, ours).jobs
    assert [job.questions for job in jobs] == [1, 1]
    with caught(site.database) as statements:
        site.database.read_now(calls_without_answer, ours, jobs[0].id)
        site.database.read_now(read_log, ours, jobs[0].id)
        site.database.read_now(list_questions_of_job, ours, jobs[0].id)
        site.database.read_now(page_of_questions, ours, jobs[0].id, 50, None)
        site.database.read_now(list_refusers, ours, jobs)
        site.database.read_now(list_refusers_of_batch, ours, "bat_1")
        site.database.read_now(list_batch_runs, ours, "bat_1")
        site.database.read_now(find_job_of_row, ours, "bat_1", 1)
        site.database.read_now(list_repeats, ours, "bat_1")
        site.database.read_now(was_called, ours, flow_id)
        site.database.read_now(list_recent_runs, ours, flow_id)
        site.database.read_now(find_files, ours, [f"file_{number}" for number in range(50)])
        for narrowed in (
            JobFilters(flow_id=flow_id),
            JobFilters(flow_id=flow_id, statuses=("failed",), environments=("live",)),
            JobFilters(batch_id="bat_1"),
            JobFilters(trigger="hook:hook_1"),
        ):
            site.database.read_now(list_jobs, ours, narrowed)
    found = plans(site.database, statements)
    assert len(found) > 15
    assert [(one, lines) for one, lines in found.items() if "workspace_id=?" in str(lines)] == []
    assert full_reads(site.database, statements) == []
