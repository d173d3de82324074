"""`overview`: who has access, what runs by itself and what is called, in all workspaces."""

from __future__ import annotations

from engine.actions.connections import add_connection
from engine.actions.flows import create_flow
from engine.actions.hooks import add_hook
from engine.actions.keys import create_key, revoke_key
from engine.actions.principal import command_line
from engine.actions.schedules import add_schedule
from engine.actions.team import invite
from engine.actions.tool_servers import add_tool_server
from engine.actions.webhooks import set_webhook
from engine.actions.workspaces import create_workspace
from engine.core.environments import Environment
from engine.core.roles import Role
from engine.secrets.sealing import Vault
from storage.members import insert_account
from storage.workspaces import find_first_workspace
from tests.commands.conftest import Command
from tests.databases import open_database
from tests.factories import document, greeting

VAULT = Vault(bytes(32))
URL = "https://user-less.example:8443/secret-path?token=x"


def test_everything_of_every_workspace_is_in_one_list(command: Command, data):
    database = open_database(data)
    write = database.write_now
    first = database.read_now(find_first_workspace)
    assert first is not None
    other = write(create_workspace, "Other tenant")
    ann, ben = command_line(first.id), command_line(other)
    write(insert_account, first.id, "Ann", "ann@example.com", role=Role.OWNER, password_hash="")
    write(invite, ben, Role.VIEWER, "new@example.com")
    file = greeting()
    pages = [
        {"id": "reads", "type": "page_scraper", "label": "Reads", "inputs": {"url": "https://pages.example/a"}},
        {"id": "calls", "type": "http_request", "label": "Calls", "inputs": {"url": "{{ api_input.out.name }}"}},
    ]
    flow = write(create_flow, ann, "Greeting", document({**file, "nodes": [*file["nodes"], *pages]}))
    key = write(create_key, ann, "Shop", Environment.LIVE, flow_ids=[flow]).id
    write(revoke_key, ben, write(create_key, ben, "Gone", Environment.LIVE).id)
    open_key = write(create_key, ben, "All", Environment.TEST).id
    schedule = write(
        add_schedule,
        *(ann, flow, "Mondays", {"kind": "weekly", "days": [1], "time": "09:00"}, "UTC"),
        {"kind": "input", "payload": {"name": "x"}},
    )
    hook = write(add_hook, ann, VAULT, flow, "A shop", "github", {}).id
    write(set_webhook, ann, flow, URL)
    connection = write(add_connection, ben, VAULT, "gpt", "openai", key="k-secret")
    server = write(add_tool_server, ben, VAULT, "shop", "https://tools.example/mcp", key="k-secret")
    database.close()

    found = command("overview", "--json").json
    by_kind: dict[str, list[tuple[str, str, str]]] = {}
    for one in found:
        by_kind.setdefault(one["kind"], []).append((one["workspace"], one["id"], one["what"]))
    assert [one["name"] for one in found if one["kind"] == "person"] == ["Ann <ann@example.com>"]
    assert by_kind.pop("person")[0][2] == "owner, active"
    assert by_kind == {
        "invitation": [("Other tenant", "-", "viewer, open until")],
        "key": [(first.name, key, "live, “Greeting”"), ("Other tenant", open_key, "test, every flow")],
        "schedule": [(first.name, schedule, "“Greeting”, Every Monday at 09:00, UTC")],
        "incoming webhook": [(first.name, hook, "“Greeting”, github")],
        "model connection": [("Other tenant", connection, "openai, api.openai.com")],
        "tool server": [("Other tenant", server, "tools.example")],
        "outgoing webhook": [(first.name, flow, "live, user-less.example:8443")],
        "called host": [
            (first.name, flow, "draft, an address from data"),
            (first.name, flow, "draft, pages.example"),
        ],
    }
    assert [one["at"] is not None for one in found if one["kind"] in {"schedule", "key"}] == [False, False, True]

    said = command("overview", "--workspace", "Other tenant").out
    assert {line.split("\t")[1] for line in said.splitlines()} == {"Other tenant"}
    assert "k-secret" not in said
