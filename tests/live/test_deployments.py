"""Deploying, undeploying and editing as callers see it.

The edits are made in the database by a second process, the test.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from engine.actions.deployments import deploy
from engine.actions.flows import change_flow_settings, save_draft, save_version
from engine.actions.principal import Principal
from storage.database import Database
from storage.flows import get_draft
from tests.factories import document, greeting
from tests.live import flows


@pytest.fixture(scope="module")
def store(terminal) -> Database:
    return terminal.store


@pytest.fixture(scope="module")
def owner(terminal) -> Principal:
    return terminal.owner


@pytest.fixture
def greet(terminal, request) -> str:
    """A deployed flow for each test."""
    return terminal.flow(greeting(title=request.node.name))


def edit(store: Database, owner: Principal, flow_id: str, text: str) -> None:
    """Changes the draft of a flow."""
    revision = store.read_now(get_draft, owner.workspace_id, flow_id).revision
    store.write_now(save_draft, owner, flow_id, document(greeting(text)), revision)


def said(caller, flow_id: str, **headers: str) -> str:
    job = caller.run(flow_id, {"name": "Ada"}, **headers)
    assert job["status"] == "completed", job
    return job["result"]["output"]


def test_undeployed_calls_get_404_job_urls_answer_and_the_same_url_comes_back(terminal, caller, greet):
    job_id = caller.accepted(greet, {"name": "Ada"})
    before = caller.ended(job_id)
    terminal.do("flows", "undeploy", greet)

    refused = caller.submit(greet, {"name": "Ada"})
    assert (refused.status_code, refused.json()["code"]) == (404, "flow_not_deployed")
    assert caller.job(job_id) == before
    assert "Undeployed" in terminal.run("flows", "list").stdout
    assert greet not in {flow["flow_id"] for flow in caller.request("GET", "/flows").json()["data"]}

    url = terminal.value("flows", "deploy", greet)
    assert url.endswith(f"/public/v1/flows/execute/{greet}")
    assert said(caller, greet) == "Hello Ada"
    assert caller.job(job_id) == before


def test_a_job_that_runs_while_its_flow_is_undeployed_goes_on(terminal, caller, site):
    flow_id = terminal.flow(flows.one_node(flows.fetch(), flows.URL, title="Undeployed soon"))
    job_id = caller.accepted(flow_id, {"url": site.hold("undeployed")})
    site.wait_until_held("undeployed")
    terminal.do("flows", "undeploy", flow_id)
    assert caller.job(job_id)["status"] == "processing"
    site.let_go("undeployed")
    assert caller.ended(job_id)["status"] == "completed"


def test_editing_and_saving_change_nothing_for_callers_until_deploy(store, owner, terminal, caller, greet):
    edit(store, owner, greet, "Good evening {{ api_input.out.name }}")
    assert said(caller, greet) == "Hello Ada"
    assert store.write_now(save_version, owner, greet) == 2
    assert said(caller, greet) == "Hello Ada"

    terminal.value("flows", "deploy", greet)
    job = caller.run(greet, {"name": "Ada"})
    assert (job["flow_version"], job["result"]["output"]) == (2, "Good evening Ada")


def test_update_deploys_what_is_on_the_canvas(store, owner, caller, greet):
    edit(store, owner, greet, "Good night {{ api_input.out.name }}")
    assert store.write_now(deploy, owner, greet).version == 2
    assert said(caller, greet) == "Good night Ada"


def test_an_older_version_goes_live_again(store, owner, terminal, caller, greet):
    edit(store, owner, greet, "Good night {{ api_input.out.name }}")
    store.write_now(deploy, owner, greet)
    terminal.value("flows", "deploy", greet, "--version", "1")
    assert said(caller, greet) == "Hello Ada"


def test_a_caller_may_ask_for_any_version_that_was_ever_deployed(store, owner, terminal, caller, greet):
    edit(store, owner, greet, "Good night {{ api_input.out.name }}")
    store.write_now(deploy, owner, greet)
    edit(store, owner, greet, "Never deployed")
    store.write_now(save_version, owner, greet)
    assert said(caller, greet, X_Flow_Version="1") == "Hello Ada"
    assert said(caller, greet, X_Flow_Version="2") == "Good night Ada"
    for never in ("3", "99"):
        assert caller.submit(greet, {"name": "Ada"}, X_Flow_Version=never).status_code == 404
    assert caller.submit(greet, {"name": "Ada"}, X_Flow_Version="two").status_code == 400
    terminal.do("flows", "undeploy", greet)
    assert caller.submit(greet, {"name": "Ada"}, X_Flow_Version="1").status_code == 404


def test_a_job_ends_on_the_version_it_began_with(store, owner, caller, terminal, site):
    row = [flows.fetch(), {"id": "text_template", "type": "text_template", "inputs": {"template": "old"}}]
    flow_id = terminal.flow(flows.in_a_row(row, flows.URL))
    job_id = caller.accepted(flow_id, {"url": site.hold("old-version")})
    site.wait_until_held("old-version")
    row[1]["inputs"]["template"] = "new"
    revision = store.read_now(get_draft, owner.workspace_id, flow_id).revision
    store.write_now(save_draft, owner, flow_id, document(flows.in_a_row(row, flows.URL)), revision)
    assert store.write_now(deploy, owner, flow_id).version == 2
    site.let_go("old-version")
    assert caller.ended(job_id)["result"] == {"output": "old"}
    assert caller.run(flow_id, {"url": site.at("/story")})["result"] == {"output": "new"}


def test_a_flows_own_time_limit_shows_in_its_jobs(store, owner, terminal, caller, site):
    flow_id = terminal.flow(flows.one_node(flows.fetch(), flows.URL))
    store.write_now(change_flow_settings, owner, flow_id, {"limit_seconds": 10})
    job_id = caller.accepted(flow_id, {"url": site.hold("limited")})
    site.wait_until_held("limited")
    job = caller.job(job_id)
    lasts = datetime.fromisoformat(job["ends_by"]) - datetime.fromisoformat(job["started_at"])
    assert lasts == timedelta(seconds=10)
    site.let_go("limited")
    assert caller.ended(job_id)["status"] == "completed"


def test_a_flow_that_cannot_be_deployed_says_why_and_stays_as_it_was(terminal, caller):
    alone = {"format": 1, "title": "Alone", "nodes": [], "edges": []}
    flow_id = json.loads(terminal.run("flows", "import", "-", "--json", stdin=json.dumps(alone)).stdout)["flow_id"]
    refused = terminal.run("flows", "deploy", flow_id, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert {"no_api_input", "no_processing_node"} <= set(refused.stderr.replace(":", " ").split())
    assert caller.submit(flow_id, {}).json()["code"] == "flow_not_deployed"
