"""A server with flows deployed by browser, and a program that calls them over HTTP."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.sync_api import BrowserContext

from tests.factories import greeting
from tests.live_server import LiveServer
from tests.seed.person import Person
from tests.stand_ins.web_site import WebSite

ENDED = {"completed", "failed", "cancelled"}
#: How long is waited for what must come. Generous: machines that run tests are shared.
PATIENCE_SECONDS = 60


@dataclass
class Caller:
    """A program with an API key. It knows the published addresses and nothing else."""

    url: str
    key: str

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return httpx.request(method, f"{self.url}/public/v1{path}", headers=headers, timeout=60, **options)

    def submit(self, flow_id: str, payload: dict[str, Any], **options: Any) -> httpx.Response:
        return self.request("POST", f"/flows/execute/{flow_id}", json=payload, **options)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.request("GET", f"/jobs/{job_id}").json()

    def cancel(self, *job_ids: str) -> None:
        """Stops these jobs and waits until they have."""
        for job_id in job_ids:
            self.request("POST", f"/jobs/{job_id}/cancel")
        for job_id in job_ids:
            self.ended(job_id)

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job, asked for again and again until it has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            job = self.request("GET", f"/jobs/{job_id}?wait=5").json()
            if job["status"] in ENDED:
                return job
        raise AssertionError(f"the job did not end: {job}")

    def run(self, flow_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Submits and returns the job once it has ended."""
        accepted = self.submit(flow_id, payload)
        assert accepted.status_code == 202, accepted.text
        return self.ended(accepted.json()["job_id"])


class World:
    """Flows and a key of one server; `context` is the window to make them in."""

    context: BrowserContext

    def __init__(self, server: LiveServer, site: WebSite) -> None:
        self.server = server
        self.site = site
        self._flows: dict[str, str] = {}
        self._caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """With a Production key that may call every flow."""
        if self._caller is None:
            person = Person(self.context.new_page())
            self._caller = Caller(self.server.url, person.create_key("Shop"))
            person.page.close()
        return self._caller

    @property
    def greet(self) -> str:
        """A live flow that takes `name` and says hello."""
        return self.live("Greeting", greeting())

    @property
    def fetch(self) -> str:
        """A live flow that takes `url`, a page to fetch."""
        return self.live("Fetch a page", fetch_flow())

    def live(self, title: str, file: dict[str, Any]) -> str:
        """The id of a flow with this title, imported and deployed the first time."""
        if title not in self._flows:
            person = Person(self.context.new_page())
            self._flows[title] = person.import_flow({**file, "title": title})
            person.deploy(self._flows[title])
            person.page.close()
        return self._flows[title]

    def hold(self, count: int, caller: Caller | None = None) -> list[str]:
        """So many jobs that run until they are cancelled."""
        answers = [(caller or self.caller).submit(self.fetch, {"url": self.site.at("/hold")}) for _ in range(count)]
        assert [answer.status_code for answer in answers] == [202] * count, answers[-1].text
        return [answer.json()["job_id"] for answer in answers]


def flow_file(node: dict[str, Any], *fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A flow file with an API Input of these fields and one more node."""
    start = {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": list(fields)}}
    edges = [{"id": "e1", "source": "api_input", "target": node["id"]}]
    return {"format": 1, "title": "Flow", "nodes": [start, node], "edges": edges, **more}


def text_field(name: str, **more: Any) -> dict[str, Any]:
    """A required text field."""
    return {"name": name, "type": "string", "required": True, **more}


def fetch_flow() -> dict[str, Any]:
    """API Input `url`, then an HTTP Request; a page that answers with an error fails the step."""
    node = {
        "id": "http_request",
        "type": "http_request",
        "label": "Fetch",
        "config": {"method": "GET"},
        "inputs": {"url": "{{ api_input.out.url }}"},
        "policy": {"timeout_seconds": 120, "retries": 0},
    }
    return flow_file(node, text_field("url", format="uri"), title="Fetch a page")
