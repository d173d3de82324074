"""The list of jobs: its filters, its file, and what it says of each job."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import sqlite3
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from nicegui import ui
from nicegui.testing import User
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from engine.actions.erasing import erase_data
from engine.actions.jobs import run_in_playground
from engine.actions.keys import create_key
from engine.actions.workspaces import create_workspace
from engine.core.clock import HOUR, month_of
from engine.core.ids import FlowId
from storage.jobs import JobFilters, count_failed_runs, count_jobs, find_status
from storage.members import list_people
from storage.tables import Job, Usage, Value, Workspace
from storage.usage import usage_subject
from tests.ui.arrange import (
    FAILED,
    accepted,
    buttons,
    draft,
    ended,
    hrefs,
    page_text,
    press,
    somebody_else,
    texts,
    until,
    went_on,
)
from tests.ui.conftest import Site
from tests.ui.test_hot_queries import caught
from tests.workbooks import read_workbook
from ui.parts.job_words import short_reason
from ui.parts.time_range import span_of


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("Read the page: `https://a.example/b` answered 404.", "Read the page: `https://a.example/b` answered 404."),
        (
            f"Send: `https://mail.a.example/{'b' * 60}` is not opened.",
            f"Send: `https://mail.a.example/{'b' * 16}…` is not opened.",
        ),
        (f"`https://a.example/{'b' * 60}`, no HTML. Try `b`.", f"`https://a.example/{'b' * 21}…`, no HTML. Try `b`."),
        ("Model: The key is wrong.", "Model: The key is wrong."),
        ("Read: The answer of `https://a.example/` is late.", "Read: The answer of `https://a.example/` is late."),
    ],
)
def test_a_long_address_does_not_hide_the_reason(why: str, shown: str) -> None:
    assert short_reason(why) == shown


async def test_jobs_are_listed_with_what_matters(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    ended(site, flow_id, "failed", "test")
    accepted(site, flow_id, "dev")

    await user.open("/jobs")

    said = texts(user)
    for word in ("Completed", "Failed", "Waiting", "Greeting", "v1", "Production", "Staging", "Development"):
        assert word in said


async def test_filters_stand_in_the_address(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    other = site.flow("Other", live=True)
    ended(site, flow_id)
    failed = ended(site, other, "failed")

    await user.open(f"/jobs?status=failed&flow={other}&environment=live")
    assert _rows(user) == [f"/jobs/{failed}"]
    await user.open("/jobs?q=answered 500")
    assert _rows(user) == [f"/jobs/{failed}"]
    await user.open(f"/jobs?q={failed}")
    assert _rows(user) == [f"/jobs/{failed}"]
    assert "looks at ids of jobs, titles of flows and texts of errors, not at inputs" in page_text(user)
    await user.open("/jobs?q=OTH")
    assert _rows(user) == [f"/jobs/{failed}"], "the title of its flow has it"
    await user.open("/jobs?status=cancelled")
    assert "No job fits these filters" in page_text(user)
    await user.open("/jobs?cursor=nonsense&status=whatever")
    assert len(_rows(user)) == 2


async def test_older_jobs_are_a_page_further(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    for _ in range(31):
        ended(site, flow_id)
    await user.open("/jobs")
    assert len(_rows(user)) == 30

    press(user, "Older jobs")
    await user.should_see("Newest")

    assert len(_rows(user)) == 1


async def test_a_new_job_appears_by_itself(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open("/jobs")
    await user.should_see("No jobs yet")

    job_id = ended(site, flow_id)
    await user.should_see("Completed", retries=100)

    assert _rows(user) == [f"/jobs/{job_id}"]


async def test_jobs_are_narrowed_by_key_and_time(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    made = site.database.write_now(create_key, site.owner, "Web shop", "live")
    mine = accepted(site, flow_id, key_id=made.id)
    accepted(site, flow_id)

    await user.open(f"/jobs?key={made.id}")
    assert _rows(user) == [f"/jobs/{mine}"]
    await user.open("/jobs?range=1h")
    assert len(_rows(user)) == 2
    await user.open("/jobs?from=2020-01-01T00:00&to=2020-02-01")
    assert "No job fits these filters" in page_text(user)
    await user.open("/jobs?range=nonsense&from=never&to=")
    assert len(_rows(user)) == 2
    site.clock.offset += 2 * HOUR
    await user.open("/jobs?range=1h")
    assert "No job fits these filters" in page_text(user)


@pytest.mark.parametrize(
    ("zone", "now", "begin", "end"),
    [
        ("UTC", "2026-11-28T13:00:00+00:00", "2026-11-27T00:00:00+00:00", "2026-11-28T00:00:00+00:00"),
        ("Europe/Berlin", "2026-11-28T23:30:00+00:00", "2026-11-27T23:00:00+00:00", "2026-11-28T23:00:00+00:00"),
        ("Europe/Berlin", "2026-10-26T10:00:00+00:00", "2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"),
    ],
)
def test_yesterday_is_the_day_before_in_the_time_zone_of_the_person(zone: str, now: str, begin: str, end: str) -> None:
    def millis(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp() * 1000)

    span = span_of({"range": "yesterday"})
    assert (span.choice, span.said()) == ("yesterday", {"range": "yesterday"})
    assert span.limits(millis(now), ZoneInfo(zone)) == (millis(begin), millis(end) - 1)


async def test_the_filtered_jobs_are_a_csv_file_that_no_spreadsheet_runs(site: Site, user: User) -> None:
    flow_id = site.flow("=HYPERLINK(0)", live=True)
    failed = ended(site, flow_id, "failed")
    ended(site, flow_id)
    await user.open(f"/jobs?status=failed&flow={flow_id}")
    assert f"/jobs/export.csv?status=failed&flow={flow_id}" in hrefs(user)

    answer = await user.http_client.get(f"/jobs/export.csv?status=failed&flow={flow_id}")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="jobs-')
    (row,) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert (row["job_id"], row["status"], row["flow"], row["error_code"]) == (
        failed,
        "failed",
        "'=HYPERLINK(0)",
        "http_status",
    )
    assert f"/jobs/export.xlsx?status=failed&flow={flow_id}" in hrefs(user)
    workbook = await user.http_client.get(f"/jobs/export.xlsx?status=failed&flow={flow_id}")
    ((names, cells),) = read_workbook(workbook.content).values()
    assert dict(zip(names, cells, strict=True)).items() >= {"flow": "=HYPERLINK(0)", "attempts": 1}.items()
    stranger = await site.browser().get("/jobs/export.csv")
    assert stranger.status_code == 303


async def test_the_list_says_how_many_jobs_fit(site: Site, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    flow_id = site.flow("Greeting", live=True)
    for status in ("failed", "completed", "failed"):
        site.clock.offset += 1_000
        ended(site, flow_id, status)
    await user.open("/jobs")
    assert "3 jobs" in texts(user)
    await user.open("/jobs?status=completed")
    assert "1 job" in texts(user)
    monkeypatch.setattr("ui.jobs.jobs_page.MAX_COUNTED", 2)
    await user.open("/jobs?status=failed")
    assert "2 jobs" in texts(user)
    await user.open("/jobs")
    assert "3 or more jobs" in texts(user), "those that are listed count in any case"
    monkeypatch.setattr("storage.jobs._MAX_LOOKED_AT", 2)
    counted = site.database.read_now(count_jobs, site.workspace_id, JobFilters(statuses=("failed",)), 100)
    assert counted == (1, False), "the oldest one is not looked at"


async def test_all_that_wait_are_cancelled_after_a_question(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    site.database.write_now(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    mine, kept = [accepted(site, flow_id) for _ in range(3)], accepted(site, other)
    await user.open("/jobs")
    assert "Cancel all that wait" not in buttons(user)
    await user.open(f"/jobs?status=queued&flow={flow_id}")
    press(user, "Cancel all that wait")
    await user.should_see("3 waiting jobs with these filters will not run. Jobs that run go on.")
    press(user, "Cancel them")
    await user.should_see("3 jobs are cancelled.")

    def status(job_id: str) -> str | None:
        return site.database.read_now(find_status, site.workspace_id, job_id)

    assert [status(job_id) for job_id in (*mine, kept)] == ["cancelled", "cancelled", "cancelled", "queued"]


async def test_the_csv_file_has_every_job_and_nobody_elses(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    site.database.write_now(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    for _ in range(7):
        accepted(site, flow_id)
    from ui.jobs import jobs_csv

    jobs_csv.PIECE = 3
    await user.open("/jobs")
    assert len((await user.http_client.get("/jobs/export.csv")).text.strip().split("\n")) == 8
    site.workspace_id = site.database.write_now(create_workspace, "Elsewhere")
    other = await somebody_else(site)
    assert len((await other.http_client.get("/jobs/export.csv")).text.strip().split("\n")) == 1


async def test_half_of_a_character_in_an_error_breaks_off_no_csv_file(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id, "failed", error={**FAILED, "message": "It said: a\ud83d"})
    await user.open("/jobs")
    assert "It said: a" in page_text(user)

    answer = await user.http_client.get("/jobs/export.csv")

    (row,) = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert row["error_message"] == "It said: a�"


async def test_half_of_a_character_in_a_long_result_is_downloaded(site: Site, user: User) -> None:
    value = {str(number): {"deep": "a\ud83d"} for number in range(2_000)}
    text = json.dumps(value)
    job_id = ended(site, site.flow(live=True), result=(text, len(text)))
    await user.open(f"/jobs/{job_id}")

    press(user, "Download all of it")

    assert json.loads((await user.download.next()).content) == json.loads(text.replace("\\ud83d", "�"))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@A1", "\tx", "\rx"])
def test_a_cell_that_begins_like_a_formula_is_escaped(cell: str) -> None:
    from engine.table_files.writing import safe_cell

    assert safe_cell(cell) == f"'{cell}"
    assert (safe_cell("Ada"), safe_cell(-1), safe_cell("")) == ("Ada", -1, "")


@pytest.mark.parametrize(("used", "said"), [(799, ""), (800, "nearly used up"), (1000, "are used up")])
async def test_a_month_that_is_nearly_used_up_is_said_where_calls_are_looked_at(
    site: Site, user: User, used: int, said: str
) -> None:
    flow_id = site.flow("Greeting", live=True)
    _use_requests(site, used)
    for path in ("/jobs", f"/flows/{flow_id}") if said else ("/jobs",):
        await user.open(path)
        assert ("This month's requests" in page_text(user)) is bool(said)
        assert not said or (said in page_text(user) and "You can raise the limit." in page_text(user))


async def test_staging_that_is_nearly_used_up_is_said_by_name(site: Site, user: User) -> None:
    _use_requests(site, 250, "test")
    await user.open("/jobs")
    assert "This month's requests of Staging are used up." in page_text(user)
    assert "250 of 250." in page_text(user)
    assert "requests of Production" not in page_text(user)


async def test_a_viewer_learns_who_can_raise_the_limit(site: Site) -> None:
    viewer = await site.sign_in("viewer")
    _use_requests(site, 900)
    await viewer.open("/monitoring")
    assert "can raise the limit." in page_text(viewer)
    assert "You can" not in page_text(viewer)


def _use_requests(site: Site, count: int, environment: str = "live") -> None:
    subject = usage_subject(site.workspace_id, environment)
    used = Usage(subject=subject, active=0, month=month_of(site.clock.now()), month_count=count)
    site.database.write_now(lambda session: session.merge(used) and None)


def _rows(user: User) -> list[str]:
    assert user.client is not None
    found = [
        str(element.props.get("href"))
        for element in user.client.elements.values()
        if element.tag == "a" and str(element.props.get("href", "")).startswith("/jobs/job_")
    ]
    return list(dict.fromkeys(found))


async def test_addresses_in_the_error_of_a_listed_job_are_code(site: Site, user: User) -> None:
    ended(site, site.flow("Greeting", live=True), "failed")
    await user.open("/jobs")

    assert not [text for text in texts(user) if "`" in text]
    assert user.client is not None
    assert not [one for one in user.client.elements.values() if "`" in str(one.props.get("title", ""))]


async def test_a_call_of_try_it_now_is_called_so_in_the_list(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    tried = site.database.write_now(create_key, site.owner, "Try it now", "dev")
    mine = site.database.write_now(create_key, site.owner, "My tests", "dev")
    site.database.write_now(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    accepted(site, flow_id, "dev", key_id=tried.id)
    await user.open("/jobs")
    assert _callers(user) == ["Try it now"]

    accepted(site, flow_id, "dev", key_id=mine.id)
    await until(lambda: "My tests" in _callers(user))


async def test_the_list_says_of_every_job_who_called(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    site.database.write_now(run_in_playground, site.owner, FlowId(flow_id), draft(site, flow_id), {"name": "Ada"})
    await user.open("/jobs")

    assert "Called by" in texts(user)
    assert _callers(user) == ["The team", "A program"]


async def test_one_kind_of_error_is_named_in_words_and_can_be_taken_away(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    failed = ended(site, flow_id, "failed")
    await user.open("/jobs?error=http_status")
    assert _rows(user) == [f"/jobs/{failed}"]

    press(user, "Website answered with an error")

    await until(lambda: len(_rows(user)) == 2)
    assert "Website answered with an error" not in buttons(user)


def _callers(user: User) -> list[str]:
    rows = sorted((one for one in user.find(kind=ui.element).elements if one.tag == "tr"), key=lambda one: one.id)
    cells = [[part for part in row.default_slot.children if part.tag == "td"] for row in rows]
    called = [row[3] for row in cells if len(row) > 3]
    return [" ".join(str(part.text) for part in cell.descendants() if getattr(part, "text", "")) for cell in called]


async def test_a_completed_job_says_how_many_steps_failed_and_is_found_by_that(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    whole, lost = ended(site, flow_id), went_on(site, flow_id)

    await user.open("/jobs")
    assert {"Completed", "Completed, 1 step failed"} <= set(texts(user))
    await user.open("/jobs?status=steps_failed")
    assert _rows(user) == [f"/jobs/{lost}"]
    assert [one.value for one in user.find(kind=ui.select).elements if "steps_failed" in one.options]
    await user.open("/jobs?status=completed")
    assert set(_rows(user)) == {f"/jobs/{lost}", f"/jobs/{whole}"}, "its status is completed"
    (row,) = csv.DictReader(
        io.StringIO((await user.http_client.get("/jobs/export.csv?status=steps_failed")).text.removeprefix("\ufeff"))
    )
    assert (row["job_id"], row["status"], row["steps_failed"]) == (lost, "completed", "1")


async def test_runs_that_failed_are_marked_until_the_person_sees_them(
    site: Site, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.page_session.WATCH_SECONDS", 0.5)
    flow_id = site.flow("Greeting", live=True)
    for environment in ("live", "dev"):
        site.clock.offset += 1000
        ended(site, flow_id, "failed", environment)
    await user.open("/flows")
    assert marked(user) == ["1, 1 run failed since you last looked"]
    site.clock.offset += 1000
    ended(site, flow_id, "failed")
    await until(lambda: marked(user) == ["2, 2 runs failed since you last looked"])

    site.clock.offset += 1000
    assert "/jobs?status=failed" in hrefs(user)
    await user.open("/jobs")
    await until(lambda: marked(user) == [])
    assert "/jobs?status=failed" not in hrefs(user)
    await user.open("/flows")
    assert marked(user) == []
    site.clock.offset += 1000
    ended(site, flow_id, "failed")
    await user.open("/flows")
    assert marked(user) == ["1, 1 run failed since you last looked"]


async def test_the_mark_stays_while_the_failed_run_is_not_shown(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id, "failed")
    for _at in range(30):
        site.clock.offset += 1000
        ended(site, flow_id, "failed", "dev")
    for query in ("?status=completed", "?environment=test", "?tab=refused", f"?flow={flow_id}", "", "?status=failed"):
        await user.open(f"/jobs{query}")
        await asyncio.sleep(1.5)  # the page looks each second
        assert marked(user) == ["1, 1 run failed since you last looked"], query
    press(user, "Older jobs")
    await until(lambda: marked(user) == [])


async def test_the_mark_stays_until_each_failed_run_was_shown(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    for status in ("failed", "failed", "failed", *["completed"] * 30, "failed"):
        site.clock.offset += 1000
        ended(site, flow_id, status)
    await user.open("/jobs")
    await asyncio.sleep(1.5)  # the page looks each second
    assert marked(user) == ["4, 4 runs failed since you last looked"], "three are on the next page"
    press(user, "Older jobs")
    await until(lambda: marked(user) == [])


async def test_of_more_failed_runs_than_are_counted_one_visit_takes_the_mark(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Another", live=True)
    job_id = ended(site, flow_id, "failed")

    def fail_again(session: Session) -> None:
        job = session.get_one(Job, job_id)
        row = {column.name: getattr(job, column.name) for column in Job.__table__.columns}
        at = {"created_at": job.created_at, "completed_at": job.completed_at}
        many = [
            {**row, **{name: when + number for name, when in at.items()}, "id": f"job_{number}"}
            for number in range(1, 140)
        ]
        session.execute(insert(Job), many)

    site.database.write_now(fail_again)
    site.clock.offset += 1000
    ended(site, other, "failed")
    await user.open(f"/jobs?flow={flow_id}")
    await asyncio.sleep(1.5)  # the page looks each second
    assert marked(user) == ["99+, More than 99 runs failed since you last looked"], "the newest is not among them"
    await user.open("/jobs?status=failed")
    assert "Older jobs" in buttons(user)
    await until(lambda: marked(user) == [])


async def test_an_open_page_asks_for_the_news_when_a_failed_run_is_new_on_it(
    site: Site, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.page_session.WATCH_SECONDS", 60)  # it asks for their number, too
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id, "failed")
    await user.open("/jobs")
    await until(lambda: marked(user) == [])

    async def asked(status: str) -> bool:
        with caught(site.database) as statements:
            job_id = ended(site, flow_id, status)
            await until(lambda: f"/jobs/{job_id}" in _rows(user))
            await asyncio.sleep(1.5)  # the page looks each second
        return any("jobs_seen_at" in one and one.lstrip().startswith("select id from jobs") for one in statements)

    assert not await asked("completed")
    assert await asked("failed")


async def test_a_run_that_fails_while_the_list_is_open_is_seen_there(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open("/jobs")
    await user.should_see("No jobs yet")
    site.clock.offset += 1000
    job_id = ended(site, flow_id, "failed")
    await until(lambda: _rows(user) == [f"/jobs/{job_id}"])
    ada = site.database.read_now(list_people, site.workspace_id)[0].id
    await until(lambda: site.database.read_now(count_failed_runs, site.workspace_id, ada) == 0)
    await user.open("/flows")
    assert marked(user) == []


async def test_jobs_are_shown_while_the_database_takes_no_writes(site: Site, user: User) -> None:
    """That the person has seen them is stored when it takes writes again."""
    ended(site, site.flow("Greeting", live=True), "failed")
    with contextlib.closing(sqlite3.connect(site.database.url.removeprefix("sqlite:///"))) as other:
        other.isolation_level = None
        other.execute("begin immediate")
        await user.open("/jobs")
        assert "Failed" in page_text(user)
        await asyncio.sleep(2)
        assert marked(user) == ["1, 1 run failed since you last looked"]
        other.execute("rollback")
    await until(lambda: marked(user) == [])


def marked(user: User) -> list[str]:
    counts = [one for one in user.find(kind=ui.element).elements if "fp-count--bad" in one.classes]
    return ["".join(getattr(part, "text", "") for part in (one, *one.descendants())) for one in counts][:1]


async def test_a_list_of_jobs_says_why_one_failed(site: Site, user: User) -> None:
    ended(site, site.flow("Greeting", live=True), "failed")
    await user.open("/jobs")
    assert {"Greet: ", "https://example.com", " answered 500."} <= set(texts(user))


async def test_the_list_shows_how_the_inputs_begin(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    ended(site, flow_id)
    large = ended(site, flow_id)
    erased = ended(site, flow_id)
    site.database.write_now(erase_data, site.owner, erased)
    site.database.write_now(lambda session: setattr(session.get_one(Value, (large, "", "", "payload")), "size", 9_000))

    for page in ("/jobs", f"/flows/{flow_id}?tab=jobs"):
        await user.open(page)
        await user.should_see("name: Ada")
        assert page_text(user).count("name: Ada") == 1, "none of a large or an erased input"
