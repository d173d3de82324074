"""Webhooks of a real server: told within seconds, signed, and checked by the very code that the guide shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.actions.webhooks import renew_signing_secret
from engine.vault.sealing import open_vault
from tests.factories import greeting
from tests.live.caller import Terminal
from tests.live_server import LiveServer, live_server
from tests.stand_ins.webhook_receiver import WebhookReceiver

GUIDE = (Path(__file__).parents[2] / "assets" / "help" / "webhooks.md").read_text()


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: WebhookReceiver) -> Iterator[LiveServer]:
    env = {"FLOWPORT_WEBHOOK_ALLOW": receiver.origin.removeprefix("http://")}
    with live_server(tmp_path_factory.mktemp("live") / "data", owner=False, env=env) as running:
        yield running


def shown(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found, f"the guide has no {language} any more"
    return found[1]


def python_says(secret: str, headers: dict[str, str], body: bytes) -> bool:
    names: dict[str, object] = {}
    exec(shown("python"), names)
    return names["is_genuine"](secret, headers, body)


def node_says(folder: Path, secret: str, headers: dict[str, str], body: bytes) -> bool:
    (folder / "check.mjs").write_text(shown("javascript"))
    (folder / "body").write_bytes(body)
    said = json.dumps([secret, headers])
    script = (
        'import { readFileSync } from "node:fs"; import { isGenuine } from "./check.mjs";'
        f'console.log(isGenuine(...{said}, readFileSync("body")));'
    )
    node = shutil.which("node")
    if node is None and os.environ.get("CI") != "true":
        pytest.skip("Node.js is not installed")
    ended = subprocess.run(
        [node or "node", "--input-type=module", "-e", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return ended.stdout.strip() == "true"


def test_the_end_of_a_job_is_told_at_once_and_the_guides_code_knows_it(server, receiver, tmp_path):
    terminal = Terminal(server)
    flow_id = terminal.flow(greeting())
    vault = open_vault(server.data, None)
    secret = terminal.store.write_now(renew_signing_secret, terminal.owner, vault, flow_id)
    caller = terminal.caller()
    job = caller.ended(caller.accepted(flow_id, {"name": "Ann"}, X_Webhook_Url=receiver.url))
    ended = time.monotonic()

    (seen,) = receiver.wait_for(1)
    assert time.monotonic() - ended < 10
    assert seen.json["type"] == "job.completed"
    assert seen.json["data"] == job

    headers = dict(seen.headers)
    for says in (python_says, lambda *said: node_says(tmp_path, *said)):
        assert says(secret, headers, seen.body)
        assert not says(secret, headers, seen.body + b" ")
        assert not says(
            secret, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}, seen.body
        )
    terminal.close()
