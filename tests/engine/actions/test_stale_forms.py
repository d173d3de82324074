"""A form that began before somebody else's change does not undo it: it is refused, and what is stored stays."""

from __future__ import annotations

from typing import Any

import pytest

from engine.actions.connections import add_connection, change_connection, remember_models
from engine.actions.flows import import_flow
from engine.actions.hooks import add_hook, change_hook
from engine.actions.principal import Principal
from engine.actions.schedules import add_schedule, change_schedule
from engine.actions.secrets import add_secret, set_secret_hosts
from engine.actions.tool_servers import add_tool_server, change_tool_server, remember_tools
from engine.core.errors import VersionConflict
from engine.flow.node_context import ServerTool
from engine.models.saved_connections import open_connection
from engine.secrets.sealing import Vault
from storage.connections import get_connection
from storage.database import Database
from storage.hooks import get_hook
from storage.schedules import get_schedule
from storage.secrets import list_secrets
from storage.tool_servers import list_tool_servers
from tests.factories import flow_file, greeting

VAULT = Vault(bytes(32))
NEW = "sk-new-0123456789"
MAPPING = {"name": {"from": "body", "path": ["name"]}}
MORNINGS, EVENINGS = ({"kind": "weekly", "days": [1, 2], "time": time} for time in ("07:30", "19:30"))
INPUT = {"kind": "input", "payload": {"name": "Ada"}}


def refused(database: Database, *call: Any, **given: Any) -> None:
    with pytest.raises(VersionConflict, match="Somebody changed this after you opened the page"):
        database.write_now(*call, **given)


def test_a_host_of_a_secret_that_was_closed_stays_closed(database: Database, ada: Principal) -> None:
    secret_id = database.write_now(add_secret, ada, VAULT, "Shop", NEW, "api.example.com\nold.example.com")
    (began,) = database.read_now(list_secrets, ada.workspace_id)
    database.write_now(set_secret_hosts, ada, secret_id, "api.example.com")
    hosts = "api.example.com\nold.example.com\nnew.example.com"
    refused(database, set_secret_hosts, ada, secret_id, hosts, began=began)
    (row,) = database.read_now(list_secrets, ada.workspace_id)
    assert row.hosts == ("api.example.com",)
    database.write_now(set_secret_hosts, ada, secret_id, "new.example.com", began=row)


@pytest.mark.parametrize("change", [{"key": NEW}, {"base_url": "https://b.example.com/v1", "key": NEW}])
def test_a_new_key_and_address_of_a_connection_stay(database: Database, ada: Principal, change: dict[str, Any]) -> None:
    here: dict[str, Any] = {"base_url": "https://a.example.com/v1"}
    database.write_now(add_connection, ada, VAULT, "gpt", "openai_compatible", key="sk-old-0123456789", **here)
    began = database.read_now(get_connection, ada.workspace_id, "gpt")
    database.write_now(change_connection, ada, VAULT, "gpt", **{**here, **change})
    refused(database, change_connection, ada, VAULT, "gpt", began=began, max_concurrency=7, **here)
    found = database.read_now(open_connection, VAULT, ada.workspace_id, "gpt")
    assert found is not None
    assert (found.key, found.max_concurrency) == (NEW, None)


def test_a_test_of_a_connection_is_no_change(database: Database, ada: Principal) -> None:
    database.write_now(add_connection, ada, VAULT, "vllm", "vllm")
    began = database.read_now(get_connection, ada.workspace_id, "vllm")
    database.write_now(remember_models, ada, "vllm", ["a"])
    database.write_now(change_connection, ada, VAULT, "vllm", began=began, max_concurrency=2)
    assert database.read_now(get_connection, ada.workspace_id, "vllm").max_concurrency == 2


def test_a_new_key_and_address_of_an_mcp_server_stay(database: Database, ada: Principal) -> None:
    here = "https://a.example.com/mcp"
    server_id = database.write_now(add_tool_server, ada, VAULT, "shop", here, key="k1-123456")
    (began,) = database.read_now(list_tool_servers, ada.workspace_id)
    database.write_now(remember_tools, ada, server_id, [ServerTool("stock", "", {"type": "object"})])
    database.write_now(change_tool_server, ada, VAULT, server_id, url=here, header="X-Api-Key", began=began)
    refused(database, change_tool_server, ada, VAULT, server_id, url=here, key="", began=began)
    (began,) = database.read_now(list_tool_servers, ada.workspace_id)
    database.write_now(change_tool_server, ada, VAULT, server_id, url="https://b.example.com/mcp", key=NEW)
    refused(database, change_tool_server, ada, VAULT, server_id, url=here, began=began)
    (row,) = database.read_now(list_tool_servers, ada.workspace_id)
    assert (row.url, row.secret_id is not None) == ("https://b.example.com/mcp", True)


def test_what_fills_the_fields_of_a_webhook_stays(database: Database, ada: Principal) -> None:
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    hook_id = database.write_now(add_hook, ada, VAULT, flow_id, "Shop", "link", {}).id
    began = database.read_now(get_hook, ada.workspace_id, hook_id)
    database.write_now(change_hook, ada, hook_id, "Shop", MAPPING, began=began)
    refused(database, change_hook, ada, hook_id, "The shop", {}, began=began)
    row = database.read_now(get_hook, ada.workspace_id, hook_id)
    assert (row.title, row.mapping) == ("Shop", MAPPING)
    database.write_now(change_hook, ada, hook_id, "The shop", MAPPING, began=row)


def test_when_a_schedule_starts_stays(database: Database, ada: Principal) -> None:
    flow_id = database.write_now(import_flow, ada, flow_file(greeting())).flow_id
    schedule_id = database.write_now(add_schedule, ada, flow_id, "Report", MORNINGS, "UTC", INPUT)
    began = database.read_now(get_schedule, ada.workspace_id, schedule_id)
    database.write_now(change_schedule, ada, schedule_id, "Report", EVENINGS, "UTC", INPUT, began=began)
    refused(database, change_schedule, ada, schedule_id, "The report", MORNINGS, "UTC", INPUT, began=began)
    row = database.read_now(get_schedule, ada.workspace_id, schedule_id)
    assert (row.title, row.timing["time"]) == ("Report", "19:30")
    database.write_now(change_schedule, ada, schedule_id, "The report", EVENINGS, "UTC", INPUT, began=row)
