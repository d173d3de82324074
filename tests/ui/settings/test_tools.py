"""Settings, Tools: MCP servers are added, tested, allowed and removed; their keys are never shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing import User

from engine.actions.tool_servers import (
    add_tool_server,
    allow_tool,
    allow_tools,
    change_tool_server,
    remember_tools,
)
from engine.core.errors import Conflict, Invalid, NotFound
from engine.flow.node_context import ServerTool
from engine.secrets.sealing import Vault, open_vault
from engine.tool_servers.saved_servers import open_tool_server
from storage.secrets import list_secrets
from storage.tool_servers import list_tool_servers
from tests.ui.arrange import page_text, press, press_named, until
from tests.ui.conftest import Site

pytestmark = pytest.mark.process

URL = "https://tools.example.com/mcp"
STOCK = ServerTool("stock", "How many <b>pieces</b>", {"type": "object"}, reads=True)
NOTE = ServerTool("note", "", {"type": "object"})


@pytest.fixture
async def vault(site: Site) -> AsyncIterator[Vault]:
    return open_vault(site.settings.data)


async def test_the_page_shows_what_a_server_offers_and_allows(user: User, site: Site, vault: Vault) -> None:
    server_id = site.database.write_now(add_tool_server, site.owner, vault, "shop", URL, key="k-very-secret")
    site.database.write_now(remember_tools, site.owner, server_id, [STOCK, NOTE])
    await user.open("/settings/tools")
    told = page_text(user)
    assert "k-very-secret" not in told
    for said in ("shop", URL, "Key stored", "How many <b>pieces</b>", "Only reads", "May change something"):
        assert said in told
    assert "None is allowed yet" in told

    site.database.write_now(allow_tools, site.owner, server_id, ["stock", "unknown"])
    (row,) = site.database.read_now(list_tool_servers, site.owner.workspace_id)
    assert [tool.name for tool in row.offered] == ["stock"]


def boxes(user: User) -> dict[str, ui.checkbox]:
    """Returns the boxes of the tools by their names."""
    assert user.client is not None
    return {one.text: one for one in user.client.elements.values() if isinstance(one, ui.checkbox)}


def allowed(site: Site) -> list[str]:
    (row,) = site.database.read_now(list_tool_servers, site.owner.workspace_id)
    return [tool.name for tool in row.offered]


async def test_a_key_that_another_key_has_sealed_has_to_be_entered_again(
    user: User, site: Site, tmp_path: Path
) -> None:
    site.database.write_now(add_tool_server, site.owner, open_vault(tmp_path), "shop", URL, key="k-very-secret")
    await user.open("/settings/tools")
    await user.should_see("Cannot be read any more: enter it again")
    await user.should_not_see("Key stored")


async def test_a_tool_that_somebody_forbade_meanwhile_stays_forbidden(user: User, site: Site, vault: Vault) -> None:
    server_id = site.database.write_now(add_tool_server, site.owner, vault, "shop", URL)
    delete_all = ServerTool("delete_all", "", {"type": "object"})
    site.database.write_now(remember_tools, site.owner, server_id, [STOCK, delete_all, NOTE])
    site.database.write_now(allow_tools, site.owner, server_id, ["stock", "delete_all"])
    await user.open("/settings/tools")
    site.database.write_now(allow_tool, site.owner, server_id, "delete_all", allowed=False)

    boxes(user)["note"].value = True

    await until(lambda: "note" in allowed(site))
    assert allowed(site) == ["stock", "note"]
    await until(lambda: not boxes(user)["delete_all"].value)
    assert (boxes(user)["stock"].value, boxes(user)["note"].value) == (True, True)
    boxes(user)["stock"].value = False
    await until(lambda: allowed(site) == ["note"])
    press(user, "Allow all that only read")
    await until(lambda: allowed(site) == ["stock"])
    press(user, "Allow none")
    await user.should_see("None is allowed yet")
    assert allowed(site) == []


async def test_an_open_page_follows_what_somebody_else_allows(user: User, site: Site, vault: Vault) -> None:
    server_id = site.database.write_now(add_tool_server, site.owner, vault, "shop", URL)
    site.database.write_now(remember_tools, site.owner, server_id, [STOCK, NOTE])
    await user.open("/settings/tools")
    assert not boxes(user)["note"].value
    site.database.write_now(allow_tool, site.owner, server_id, "note", allowed=True)
    await until(lambda: boxes(user)["note"].value)


async def test_an_open_form_does_not_undo_what_somebody_else_changed(user: User, site: Site, vault: Vault) -> None:
    server_id = site.database.write_now(add_tool_server, site.owner, vault, "shop", URL)
    await user.open("/settings/tools")
    press_named(user, "Change shop")
    site.database.write_now(change_tool_server, site.owner, vault, server_id, url=f"{URL}/v2", key="k-1234567")
    press(user, "Save and test")
    await user.should_see("Somebody changed this after you opened the page. Load the page again", retries=100)
    (row,) = site.database.read_now(list_tool_servers, site.owner.workspace_id)
    assert (row.url, row.secret_id is not None) == (f"{URL}/v2", True)


async def test_a_tool_that_is_listed_no_more_is_forbidden_and_never_allowed(site: Site, vault: Vault) -> None:
    server_id = site.database.write_now(add_tool_server, site.owner, vault, "shop", URL)
    site.database.write_now(remember_tools, site.owner, server_id, [STOCK])
    with pytest.raises(NotFound):
        site.database.write_now(allow_tool, site.owner, server_id, "note", allowed=True)
    site.database.write_now(allow_tool, site.owner, server_id, "note", allowed=False)
    assert allowed(site) == []


async def test_an_address_inside_the_network_is_refused_with_what_to_do(user: User, site: Site, vault: Vault) -> None:
    site.database.write_now(add_tool_server, site.owner, vault, "inner", "http://10.0.0.5/mcp")
    await user.open("/settings/tools")
    press_named(user, "Test inner")
    await user.should_see("Allowed addresses", retries=100)


async def test_a_key_is_sealed_and_goes_with_the_address(site: Site, vault: Vault) -> None:
    database, workspace_id = site.database, site.owner.workspace_id
    server_id = database.write_now(add_tool_server, site.owner, vault, "shop", URL, key="k-1234567")
    opened = database.read_now(open_tool_server, vault, workspace_id, "shop")
    assert opened is not None
    assert opened.headers() == {"Authorization": "Bearer k-1234567"}
    assert "k-1234567" not in repr(opened)
    assert database.read_now(list_secrets, workspace_id) == [], "it is no secret of HTTP Request nodes"
    database.write_now(change_tool_server, site.owner, vault, server_id, url=f"{URL}/v2", header="X-Api-Key")
    kept = database.read_now(open_tool_server, vault, workspace_id, "shop")
    assert kept is not None
    assert kept.headers() == {"X-Api-Key": "k-1234567"}
    database.write_now(change_tool_server, site.owner, vault, server_id, url="https://other.example.com/mcp")
    moved = database.read_now(open_tool_server, vault, workspace_id, "shop")
    assert moved is not None
    assert moved.headers() == {}, "another server does not get the key"


@pytest.mark.parametrize(
    ("name", "url", "header", "pointers"),
    [
        ("Shop!", URL, "", ["/name"]),
        ("shop", "tools.example.com", "", ["/url"]),
        ("shop", "https://ann:pw@tools.example.com/mcp", "", ["/url"]),
        ("shop", "https://tools.example.com:x/mcp", "Host", ["/url", "/header"]),
    ],
)
async def test_wrong_fields_are_told_together(
    site: Site, vault: Vault, name: str, url: str, header: str, pointers: list[str]
) -> None:
    with pytest.raises(Invalid) as refused:
        site.database.write_now(add_tool_server, site.owner, vault, name, url, header=header)
    assert [error.pointer for error in refused.value.errors] == pointers


async def test_a_name_is_taken_once(site: Site, vault: Vault) -> None:
    site.database.write_now(add_tool_server, site.owner, vault, "shop", URL)
    with pytest.raises(Conflict):
        site.database.write_now(add_tool_server, site.owner, vault, "shop", URL)
