"""“Run again” on a job's page: at once where nothing changed, with a question where the flow is another one now."""

from __future__ import annotations

from typing import Any

from nicegui.testing import User

from engine.actions.datasets import add_dataset
from engine.actions.deployments import deploy
from engine.actions.flows import save_draft
from engine.actions.jobs import RunOptions
from engine.flow.document import load_document
from storage.flows import get_draft
from storage.job_documents import get_job_flow
from storage.jobs import JobRow, get_job, list_jobs
from tests.factories import document, greeting
from tests.ui.arrange import buttons, ended, page_text, press
from tests.ui.conftest import Site
from tests.ui.playground.runs import playground_run
from ui.jobs.run_again import load_ways
from ui.parts.job_words import version_words


def saving(dataset_id: str, template: str = "Hello {{ api_input.out.name }}") -> dict[str, Any]:
    """A greeting that is also saved as a row."""
    file = greeting(template)
    greets = file["nodes"][1]["id"]
    save = {"id": "save", "type": "dataset_sink", "config": {"dataset": dataset_id}}
    file["nodes"].append({**save, "inputs": {"words": f"{{{{ {greets}.out }}}}"}})
    file["edges"].append({"id": "to_save", "source": greets, "target": "save"})
    return file


def put_on_canvas(site: Site, flow_id: str, file: dict[str, Any]) -> None:
    revision = site.database.read_now(get_draft, site.workspace_id, flow_id).revision
    site.database.write_now(save_draft, site.owner, flow_id, document(file), revision)


def verbs(site: Site, job_id: str) -> list[str]:
    job = site.database.read_now(get_job, site.workspace_id, job_id)
    stored = site.database.read_now(get_job_flow, site.workspace_id, job).document
    assert stored is not None
    ways = site.database.read_now(load_ways, site.workspace_id, job, load_document(stored))
    return [one.verb for one in ways]


def newest_job(site: Site) -> JobRow:
    return site.database.read_now(list_jobs, site.workspace_id).jobs[0]


async def test_where_another_version_is_live_it_asks_and_runs_that_one_by_default(site: Site, user: User) -> None:
    dataset_id = site.database.write_now(add_dataset, site.owner, "Invoices")
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    put_on_canvas(site, flow_id, saving(dataset_id))
    site.database.write_now(deploy, site.owner, flow_id)
    await user.open(f"/jobs/{job_id}")

    press(user, "Run again")
    await user.should_see("Run again with which flow?")
    said = " ".join(page_text(user).split())
    assert "As it ran then (version 1): Writes no rows." in said
    assert "With version 2, live now: Running here writes a row to “Invoices” too." in said
    press(user, "Cancel")
    await user.should_not_see("Run again with which flow?")
    assert newest_job(site).id == job_id

    press(user, "Run again")
    await user.should_see("Run again with which flow?")
    assert buttons(user)[-1] == "With version 2, live now"
    press(user, "With version 2, live now")
    await user.should_see("Version 2, as it ran", retries=100)
    newest = newest_job(site)
    assert newest.environment == "playground"
    stored = site.database.read_now(get_job_flow, site.workspace_id, newest).document
    assert dataset_id in str(stored)


async def test_it_may_run_as_it_ran_then(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    put_on_canvas(site, flow_id, greeting("Hi {{ api_input.out.name }}"))
    await user.open(f"/jobs/{job_id}")

    press(user, "Run again")
    await user.should_see("With what is on the canvas now")
    press(user, "As it ran then (version 1)")
    await user.should_see("Version 1, as it ran", retries=100)

    stored = site.database.read_now(get_job_flow, site.workspace_id, newest_job(site)).document
    assert "Hello {{ api_input.out.name }}" in str(stored)


def test_a_run_of_the_canvas_is_compared_with_the_canvas(site: Site) -> None:
    flow_id = site.flow("Greeting", live=True)
    put_on_canvas(site, flow_id, greeting("Hi {{ api_input.out.name }}"))
    job_id = playground_run(site, flow_id, {"name": "Ada"})
    assert verbs(site, job_id) == ["As it ran then"], "also when something else is live"

    put_on_canvas(site, flow_id, greeting("Good day {{ api_input.out.name }}"))
    assert verbs(site, job_id) == ["As it ran then", "With what is on the canvas now"]

    put_on_canvas(site, flow_id, greeting())
    assert verbs(site, job_id) == ["As it ran then", "With version 1, live now"]


async def test_a_run_of_the_canvas_names_what_it_ran(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting")
    job_id = playground_run(site, flow_id, {"name": "Ada"})
    await user.open(f"/jobs/{job_id}")
    press(user, "Run again")
    await user.should_see("Run again of", retries=100)
    assert version_words(newest_job(site)) == "What was on the canvas"

    put_on_canvas(site, flow_id, greeting("Good day {{ api_input.out.name }}"))
    await user.open(f"/jobs/{job_id}")
    press(user, "Run again")
    await user.should_see("As it ran then")
    press(user, "As it ran then")
    await user.should_see("What was on the canvas of an earlier run, as it ran", retries=100)


def test_a_repeat_that_does_not_say_what_it_ran_is_not_called_the_canvas(site: Site) -> None:
    flow_id = site.flow("Greeting")
    earlier = playground_run(site, flow_id, {"name": "Ada"})
    playground_run(site, flow_id, {"name": "Ada"}, options=RunOptions(again=earlier))
    assert version_words(newest_job(site)) == "The flow of an earlier run"


async def test_an_input_that_does_not_fit_names_its_fields_and_leads_to_the_playground(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    file = greeting("Hi {{ api_input.out.person }}")
    file["nodes"][0]["config"]["fields"] = [{"name": "person", "type": "string", "required": True}]
    file["nodes"][0]["config"]["samples"] = []
    put_on_canvas(site, flow_id, file)
    await user.open(f"/jobs/{job_id}")

    press(user, "Run again")
    await user.should_see("With what is on the canvas now")
    press(user, "With what is on the canvas now")
    await user.should_see("The input of this run does not fit that flow.")

    said = page_text(user)
    assert "person: is missing" in said
    assert "name: the flow has no field of this name" in said
    assert newest_job(site).id == job_id
    assert buttons(user).count("Open in Playground with this input") > 1


async def test_a_canvas_with_problems_says_the_first_one(site: Site, user: User) -> None:
    flow_id = site.flow("Greeting", live=True)
    job_id = ended(site, flow_id)
    put_on_canvas(site, flow_id, greeting("Hi {{ gone.out }}"))
    await user.open(f"/jobs/{job_id}")

    press(user, "Run again")
    await user.should_see("With what is on the canvas now")
    press(user, "With what is on the canvas now")
    await user.should_see("The flow cannot run yet.")
    assert "gone" in page_text(user)
