"""The command line, on an empty folder and beside a running server."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.databases import POSTGRES
from tests.factories import greeting
from tests.live_server import ROOT, LiveServer
from tests.one_command import run_command

COMMANDS = {
    "flows list": ("flows", "list"),
    "flows list --json": ("flows", "list", "--json"),
    "keys create": ("keys", "create", "--label", "Shop", "--environment", "test"),
    "keys create --json": ("keys", "create", "--label", "Shop", "--environment", "dev", "--json"),
    "workspaces create": ("workspaces", "create", "Second"),
    "plan set": ("plan", "set", "pro"),
    "models add": ("models", "add", "box", "--provider", "openai_compatible", "--base-url", "http://localhost:1/v1"),
}


def everything_wrong() -> dict:
    """A flow file with a cycle, an unknown type, an unknown key, a dangling edge and an invalid reference."""
    file = greeting("{{ nobody.out }}", colour="red")
    file["nodes"] += [{"id": "mystery", "type": "mystery"}, {"id": "set_fields", "type": "set_fields"}]
    file["edges"] += [
        {"id": "e2", "source": "text_template", "target": "set_fields"},
        {"id": "e3", "source": "set_fields", "target": "text_template"},
        {"id": "e4", "source": "set_fields", "target": "mystery"},
        {"id": "e5", "source": "set_fields", "target": "gone"},
    ]
    return file


#: File contents, and every problem that must be listed. tests/commands tests them one by one.
BAD_FILES = {
    "everything wrong": (
        json.dumps(everything_wrong()),
        {"unknown_key", "unknown_type", "cycle", "dangling_edge", "bad_reference"},
    ),
    "2 MB": (json.dumps(greeting("x" * (2 << 20))), {"too_large"}),
    "invalid JSON": ('{"format": 1,', {"invalid_json"}),
}


def test_bad_files_beside_a_running_server_are_refused_with_every_problem_and_nothing_is_stored(terminal):
    for name, (text, codes) in BAD_FILES.items():
        said = terminal.run("flows", "import", "-", "--json", stdin=text, check=False)
        assert said.returncode == 1, name
        answer = json.loads(said.stdout)
        assert answer["flow_id"] is None, name
        assert {problem["code"] for problem in answer["problems"]} == codes, name
        assert all(problem["message"] in said.stderr for problem in answer["problems"]), name
    assert terminal.run("flows", "list", "--json").stdout.strip() == "[]"


def check_value(name: str, stdout: str) -> None:
    """Asserts that stdout holds the command's result and nothing else."""
    if name.endswith("--json"):
        json.loads(stdout)
    elif name == "keys create":
        assert re.fullmatch(r"fp_test_[0-9A-Za-z]{38}\n", stdout)
    elif not name.endswith("list"):
        assert stdout.count("\n") == 1, stdout


def test_commands_work_on_an_empty_folder_with_no_server(tmp_path):
    def run(item: tuple[str, tuple[str, ...]]) -> None:
        name, command = item
        empty = LiveServer(tmp_path / name.replace(" ", "_") / "deep" / "data")
        check_value(name, empty.run(*command).stdout)
        assert (empty.data / "flowport.db").exists() is not POSTGRES

    for name in ("plan set", "keys create", "models add"):
        run((name, COMMANDS[name]))


def test_commands_work_beside_a_running_server_even_at_once(terminal):
    """Each command runs in a process of its own."""

    def run(item: tuple[str, tuple[str, ...]]) -> None:
        name, command = item
        where = ("--workspace", terminal.workspace_id)
        ended = run_command((*command, *where), stdin=b"", environment=terminal.server.environment(), folder=ROOT)
        assert ended.returncode == 0, ended.stderr
        check_value(name, ended.stdout.decode())

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, COMMANDS.items()))


@pytest.mark.parametrize(
    "command", [("flows",), ("nonsense",), ("keys", "create"), ("plan", "set", "gold"), ("flows", "deploy")]
)
def test_a_command_used_wrongly_ends_with_2_and_prints_no_value(server, command):
    said = server.run(*command, check=False)
    assert (said.returncode, said.stdout) == (2, "")
    assert "usage" in said.stderr


@pytest.mark.parametrize(
    "command", [("flows", "deploy", "flow_nobody"), ("keys", "revoke", "key_nobody"), ("models", "remove", "nobody")]
)
def test_a_command_that_is_refused_ends_with_1_and_prints_no_value(server, command):
    said = server.run(*command, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.strip().endswith(".")
