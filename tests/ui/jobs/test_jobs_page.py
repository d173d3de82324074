"""The jobs page, the page of one job, and refused calls."""

from __future__ import annotations

import csv
import io
import json
import threading
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from engine.actions.flows import delete_flow
from engine.actions.jobs import run_in_playground
from engine.actions.keys import create_key
from engine.actions.workspaces import create_workspace
from engine.core.clock import HOUR, month_of
from engine.core.ids import FlowId
from engine.flow.contract import input_fields
from storage.flows import get_flow
from storage.jobs import find_job, list_jobs
from storage.refusals import KEPT_CALLS, Counted, add_refusals, list_refused_calls
from storage.retention import remove_values
from storage.tables import Job, Step, Usage, Workspace
from storage.usage import usage_subject
from tests.logical_time import pass_time
from tests.stored import failing
from tests.ui.arrange import (
    FAILED,
    accepted,
    buttons,
    draft,
    ended,
    newest_button,
    page_text,
    press,
    refused,
    texts,
    until,
    went_on,
)
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, playground_run
from tests.ui.playground.test_run_panel import push
from ui.jobs.refused_calls import RefusedView, load_refused
from ui.parts.job_words import reason_first
from ui.parts.refused_answer import stored_answer
from ui.parts.time_range import span_of


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("Read the page: `https://a.example/b` answered 404.", "Read the page: answered 404. `https://a.example/b`"),
        ("`https://a.example/`, no HTML. Try `b`.", "no HTML. Try `b`. `https://a.example/`"),
        ("Model: The key is wrong.", "Model: The key is wrong."),
        ("Read: The answer of `https://a.example/` is late.", "Read: The answer of `https://a.example/` is late."),
    ],
)
def test_a_long_address_does_not_hide_the_reason(why: str, shown: str) -> None:
    assert reason_first(why) == shown


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


async def test_refused_calls_are_put_together_and_explained(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, times=3)

    await user.open("/jobs?tab=refused")
    assert "lang: the flow has no field of this name" in texts(user)
    assert "3" in texts(user)
    press(user, "Explain")
    await user.should_see("3 times since")

    assert "What to do" in texts(user)


async def test_calls_with_a_key_that_nobody_has_are_only_counted_for_the_owner(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True))
    counted = Counted(site.clock.now() // 60_000, "", "", "", "unauthorized")
    site.database.write_now(add_refusals, {counted: 1_204}, [])
    said = "1,204 calls had"

    await user.open("/jobs?tab=refused")
    assert said in page_text(user)
    await user.open("/jobs?tab=refused&code=validation_failed")
    assert said not in page_text(user)
    await (await site.sign_in("editor")).open("/jobs?tab=refused")
    assert "lang: the flow has no field of this name" in texts(user)
    assert said not in page_text(user)


async def test_an_unknown_field_is_accepted_into_the_draft_and_taken_back(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, times=14, sent="integer")
    await user.open("/jobs?tab=refused")

    press(user, "Accept this field")
    await user.should_see("lang is in the draft as Whole number, optional.", retries=100)

    assert _draft_field(site, flow_id) == {"name": "lang", "type": "integer", "required": False}
    assert site.database.read_now(get_flow, site.workspace_id, flow_id).state == "Live with newer draft"
    assert "Update API" in page_text(user)
    assert "Accept this field" not in buttons(user)
    assert f"/playground/{flow_id}?node=api_input" in _links(user)

    press(user, "Undo")
    await user.should_see("Accept this field", retries=100)
    assert _draft_field(site, flow_id) is None


async def test_an_accepted_field_reaches_an_open_playground_at_once(site: Site, user: User) -> None:
    from ui.parts.open_drafts import drafts_of

    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id)
    await user.open("/jobs?tab=refused")
    heard: list[str] = []

    class Tab:
        person = SimpleNamespace(workspace_id=site.workspace_id)

        async def query(self, query: Any, *args: Any) -> Any:
            return site.database.read_now(query, site.workspace_id, *args)

    draft = await drafts_of(site.app).open(Tab(), flow_id)  # type: ignore[arg-type]
    draft.listeners["a tab"] = lambda ops, *_said: heard.append(ops[0]["op"])

    press(user, "Accept this field")
    await user.should_see("lang is in the draft as Text, optional.", retries=100)

    assert heard == ["updateNode"]
    drafts_of(site.app).leave(draft, "a tab")


async def test_refused_calls_are_narrowed_by_what_the_address_says(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    refused(site, flow_id, pointer="/lang")
    refused(site, other, pointer="/deep")

    await user.open(f"/jobs?tab=refused&flow={other}&code=validation_failed&range=1h")
    assert "deep: the flow has no field of this name" in texts(user)
    assert "lang: the flow has no field of this name" not in texts(user)
    await user.open("/jobs?tab=refused&key=key_none")
    assert "No refused call fits these filters" in page_text(user)
    site.clock.offset += 2 * HOUR
    await user.open("/jobs?tab=refused&range=1h")
    assert "No refused call fits these filters" in page_text(user)


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
    assert f"/jobs/export.csv?status=failed&flow={flow_id}" in _links(user)

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
    stranger = await site.browser().get("/jobs/export.csv")
    assert stranger.status_code == 303


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
    other = await _somebody_else(site)
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


async def test_a_failed_job_says_what_happened_why_and_what_to_do(site: Site, user: User) -> None:
    job_id = ended(site, site.flow("Greeting", live=True), "failed")

    await user.open(f"/jobs/{job_id}")

    said = page_text(user)
    for words in (
        "Greet failed",
        "answered 500.",
        "The server had a fault.",
        "Try again later.",
        "http_status",
        job_id,
    ):
        assert words in said
    assert "Retry from Greet with version 1" in buttons(user)


async def test_a_completed_job_shows_its_result_and_its_input(site: Site, user: User) -> None:
    job_id = ended(site, site.flow("Greeting", live=True))

    await user.open(f"/jobs/{job_id}")

    assert "Hello Ada" in texts(user)
    assert "Ada" in texts(user)
    assert "Version 1" in page_text(user)


async def test_a_waiting_job_is_cancelled_and_says_so(site: Site, user: User) -> None:
    job_id = accepted(site, site.flow("Greeting", live=True))
    await user.open(f"/jobs/{job_id}")

    press(user, "Cancel")
    await user.should_see("Cancelled", retries=100)

    job = site.database.read_now(find_job, site.workspace_id, job_id)
    assert job is not None
    assert job.status == "cancelled"


async def test_running_again_names_the_version_and_makes_a_playground_run(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    await user.open(f"/jobs/{job_id}")

    press(user, "Run again")
    press(user, "Run again")  # a double click
    await user.should_see("What was on the canvas", retries=100)

    newest, first = site.database.read_now(list_jobs, site.workspace_id).jobs
    assert first.id == job_id
    assert (newest.environment, newest.counted) == ("playground", False)


async def test_a_job_of_a_deleted_flow_is_still_shown(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id, "failed")
    site.database.write_now(delete_flow, site.owner, flow_id)

    await user.open(f"/jobs/{job_id}")

    assert "Greet failed" in page_text(user)
    assert not {"Run again", "Open in Playground with this input"} & set(buttons(user))


async def test_a_job_of_another_workspace_is_not_there(site: Site) -> None:
    job_id = ended(site, site.flow("Greeting", live=True))
    site.workspace_id = site.database.write_now(create_workspace, "Elsewhere")
    user = await _somebody_else(site)

    answer = await user.http_client.get(f"/jobs/{job_id}")

    assert answer.status_code == 404


async def _somebody_else(site: Site) -> User:
    from engine.actions.members import ensure_owner, sign_in
    from tests.ui.conftest import PASSWORD, hashed

    site.database.write_now(ensure_owner, site.workspace_id, "mallory@example.com", hashed())
    cookie = await sign_in(site.database, "mallory@example.com", PASSWORD)
    site.user.http_client.cookies.set("flowport_session", cookie)
    return site.user


def _use_requests(site: Site, count: int, environment: str = "live") -> None:
    subject = usage_subject(site.workspace_id, environment)
    used = Usage(subject=subject, active=0, month=month_of(site.clock.now()), month_count=count)
    site.database.write_now(lambda session: session.merge(used) and None)


def _draft_field(site: Site, flow_id: str, name: str = "lang") -> dict[str, Any] | None:
    document = draft(site, flow_id)
    return next((field for field in input_fields(document) if field["name"] == name), None)


def _links(user: User) -> list[str]:
    assert user.client is not None
    return [str(element.props.get("href")) for element in user.client.elements.values() if element.props.get("href")]


def _rows(user: User) -> list[str]:
    assert user.client is not None
    found = [
        str(element.props.get("href"))
        for element in user.client.elements.values()
        if element.tag == "a" and str(element.props.get("href", "")).startswith("/jobs/job_")
    ]
    return list(dict.fromkeys(found))


async def test_the_data_of_a_job_is_erased_after_a_question(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    await user.open(f"/jobs/{job_id}")

    press(user, "Erase data")
    await user.should_see("Not reached:")
    said = page_text(user)
    for word in ("Removed:", "Stays:", "backups made before", "after opening its input there", "cannot be undone"):
        assert word in said
    press(user, "Keep it")
    assert site.database.read_now(find_job, site.workspace_id, job_id).data_erased_at is None

    press(user, "Erase data")
    await user.should_see("Not reached:")
    press(user, "Erase data")  # the newest button of this name is the dialog's
    await user.should_see("Data erased:")

    job = site.database.read_now(find_job, site.workspace_id, job_id)
    assert (job.status, job.has_result) == ("completed", False)
    assert job.data_erased_at is not None
    assert "Erase data" not in buttons(user)
    assert "Run again" not in buttons(user)
    assert "not run" not in page_text(user), "what is not known of its steps is not told"


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_job_whose_values_are_gone_says_so_and_is_not_run_again(site: Site, user: User, status: str) -> None:
    job_id = ended(site, site.flow("Greeting", live=True), status)
    await user.open(f"/jobs/{job_id}")
    pressed = newest_button(user, "Run again")
    site.database.write_now(remove_values, [job_id], 100)
    UserInteraction(user, {pressed}, None).click()  # the page is older than that
    await user.should_see("not kept any more")

    await user.open(f"/jobs/{job_id}")

    said = page_text(user)
    assert "Its input, result and steps were removed" in said
    assert "not run" not in said, "what is not known of its steps is not told"
    offered = [*buttons(user), *texts(user)]
    assert not [one for one in offered if one.startswith(("Run again", "Retry", "Open in Playground"))]
    assert "Erase data" in offered
    assert len(site.database.read_now(list_jobs, site.workspace_id).jobs) == 1


async def test_a_failed_job_offers_the_change_first_and_a_retry_with_who_gets_its_result(
    site: Site, user: User
) -> None:
    job_id = ended(site, site.flow("Greeting", live=True), "failed")
    await user.open(f"/jobs/{job_id}")

    assert user.client is not None
    main = [one for one in user.find(kind=ui.button).elements if one.props.get("color") == "primary"]
    assert [one.text for one in main] == ["Go on with a default text"]
    assert "You see its result here; the caller does not get it." in page_text(user)


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


async def test_who_may_not_erase_is_not_asked(site: Site, user: User) -> None:
    job_id = ended(site, site.flow("Greeting", live=True))
    viewer = await site.sign_in("viewer")

    await viewer.open(f"/jobs/{job_id}")

    assert "Erase data" not in buttons(viewer)


async def test_calls_with_unknown_keys_are_counted_for_the_owners_of_the_server_only(site: Site) -> None:
    other = site.database.write_now(create_workspace, "Other", "free")
    stranger = Counted(site.clock.now() // 60_000, "", "", "", "unauthorized")
    site.database.write_now(add_refusals, {stranger: 3}, [])

    seen = [site.database.read_now(load_refused, workspace).unknown_keys for workspace in (site.workspace_id, other)]

    assert seen == [3, 0]


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


@pytest.mark.parametrize(("status", "said"), [("skipped", "was skipped"), ("completed", "gave its default value")])
async def test_the_page_of_such_a_job_names_the_step_and_leads_to_it(
    site: Site, user: User, status: str, said: str
) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = went_on(site, flow_id, status=status)

    await user.open(f"/jobs/{job_id}")

    told = page_text(user)
    assert "1 step failed, and the job went on." in told
    assert said in told
    assert "answered 500." in told
    assert "`" not in told  # the address is drawn as code
    assert f"/jobs/{job_id}?step=text_template" in _links(user)
    change = f"/playground/{flow_id}?node=text_template&job={job_id}&field=%2Fpolicy%2Fon_error"
    assert change in _links(user)
    assert "Change Greet" in buttons(user)


async def test_a_list_of_jobs_says_why_one_failed(site: Site, user: User) -> None:
    ended(site, site.flow("Greeting", live=True), "failed")
    await user.open("/jobs")
    assert {"Greet: answered 500. ", "https://example.com"} <= set(texts(user))


async def test_names_and_bars_of_steps_are_links_that_open_the_step(site: Site, user: User) -> None:
    job_id = went_on(site, site.flow("Greeting", live=True))
    path = f"/jobs/{job_id}?step=text_template"

    await user.open(f"/jobs/{job_id}")
    in_waterfall = [link for link in _links(user) if link == path]
    assert len(in_waterfall) == 2, "the note and the line of the waterfall"
    await user.open(path)
    assert "It has no output." in page_text(user) or "It had no input." in page_text(user), "the step is open"
    assert "Failed, skipped" in page_text(user)


async def test_a_failed_step_suggests_a_default_text_and_leads_to_if_it_fails(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id, "failed")

    await user.open(f"/jobs/{job_id}")

    to = f"/playground/{flow_id}?node=text_template&job={job_id}&field=%2Fpolicy%2F"
    assert [link for link in _links(user) if link.startswith(to)] == [f"{to}default", f"{to}on_error"]
    assert buttons(user).index("Go on with a default text") < buttons(user).index("Change Greet")


async def test_a_refused_call_is_told_field_by_field_with_a_sentence_for_its_caller(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, pointer="/customer", missing="name")
    await user.open("/jobs?tab=refused")
    assert "name: is missing; customer: the flow has no field of this name" in texts(user)
    press(user, "Explain")
    await user.should_see("Send this to the caller:")

    said = "Send name (a text). The field customer is not known; leave it out."
    assert said in texts(user)
    assert user.client is not None
    assert [one.props["data-copy"] for one in user.client.elements.values() if "data-copy" in one.props] == [said]
    assert "It is about name, customer." in page_text(user)
    assert "/customer" not in texts(user)
    press(user, "Accept this field")
    await user.should_see("customer is in the draft as Text, optional.", retries=100)
    assert "customer" in [field["name"] for field in input_fields(draft(site, flow_id))]


async def test_what_the_caller_sees_is_the_answer_of_that_call(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True), pointer="/customer", missing="name")
    await user.open("/jobs?tab=refused&call=req_1")
    press(user, "What the caller sees")
    await user.should_see("The same as JSON, for programs")

    assert "The caller got this answer instead of a job: 400, what was sent did not fit." in texts(user)
    assert "/docs/errors/validation_failed" in _links(user)
    body = stored_answer(site.database.read_now(list_refused_calls, site.workspace_id)[0])
    assert body == {
        "type": "/docs/errors/validation_failed",
        "title": "The request body does not fit what this call takes",
        "status": 400,
        "detail": "2 fields are wrong",
        "code": "validation_failed",
        "request_id": "req_1",
        "error_count": 2,
        "errors": [
            {"pointer": "/name", "code": "required", "detail": "missing"},
            {"pointer": "/customer", "code": "unknown_field", "detail": "the flow has no field of this name"},
        ],
    }


async def test_the_explained_call_stands_in_the_address(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True))
    await user.open("/jobs?tab=refused")
    assert "Send this to the caller:" not in texts(user)
    (row,) = [one for one in user.find(kind=ui.element).elements if one.tag == "tr" and "fp-open" in one.classes]
    UserInteraction(user, {row}, None).click()
    await user.should_see("Send this to the caller:")

    await user.open("/jobs?tab=refused&call=req_1")
    assert "Send this to the caller:" in texts(user)
    assert RefusedView(call="req_1").path() == "/jobs?tab=refused&call=req_1"


async def test_refused_calls_are_counted_at_their_tab_and_hinted_at_beside_the_jobs(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    refused(site, flow_id, times=3)
    await user.open("/jobs")
    assert "3 calls were refused and did not become jobs. " in texts(user)
    assert _tab_labels(user) == ["All jobs", "Refused 3"]
    refused(site, flow_id)
    await until(lambda: _tab_labels(user) == ["All jobs", "Refused 4"])

    await user.open(f"/jobs?flow={other}")
    assert _tab_labels(user) == ["All jobs", "Refused"]
    assert "refused and did not become" not in page_text(user)


async def test_of_more_refused_calls_than_are_kept_the_number_says_so(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True), times=KEPT_CALLS + 200)
    await user.open("/jobs")
    assert "1,000 or more calls were refused and did not become jobs. " in texts(user)
    assert _tab_labels(user) == ["All jobs", "Refused 1,000 or more"]
    press(user, "Show refused calls")
    await user.should_see("The newest 1,000 are listed")


async def test_both_tabs_keep_the_same_filters(site: Site, user: User) -> None:
    flow_id, other = site.flow("Greeting", live=True), site.flow("Other", live=True)
    refused(site, flow_id)
    refused(site, other, pointer="/deep")
    await user.open(f"/jobs?flow={other}&range=24h")

    press(user, "Show refused calls")
    await user.should_see("deep: the flow has no field of this name")

    assert "lang: the flow has no field of this name" not in texts(user)
    chosen = [box.value for box in user.find(kind=ui.select).elements if isinstance(box.options, dict)]
    assert chosen.count(other) == 2
    assert chosen.count("24h") == 2


def _tab_labels(user: User) -> list[str]:
    return [str(tab.props["label"]) for tab in sorted(user.find(kind=ui.tab).elements, key=lambda one: one.id)]


async def test_what_the_caller_sees_links_to_the_page_of_that_error(site: Site, user: User) -> None:
    refused(site, site.flow("Greeting", live=True))
    await user.open("/jobs?tab=refused")
    press(user, "Explain")
    press(user, "What the caller sees")
    await user.should_see("About this error in the docs")

    assert user.client is not None
    (to,) = [one for one in user.client.elements.values() if one.props.get("href") == "/docs/errors/validation_failed"]
    assert to.props["target"] == "_blank"


async def test_the_end_of_a_job_is_shown_when_it_could_not_be_read_for_a_moment(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    job_id = playground_run(site, flow_id, {"name": "Ada"}, Did("text_template", "Hello"), status="processing")

    def change(session: Session, status: str) -> None:
        job, step = session.get_one(Job, job_id), session.get_one(Step, (job_id, "text_template", ""))
        job.status, job.last_seq = status, job.last_seq + 1
        job.completed_at = job.created_at + 2000 if status == "completed" else None
        step.status = "completed" if status == "completed" else "running"

    site.database.write_now(change, "processing")
    await user.open(f"/jobs/{job_id}?step=text_template")
    assert user.client is not None
    drawer = next(one for one in user.client.elements.values() if one.props.get("aria-label") == "Step")

    def said() -> list[str]:
        return [getattr(one, "text", "") for one in drawer.descendants()]

    assert "Running, 1.5 s" in said()
    with failing(site.database.read_engine, "JOIN dataset_writes") as failed:
        site.database.write_now(change, "completed")
        await until(lambda: len(failed) > 1)

    await until(lambda: "Completed, 1.5 s" in said())


async def test_a_step_that_was_left_before_it_was_read_is_not_shown_under_another(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    job_id = playground_run(site, flow_id, {"name": "Ada"}, Did("api_input", "Ada"), Did("text_template", "Hello Ada"))
    asked, go_on = threading.Event(), threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        if "FROM job_values" in statement and "text_template" in str(values):
            asked.set()
            go_on.wait(30)

    await user.open(f"/jobs/{job_id}?step=api_input")
    assert user.client is not None
    drawer = next(one for one in user.client.elements.values() if one.props.get("aria-label") == "Step")
    first = drawer.default_slot.children[0].id
    event.listen(site.database.read_engine, "before_cursor_execute", hold)
    try:
        push(user, "Step after")
        await until(asked.is_set)
        push(user, "Step before")
        await until(lambda: drawer.default_slot.children[0].id != first)
    finally:
        go_on.set()
    await pass_time(1)
    event.remove(site.database.read_engine, "before_cursor_execute", hold)

    said = [getattr(one, "text", "") for one in drawer.descendants()]
    assert "Ada" in said
    assert "Hello Ada" not in said
