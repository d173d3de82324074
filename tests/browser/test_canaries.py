"""Every credential field gets a canary value that must not appear anywhere afterwards (rules S25, S26).

The canaries are set, used, and repeated in the answers of the services that receive them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from engine.actions.server import set_backup_passphrase
from engine.actions.webhooks import renew_signing_secret, set_webhook
from storage.secrets import list_secrets
from tests.browser.conftest import sign_in
from tests.live.caller import Terminal
from tests.live_server import PASSWORD, LiveServer
from tests.shared import METRICS_TOKEN
from tests.stand_ins.local_server import LocalServer, Places, Reply, Seen
from tests.stand_ins.openai_server import OpenAIServer, Said
from tests.stand_ins.webhook_receiver import WebhookReceiver

MODEL_KEY = "canary-model-4f1d6a0b9c7e2358"
HEADER = "canary header 7c2e91d05b3fa846"
PASSPHRASE = "canary-passphrase-0d9b5e7a"


class Echo(LocalServer):
    """A service that repeats the token that it was given in its answer."""

    def reply(self, seen: Seen) -> Reply:
        return Reply.of_json({"you_sent": seen.headers.get("authorization", "nothing")})


class Collected:
    """Everything that the server sent, each piece with the place where it was seen."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []

    def add(self, where: str, text: str | bytes) -> None:
        self.pieces.append((where, text if isinstance(text, str) else text.decode(errors="replace")))

    def with_any_of(self, canaries: dict[str, str]) -> list[str]:
        """The matches as `canary: place` without duplicates. Also finds a canary in the form that JSON gives it."""
        return sorted(
            {f"{name}: {where}" for where, text in self.pieces for name, said in canaries.items() if said in text}
        )

    def watch(self, page: Page) -> None:
        """Collects what the page's socket receives."""
        page.on("websocket", lambda socket: socket.on("framereceived", lambda said: self.add("a socket", said)))


@pytest.fixture(scope="module")
def model(places: Places) -> Iterator[OpenAIServer]:
    with OpenAIServer(key=MODEL_KEY).at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def echo(places: Places) -> Iterator[Echo]:
    with Echo().at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def receiver(places: Places) -> Iterator[WebhookReceiver]:
    with WebhookReceiver().at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def terminal(server: LiveServer) -> Terminal:
    """The first workspace, whose owner also administers the server. This test is the only one that uses it."""
    return Terminal(server)


def asking(echo: Echo, secret_id: str) -> dict[str, Any]:
    """API Input, a call with a secret header, and a Prompt about its answer."""
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "topic", "type": "string"}]}},
        {
            "id": "http_request",
            "type": "http_request",
            "label": "Ask the service",
            "config": {"method": "GET", "secret_headers": {"Authorization": secret_id}},
            "inputs": {"url": f"{echo.origin}/"},
        },
        {
            "id": "prompt",
            "type": "prompt",
            "label": "Summarise",
            "config": {"model": "box:small-model"},
            "inputs": {"prompt": "{{ api_input.out.topic }} {{ http_request.out.body }}"},
        },
    ]
    edges = [
        {"id": "e1", "source": "api_input", "target": "http_request"},
        {"id": "e2", "source": "http_request", "target": "prompt"},
    ]
    return {"format": 1, "title": "Canaries", "nodes": nodes, "edges": edges}


def type_the_credentials(page: Page, model: OpenAIServer) -> None:
    """Enters a model's key and a secret into the forms."""
    page.goto("/settings/models")
    page.wait_for_function("window.did_handshake === true")
    page.get_by_role("button", name="Add a connection").click()
    page.get_by_label("Provider", exact=True).click()
    page.get_by_role("option", name="OpenAI-compatible address").click()
    expect(page.get_by_role("listbox")).to_have_count(0)  # a list that is closing may take the focus from the next box
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_value("local")
    name.fill("box")
    page.get_by_label("Base URL").fill(model.url)
    page.get_by_role("textbox", name="Key optional").fill(MODEL_KEY)
    expect(name).to_have_value("box")
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_text("It works: “box”")).to_be_visible()
    page.get_by_role("button", name="Add a secret").click()
    dialog = page.get_by_role("dialog", name="A new secret")
    dialog.get_by_label("Name").fill("Shop token")
    dialog.get_by_label("Value").fill(HEADER)
    dialog.get_by_label("Hosts").fill("127.0.0.1")
    dialog.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("Shop token")).to_be_visible()


def test_no_credential_is_seen_anywhere(
    context: BrowserContext,
    server: LiveServer,
    terminal: Terminal,
    model: OpenAIServer,
    echo: Echo,
    receiver: WebhookReceiver,
    tmp_path: Path,
) -> None:
    seen = Collected()
    context.clear_cookies()
    page = sign_in(context.new_page())
    seen.watch(page)
    page.reload()
    type_the_credentials(page, model)

    store, owner, vault = terminal.store, terminal.owner, terminal.vault
    (secret,) = store.read_now(list_secrets, owner.workspace_id)
    store.write_now(set_backup_passphrase, owner, vault, PASSPHRASE)
    flow_id = terminal.flow(asking(echo, secret.id))
    store.write_now(set_webhook, owner, flow_id, receiver.url)
    signing_secret = store.write_now(renew_signing_secret, owner, vault, flow_id)
    caller = terminal.caller()
    canaries = {
        "the model's key": MODEL_KEY,
        "the header": HEADER,
        "the backup passphrase": PASSPHRASE,
        "the metrics token": METRICS_TOKEN,
        "the webhook secret": signing_secret,
        "the password": PASSWORD,
        "the API key": caller.key,
    }

    # The credentials are used, and the services repeat them: in pieces, in an answer, in an error.
    model.say(
        Said(f"Your key is {MODEL_KEY[:11]}" + f"{MODEL_KEY[11:]} and {HEADER}.", pause=0.05),
        Said(status=401, message=f"Incorrect API key provided: {MODEL_KEY}"),
    )
    good = caller.run(flow_id, {"topic": "Mind {{ 7*7 }}."})
    bad = caller.run(flow_id, {"topic": "Fail."})
    assert (good["status"], bad["status"]) == ("completed", "failed"), (good, bad)
    assert HEADER in echo.last.headers["authorization"]
    assert model.last.headers["authorization"] == f"Bearer {MODEL_KEY}"
    receiver.wait_for(2)
    for job in (good, bad):
        seen.add("a job", caller.request("GET", f"/jobs/{job['job_id']}").text)
        seen.add("events", caller.request("GET", f"/jobs/{job['job_id']}/events").text)
    for hook in receiver.requests:
        seen.add("a webhook", hook.body + json.dumps(dict(hook.headers)).encode())
    for path in ("/jobs", "/flows", f"/openapi/flows/{flow_id}.json", "/openapi.json"):
        seen.add(path, caller.request("GET", path).text)

    # Commands, files and metrics.
    for command in (("flows", "export", flow_id), ("models", "list", "--json"), ("keys", "list", "--json")):
        said = server.run(*command)
        seen.add(" ".join(command), said.stdout + said.stderr)
    backup = tmp_path / "one.fpbackup"
    replace(server, env={**server.env, "FLOWPORT_BACKUP_PASSPHRASE": PASSPHRASE}).run("backup", str(backup))
    seen.add("a backup", backup.read_bytes())
    bearer = {"authorization": f"Bearer {METRICS_TOKEN}"}
    for path in ("/metrics", "/healthz", "/readyz"):
        seen.add(path, httpx.get(server.url + path, headers=bearer).text)

    # Every page as it is sent and as it is shown, and what its socket receives.
    jobs = [f"/jobs/{job['job_id']}" for job in (good, bad)]
    settings = [
        f"/settings/{place}" for place in ("keys", "models", "limits", "data", "server", "team", "audit", "about")
    ]
    pages = ["/flows", f"/flows/{flow_id}", "/templates", "/jobs", *jobs, "/monitoring", *settings]
    pages += [f"/playground/{flow_id}?node={node}&job={good['job_id']}" for node in ("prompt", "http_request")]
    pages += ["/jobs/export.csv", "/settings/audit/export.csv", f"/docs/flows/{flow_id}"]
    for path in pages:
        if path.endswith(".csv"):
            seen.add(path, page.request.get(path).text())
            continue
        sent = page.goto(path)
        assert sent is not None
        assert sent.status == 200, path
        seen.add(f"the source of {path}", sent.text())
        page.locator("[data-loaded=true]" if path.startswith("/playground") else "h1").first.wait_for()
        if not path.startswith("/docs"):
            page.wait_for_function("window.did_handshake === true")
        seen.add(path, page.content())
    seen.add("the log", server.log())
    for file in server.data.rglob("*"):
        if file.is_file():
            seen.add(str(file.relative_to(server.data)), file.read_bytes())

    assert seen.with_any_of(canaries) == []
    everything = "\n".join(text for _, text in seen.pieces)
    assert "Shop token" in everything, "the pages were read"
    assert "Mind {{ 7*7 }}." in everything, "untouched text stays as it is"
