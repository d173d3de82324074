"""Jobs, refused calls and a job's page."""

from __future__ import annotations

from nicegui.testing import User

from engine.actions.flows import delete_flow
from engine.actions.workspaces import create_workspace
from storage.jobs import find_job, list_jobs
from storage.refusals import Counted, add_refusals
from tests.ui.arrange import accepted, buttons, ended, page_text, press, refused, texts
from tests.ui.conftest import Site


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
    for _ in range(51):
        ended(site, flow_id)
    await user.open("/jobs")
    assert len(_rows(user)) == 50

    press(user, "Older jobs")
    await user.should_see("Newest")

    assert len(_rows(user)) == 1


async def test_a_new_job_appears_by_itself(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    await user.open("/jobs")
    await user.should_see("No jobs yet")

    job_id = ended(site, flow_id)
    await user.should_see("Completed", retries=30)

    assert _rows(user) == [f"/jobs/{job_id}"]


async def test_refused_calls_are_put_together_and_explained(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    refused(site, flow_id, times=3)

    await user.open("/jobs?tab=refused")
    assert "lang: unknown field" in texts(user)
    assert "3" in texts(user)
    press(user, "Explain")
    await user.should_see("lang: unknown field, 3 times, key unknown")

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
    assert "lang: unknown field" in texts(user)
    assert said not in page_text(user)


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

    assert '"Hello Ada"' in texts(user)
    assert '"Ada"' in texts(user)
    assert "Version 1" in page_text(user)


async def test_a_waiting_job_is_cancelled_and_says_so(site: Site, user: User) -> None:
    job_id = accepted(site, site.flow("Greeting", live=True))
    await user.open(f"/jobs/{job_id}")

    press(user, "Cancel")
    await user.should_see("Cancelled", retries=20)

    job = site.database.read_now(find_job, site.workspace_id, job_id)
    assert job is not None
    assert job.status == "cancelled"


async def test_running_again_names_the_version_and_makes_a_playground_run(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    await user.open(f"/jobs/{job_id}")

    press(user, "Run again")
    await user.should_see("What was on the canvas", retries=20)

    newest = site.database.read_now(list_jobs, site.workspace_id).jobs[0]
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


def _rows(user: User) -> list[str]:
    assert user.client is not None
    found = [
        str(element.props.get("href"))
        for element in user.client.elements.values()
        if element.tag == "a" and str(element.props.get("href", "")).startswith("/jobs/")
    ]
    return list(dict.fromkeys(found))
