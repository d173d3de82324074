"""Models, plans, workspaces, set-up links, and what all commands share."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.commands.parser import ServeOptions, main
from engine.actions.keys import create_key
from engine.actions.members import join, set_up_owner
from engine.actions.principal import Principal, command_line
from engine.actions.team import invite
from engine.core.errors import LinkNotValid
from engine.core.settings import Settings
from storage.members import list_people
from storage.workspaces import find_first_workspace
from tests.commands.conftest import APP
from tests.databases import POSTGRES, open_database, settings_of
from tests.one_command import clean_environment, run_command

CANARY = "sk-canary-0123456789abcdef"


def test_a_model_key_comes_from_a_variable_or_from_stdin_and_is_never_shown(command, data):
    assert command("models", "add", "oa", "--provider", "openai", "--key-env", "MY_KEY", MY_KEY=CANARY).value == "oa"
    said = command(
        "models",
        "add",
        "box",
        "--provider",
        "openai_compatible",
        "--base-url",
        "http://localhost:11434/v1",
        "--key-stdin",
        stdin=CANARY + "\n",
    )
    assert said.value == "box"
    assert command("models", "list", "--json").json == [
        {
            "name": "box",
            "provider": "openai_compatible",
            "base_url": "http://localhost:11434/v1",
            "has_key": True,
            "local": True,
            "models": [],
            "api_version": None,
            "concurrency": None,
        },
        {
            "name": "oa",
            "provider": "openai",
            "base_url": None,
            "has_key": True,
            "local": False,
            "models": [],
            "api_version": None,
            "concurrency": None,
        },
    ]
    assert CANARY not in command("models", "list").out
    assert all(b"canary" not in file.read_bytes() for file in data.rglob("*") if file.is_file())
    if not POSTGRES:  # where the key is the person's own file
        assert stat.S_IMODE((data / "secret.key").stat().st_mode) == 0o600


def test_a_connection_takes_its_version_its_models_and_its_calls_at_once(command):
    command(
        *("models", "add", "azure", "--provider", "azure_openai", "--base-url", "https://my.openai.azure.com"),
        *("--api-version", "2024-06-01", "--model", "small", "--model", "large", "--concurrency", "3"),
        *("--key-env", "MY_KEY"),
        MY_KEY=CANARY,
    )
    (row,) = command("models", "list", "--json").json
    assert (row["api_version"], row["models"], row["concurrency"]) == ("2024-06-01", ["small", "large"], 3)


def test_a_model_connection_is_removed_once(command):
    command("models", "add", "oa", "--provider", "openai")
    assert command("models", "remove", "oa").code == 0
    assert command("models", "remove", "oa").code == 1
    assert command("models", "list").out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--provider", "openai_compatible"),
        ("--provider", "openai", "--key-env", "NOT_SET_ANYWHERE"),
        ("--provider", "openai", "--key-stdin"),
        ("--provider", "openai", "--base-url", "localhost"),
        ("--provider", "openai", "--api-version", "v1"),
        ("--provider", "ollama", "--concurrency", "0"),
    ],
)
def test_a_model_without_address_or_key_is_refused(command, arguments):
    said = command("models", "add", "oa", *arguments)
    assert (said.code, said.out) == (1, "")
    assert command("models", "list").out == ""


def test_a_plan_is_set_and_shown(command):
    free = command("plan", "show", "--json").json
    part = {"concurrency": 1, "monthly": 250}
    whole = {"concurrency": 4, "monthly": 1000}
    assert free == {"plan": "free", **whole, "environments": {"live": whole, "test": part, "dev": part}}
    assert command("plan", "set", "pro").value == (
        "Pro: Production 20 jobs at once, 10,000 requests a month; Staging 5 jobs at once, 2,500 requests a month; "
        "Development 5 jobs at once, 2,500 requests a month"
    )
    own = ("--concurrency", 50, "--monthly", "unlimited", "--test-concurrency", 3, "--dev-monthly", 1)
    said = command("plan", "set", "enterprise", *own, "--json")
    assert said.json == {
        "plan": "enterprise",
        "concurrency": 50,
        "monthly": None,
        "environments": {
            "live": {"concurrency": 50, "monthly": None},
            "test": {"concurrency": 3, "monthly": None},
            "dev": {"concurrency": 12, "monthly": 1},
        },
    }
    assert command("plan", "show", "--json").json == said.json


@pytest.mark.parametrize("arguments", [("gold",), ("free", "--monthly", "0"), ("free", "--concurrency", "many")])
def test_a_wrong_plan_or_limit_is_used_wrongly(command, arguments):
    assert command("plan", "set", *arguments).code == 2


def test_a_limit_that_no_database_can_store_is_refused(command):
    before = command("plan", "show").value
    refused = command("plan", "set", "enterprise", "--concurrency", 10**20, "--monthly", 5)
    assert (refused.code, refused.out) == (1, "")
    assert f"The concurrency limit of Production is {10**20}" in refused.err
    assert command("plan", "show").value == before


def test_a_new_folder_begins_with_the_plan_of_the_environment(new_folder, command):
    assert command("setup-link", FLOWPORT_PLAN="pro").code == 0
    assert command("plan", "show", "--json").json["plan"] == "pro"


def test_a_wrong_setting_is_refused_by_its_name(new_folder, command):
    said = command("plan", "show", FLOWPORT_PLAN="gold")
    assert (said.code, said.out) == (1, "")
    assert "FLOWPORT_PLAN" in said.err


def test_a_workspace_has_flows_of_its_own(command, flow_file):
    second = command("workspaces", "create", "Second", "--plan", "pro").value
    flow_id = command("flows", "import", flow_file, "--workspace", "Second").value
    assert command("flows", "list").out == ""
    assert command("flows", "list", "--json", "--workspace", second).json[0]["flow_id"] == flow_id
    assert command("flows", "deploy", flow_id).code == 1
    assert command("flows", "list", "--workspace", "Third").code == 1
    assert [row["name"] for row in command("workspaces", "list", "--json").json] == ["Workspace", "Second"]


def test_a_set_up_link_is_printed_until_there_is_an_owner_then_a_reset_link(command, data):
    link = command("setup-link", FLOWPORT_PORT="9123").value
    assert link.startswith("http://localhost:9123/setup/")
    database = open_database(data)
    token = link.rsplit("/", 1)[1]
    asyncio.run(set_up_owner(database, token, "Ada", "ada@example.com", "correct horse battery"))
    database.close()
    refused = command("setup-link")
    assert (refused.code, refused.out) == (1, "")
    assert "--reset" in refused.err
    reset = command("setup-link", "--reset", "ada@example.com")
    assert "/setup/" in reset.value
    assert "second factor" not in reset.err, "this account has none"
    assert command("setup-link", "--reset", "eve@example.com").code == 1
    command("workspaces", "create", "Elsewhere")
    assert command("setup-link", "--reset", "ada@example.com", "--workspace", "Elsewhere").code == 1


def test_commands_that_come_at_once_to_a_new_folder_all_succeed(new_folder, command, data):
    """Runs each command in a process of its own."""
    environment = clean_environment(**settings_of(data))

    def make(number):
        made = ("keys", "create", "--label", f"K{number}", "--environment", "live", "--data", str(data))
        return run_command(made, stdin=b"", environment=environment, folder=data.parent)

    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(make, range(6)))
    assert [said.returncode for said in made] == [0] * 6
    assert len({said.stdout for said in made}) == 6
    assert len(command("workspaces", "list").out.splitlines()) == 1
    assert len(command("keys", "list").out.splitlines()) == 6


def test_people_are_invited_listed_and_shut_out_at_the_terminal(command, data):
    link = command("people", "invite", "--role", "editor", "--email", "eve@example.com", FLOWPORT_PORT="9123").value
    assert link.startswith("http://localhost:9123/invite/")
    taken_back = command("people", "invite", "--role", "owner").value
    (anybody, _for_eve) = command("people", "list", "--json").json["invitations"]
    assert (anybody["role"], anybody["email"]) == ("owner", None)
    assert command("people", "withdraw", anybody["id"]).code == 0
    assert command("people", "withdraw", anybody["id"]).code == 1
    database = open_database(data)
    try:
        for token in (link, taken_back):
            said = ("Eve", "eve@example.com", "correct horse battery")
            tried = asyncio.run(_tried(join(database, token.rpartition("/")[2], *said)))
            assert tried == (token is link)
    finally:
        database.close()
    assert command("people", "role", "EVE@example.com", "owner").code == 0
    assert command("people", "disable", "eve@example.com").code == 1, "she is the only owner"
    assert "the only owner" in command("people", "role", "eve@example.com", "viewer").err
    assert command("people", "enable", "eve@example.com").code == 0
    assert command("people", "disable", "bob@example.com").code == 1
    (eve,) = command("people", "list", "--json").json["people"]
    assert (eve["name"], eve["role"], eve["state"], eve["last_here_at"] is None) == ("Eve", "owner", "active", False)
    assert command("people", "list").out.split("\t")[1:3] == ["owner", "active"]


def test_keys_that_somebody_has_seen_are_named_and_revoked_when_they_are_shut_out(command, data):
    command("people", "invite", "--role", "owner")
    database = open_database(data)
    try:
        workspace_id = database.read_now(find_first_workspace).id
        for name in ("Ada", "Eve"):
            token = database.write_now(invite, command_line(workspace_id), "owner")
            asyncio.run(join(database, token, name, f"{name.lower()}@example.com", "correct horse battery"))
        eve = next(one for one in database.read_now(list_people, workspace_id) if one.name == "Eve")
        database.write_now(create_key, Principal(workspace_id, eve.id, "Eve", "owner"), "Laptop", "live")
    finally:
        database.close()
    said = command("people", "disable", "eve@example.com", "--revoke-keys")
    assert "They have seen the key “Laptop”" in said.err
    assert "it is revoked" in said.err
    assert "1 API key that they have seen is revoked." in said.err
    assert "They are shut out" in command("people", "role", "eve@example.com", "editor").err
    assert [key["status"] for key in command("keys", "list", "--json").json] == ["revoked"]
    again = command("people", "disable", "eve@example.com", "--revoke-keys")
    assert (again.code, "Laptop" in again.err) == (0, False)


async def _tried(joining):
    try:
        return bool(await joining)
    except LinkNotValid:
        return False


@pytest.mark.sqlite("the address of a PostgreSQL database says where its tables are")
@pytest.mark.parametrize(
    "words",
    [("flows", "list"), ("keys", "list"), ("keys", "revoke", "key_x"), ("plan", "show"), ("workspaces", "list"), ("people", "list"), ("models", "list"), ("jobs", "erase", "job_x"), ("flows", "undeploy", "flow_x"), ("worker",)],
)  # fmt: skip
def test_a_command_that_has_nothing_to_do_in_a_new_folder_makes_none(new_folder, command, data, words):
    refused = command(*words)
    assert (refused.code, refused.out) == (1, "")
    assert f"There is no Flowport in {data}" in refused.err
    assert "--data" in refused.err
    assert not data.exists()


@pytest.mark.sqlite("the address of a PostgreSQL database says where its tables are")
def test_a_command_that_sets_up_a_new_folder_says_that_it_made_one(new_folder, command, data):
    made = command("keys", "create", "--label", "Shop", "--environment", "test")
    assert made.value.startswith("fp_test_")
    assert f"There was no Flowport in {data}: a new one was made there." in made.err
    assert "There was no Flowport" not in command("keys", "create", "--label", "B", "--environment", "test").err


def test_the_data_folder_comes_from_the_environment_or_is_named_data(new_folder, command, data, tmp_path):
    other = tmp_path / "other"
    command("setup-link", folder=False, FLOWPORT_DATA=str(other))
    assert (other / "flowport.db").exists()
    command("setup-link", folder=False)  # runs next to the folder, so that `./data` is the data folder
    assert (data / "flowport.db").exists()


@pytest.mark.sqlite("tests/storage/postgres has the same for PostgreSQL")
def test_a_folder_of_a_newer_program_is_left_alone(command, data):
    command("plan", "show")
    import sqlite3

    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    said = command("plan", "show")
    assert (said.code, said.out) == (1, "")
    assert "newer Flowport" in said.err


@pytest.mark.sqlite("PostgreSQL has no file that could be damaged here")
@pytest.mark.parametrize(
    "words", [("flows", "list"), ("migrate",), ("restore", __file__), ("move", "--to", "postgresql://a@127.0.0.1:9/b")]
)
def test_a_folder_whose_path_is_no_text_is_refused(new_folder, command, tmp_path, words):
    folder = tmp_path / os.fsdecode(b"a\xffb")
    refused = command(*words, folder=False, FLOWPORT_DATA=str(folder))
    assert (refused.code, refused.out) == (1, "")
    assert "a\\xffb. Rename it" in refused.err
    assert not folder.exists()


def test_a_damaged_database_is_told_in_a_sentence(new_folder, command, data):
    data.mkdir()
    (data / "flowport.db").write_bytes(b"this is no database, whatever its name says" * 100)
    said = command("plan", "show")
    assert (said.code, said.out) == (1, "")
    assert "not a database" in said.err
    assert "Traceback" not in said.err


def test_a_full_disk_is_told_with_what_to_do(capfd, tmp_path):
    def fails(settings: Settings, options: ServeOptions) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    code = main(["serve", "--data", str(tmp_path)], {}, serve=fails, worker=lambda settings: 0)
    assert code == 1
    said = capfd.readouterr().err
    assert said.startswith("There is no space left to write on a disk")
    assert f"({tmp_path}). Free some space there" in said


def test_help_needs_no_heavy_library():
    code = (
        "import sys; from api.commands.parser import build_parser; build_parser().format_help(); "
        "print([name for name in ('sqlalchemy', 'nicegui', 'fastapi', 'pydantic', 'huey') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=clean_environment(),
        cwd=APP.parent,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_help_names_no_option_that_does_nothing(command):
    for words, unused in ((("worker",), "--port"), (("worker",), "--workspace"), (("check",), "--workspace")):
        assert unused not in command(*words, "--help", folder=False).out
    assert command("check", "--offline", "--workspace", "any").code == 0, "scripts may give it"


def test_a_model_without_the_address_that_it_needs_names_the_option(command):
    said = command("models", "add", "azure", "--provider", "azure_openai")
    assert (said.code, said.out) == (1, "")
    assert "--base-url" in said.err


def test_help_names_every_command(command):
    said = command("--help", folder=False)
    assert said.code == 0
    for word in ("serve", "worker", "flows", "keys", "models", "plan", "people", "setup-link", "workspaces"):
        assert word in said.out


@pytest.mark.parametrize("start", ["serve", "worker"])
def test_with_json_lines_a_refusal_at_the_start_is_one_and_that_of_a_command_is_text(command, start):
    said = command(start, FLOWPORT_LOG="json", FLOWPORT_PORT="many")
    line = json.loads(said.err)
    assert (said.code, line["level"]) == (1, "ERROR")
    assert line["message"].startswith("FLOWPORT_PORT is 'many'.")

    assert command("flows", "list", FLOWPORT_LOG="json", FLOWPORT_PORT="many").err.startswith(
        "FLOWPORT_PORT is 'many'."
    )
