from __future__ import annotations

import json
import re

import pytest

KEY = re.compile(r"fp_(live|test|dev)_[0-9A-Za-z]{38}")


@pytest.mark.parametrize("environment", ["live", "test", "dev"])
def test_create_prints_the_key_alone_once(command, environment, data):
    key = command("keys", "create", "--label", "Shop", "--environment", environment).value
    assert KEY.fullmatch(key)
    assert key.startswith(f"fp_{environment}_")
    listed = command("keys", "list")
    assert key not in listed.out + listed.err
    assert key[-4:] in listed.out
    assert all(key.encode() not in file.read_bytes() for file in data.rglob("*") if file.is_file())


def test_a_key_may_be_for_some_flows_only(command, data, tmp_path):
    flow = {"format": 1, "title": "One", "nodes": [{"id": "api_input", "type": "api_input"}], "edges": []}
    (tmp_path / "one.json").write_text(json.dumps(flow))
    first, second = (command("flows", "import", str(tmp_path / "one.json")).value for _ in range(2))
    shop = ("keys", "create", "--label", "Shop", "--environment", "live")
    assert command(*shop, "--flow", first, "--flow", second).code == 0
    assert command(*shop, "--flow", "flow_unknown").code == 1
    (key,) = command("keys", "list", "--json").json
    assert key["flow_ids"] == sorted([first, second])
    assert key["created_by"] == "Command line"


def test_create_with_json_prints_key_and_id(command):
    made = command("keys", "create", "--label", "Shop", "--environment", "live", "--json").json
    (listed,) = command("keys", "list", "--json").json
    assert (listed["id"], listed["label"], listed["last4"], listed["status"]) == (
        made["id"],
        "Shop",
        made["key"][-4:],
        "active",
    )


@pytest.mark.parametrize("by", ["id", "key", "id on stdin", "key on stdin"])
def test_a_key_is_revoked_by_its_id_or_by_itself(command, by):
    made = command("keys", "create", "--label", "Shop", "--environment", "live", "--json").json
    named = made["id"] if by.startswith("id") else made["key"]
    said = command("keys", "revoke", "-", stdin=f"{named}\n") if "stdin" in by else command("keys", "revoke", named)
    assert (said.code, said.out) == (0, "")
    assert made["key"] not in said.err
    assert command("keys", "list", "--json").json[0]["status"] == "revoked"


def test_a_mistyped_or_unknown_key_is_refused_without_repeating_it(command):
    key = command("keys", "create", "--label", "Shop", "--environment", "live").value
    mistyped = key[:-1] + ("a" if key[-1] != "a" else "b")
    for named in (mistyped, "key_nobody", ""):
        said = command("keys", "revoke", "-", stdin=named)
        assert (said.code, said.out) == (1, "")
        assert mistyped not in said.err
    assert command("keys", "list", "--json").json[0]["status"] == "active"


def test_a_key_by_itself_is_found_in_any_workspace_unless_one_is_named(command):
    command("workspaces", "create", "Second")
    key = command("keys", "create", "--label", "Shop", "--environment", "live", "--workspace", "Second").value
    assert command("keys", "list").out == ""
    assert command("keys", "revoke", key, "--workspace", "Workspace").code == 1
    assert command("keys", "revoke", key).code == 0
    assert command("keys", "list", "--json", "--workspace", "Second").json[0]["status"] == "revoked"


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create", "--label", "Shop"),
        ("keys", "create", "--label", "Shop", "--environment", "prod"),
        ("keys", "revoke"),
        ("keys",),
        ("keys", "polish"),
    ],
)
def test_a_command_used_wrongly_ends_with_2(command, arguments):
    said = command(*arguments, folder=False)
    assert (said.code, said.out) == (2, "")
    assert "usage" in said.err


def test_an_empty_label_is_refused(command):
    assert command("keys", "create", "--label", " ", "--environment", "live").code == 1
