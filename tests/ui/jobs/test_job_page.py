"""The page of a job: its result and steps, what failed and what to do, erasing its data and running it again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction
from sqlalchemy import event
from sqlalchemy.orm import Session

from engine.actions.flows import delete_flow
from engine.actions.workspaces import create_workspace
from engine.nodes.known_datasets import KnownDataset
from storage.jobs import find_job, list_jobs
from storage.retention import remove_values
from storage.tables import Job, Step
from tests.factories import document, greeting
from tests.logical_time import pass_time
from tests.stored import failing
from tests.ui.arrange import (
    FAILED,
    accepted,
    buttons,
    ended,
    hrefs,
    newest_button,
    page_text,
    press,
    somebody_else,
    texts,
    until,
    went_on,
)
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, playground_run
from tests.ui.playground.test_run_panel import push
from ui.jobs.job_page import marks_of


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
    await user.should_see("Version 1, as it ran", retries=100)
    await user.should_see("Run again of", retries=100)

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
    user = await somebody_else(site)

    answer = await user.http_client.get(f"/jobs/{job_id}")

    assert answer.status_code == 404


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


async def test_a_mail_that_was_not_sent_is_not_to_be_replaced_by_a_text(site: Site, user: User) -> None:
    file = greeting()
    send = {"url": "https://mail.example.com/send", "body": "Hello"}
    file["nodes"][1] = {"id": "send", "type": "http_request", "config": {"method": "POST"}, "inputs": send}
    file["edges"][0]["target"] = "send"
    flow_id = site.flow("Greeting", live=True, file=file)
    error = {**FAILED, "node_id": "send", "node_label": "Send mail"}
    await user.open(f"/jobs/{ended(site, flow_id, 'failed', error=error)}")

    main = [one for one in user.find(kind=ui.button).elements if one.props.get("color") == "primary"]
    assert [one.text for one in main] == ["Change Send mail"]
    assert "Go on with a default text" in buttons(user)


async def test_who_may_not_erase_is_not_asked(site: Site, user: User) -> None:
    job_id = ended(site, site.flow("Greeting", live=True))
    viewer = await site.sign_in("viewer")

    await viewer.open(f"/jobs/{job_id}")

    assert "Erase data" not in buttons(viewer)


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
    assert f"/jobs/{job_id}?step=text_template" in hrefs(user)
    change = f"/playground/{flow_id}?node=text_template&job={job_id}&field=%2Fpolicy%2Fon_error"
    assert change in hrefs(user)
    assert "Change Greet" in buttons(user)


async def test_names_and_bars_of_steps_are_links_that_open_the_step(site: Site, user: User) -> None:
    job_id = went_on(site, site.flow("Greeting", live=True))
    path = f"/jobs/{job_id}?step=text_template"

    await user.open(f"/jobs/{job_id}")
    in_waterfall = [link for link in hrefs(user) if link == path]
    assert len(in_waterfall) == 2, "the note and the line of the waterfall"
    await user.open(path)
    assert "It has no output." in page_text(user) or "It had no input." in page_text(user), "the step is open"
    assert "Failed, skipped" in page_text(user)


async def test_a_failed_step_suggests_a_default_text_and_leads_to_if_it_fails(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id, "failed")

    await user.open(f"/jobs/{job_id}")

    to = f"/playground/{flow_id}?node=text_template&job={job_id}&field=%2Fpolicy%2F"
    assert [link for link in hrefs(user) if link.startswith(to)] == [f"{to}default", f"{to}on_error"]
    assert buttons(user).index("Go on with a default text") < buttons(user).index("Change Greet")


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


def test_the_picture_shows_a_dataset_by_its_name() -> None:
    rows = {"id": "rows", "type": "dataset_source", "config": {"dataset": "dataset_cfRKYaSJRE"}}
    flow = document({**greeting(), "nodes": [*greeting()["nodes"], rows]})

    shown = marks_of(flow, [KnownDataset("dataset_cfRKYaSJRE", "Orders", {})], [])

    assert shown["rows"].get("summary") == "Orders"
