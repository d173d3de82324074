"""The OpenAPI documents are complete: schemathesis, with every check, finds no response that they do not describe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import Called, deployed
from tests.live.caller import Terminal
from tests.live_server import live_server

HOOKS = Path(__file__).with_name("hooks.py")

#: Statuses that a valid request may get, depending on the state of the server. 422: the same Idempotency-Key with
#: another body.
STATES = ["2xx", "3xx", "401", "403", "404", "409", "410", "422", "429", "5xx"]
#: The document of the whole API does not know a flow's fields, so a valid body may be refused. A flow's own document
#: does.
ANY_FLOW = """
[[operations]]
include-operation-id = ["run_flow", "run_flow_batch"]
checks.positive_data_acceptance.expected-statuses = {statuses}
parameters."path.flow_id" = "{flow_id}"

# Of a form, schemathesis takes the header `Idempotency-Key: 0` for wrong, because it made it from a number. On the wire it
# is the text "0". What is wrong with an upload is tested in tests/api/routes/test_files.py.
[[operations]]
include-operation-id = ["upload_file"]
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx", "5xx"]

# A part of an empty file that was uploaded before is asked for.
[[operations]]
include-operation-id = "download_file"
checks.positive_data_acceptance.expected-statuses = {parts}
"""


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Called]:
    """A server of its own.

    Generated webhook addresses are sent to a proxy that does not exist, so nothing leaves this machine.
    """
    env = {"FLOWPORT_PLAN": "enterprise", "FLOWPORT_OUTBOUND_PROXY": "http://127.0.0.1:9"}
    with live_server(tmp_path_factory.mktemp("contract") / "data", env=env) as server:
        yield deployed(Terminal(server))


def attack(called: Called, folder: Path, path: str, *, examples: int, seed: int, more: str = "") -> None:
    """Runs schemathesis against the live server, in a separate process because it has settings of its own."""
    document = folder / "openapi.json"
    document.write_text(json.dumps(called.document(path)))
    settings = f"""
hooks = "{HOOKS}"
base-url = "{called.server.url}"
seed = {seed}
continue-on-failure = true
suppress-health-check = ["all"]
headers.Authorization = "Bearer {called.key}"
generation.max-examples = {examples}
generation.database = "none"
generation.no-shrink = true
cache.enabled = false
checks.positive_data_acceptance.expected-statuses = {json.dumps(STATES)}
{more}
"""
    (folder / "schemathesis.toml").write_text(settings)
    answer = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", str(document), "--checks", "all"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert re.search(r"[1-9]\d* generated, [1-9]\d* passed", answer.stdout), answer.stdout
    assert "ERROR" not in called.server.log(), called.server.log()


def any_flow(called: Called) -> str:
    statuses, parts = json.dumps([*STATES, "400"]), json.dumps([*STATES, "416"])
    return ANY_FLOW.format(statuses=statuses, parts=parts, flow_id=called.flow_id)


@pytest.mark.costly("dozens of calls for each operation")
def test_the_document_of_the_whole_api_promises_what_is_answered(called: Called, tmp_path: Path):
    attack(called, tmp_path, "/openapi.json", examples=5, seed=1, more=any_flow(called))


@pytest.mark.costly("dozens of calls for each operation")
def test_the_document_of_one_flow_promises_what_is_answered(called: Called, tmp_path: Path):
    attack(called, tmp_path, f"/openapi/flows/{called.flow_id}.json", examples=5, seed=1)


@pytest.mark.slow
@pytest.mark.costly("hundreds of calls for each operation")
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [2, 3])
def test_the_document_of_the_whole_api_keeps_its_promises_for_long(called: Called, tmp_path: Path, seed: int):
    attack(called, tmp_path, "/openapi.json", examples=150, seed=seed, more=any_flow(called))


@pytest.mark.slow
@pytest.mark.costly("hundreds of calls for each operation")
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [2, 3])
def test_the_document_of_one_flow_keeps_its_promises_for_long(called: Called, tmp_path: Path, seed: int):
    attack(called, tmp_path, f"/openapi/flows/{called.flow_id}.json", examples=150, seed=seed)
