"""What is logged when a page fails, and for an event of a person who was just signed out.

Closing a page is tested in `tests/commands/test_serve.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.team import sign_out_person
from storage.members import list_people
from tests.logical_time import pass_time
from tests.ui.arrange import newest_button
from tests.ui.conftest import Site
from ui.allowed_origins import Origins
from ui.kit.plain_pages import socket_refused_page
from ui.request_router import RequestRouter


def router(site: Site) -> RequestRouter:
    """Returns the router in front of the pages."""

    async def known_hosts() -> tuple[str, ...]:
        return ()

    return RequestRouter(
        site.root,
        site.root,
        lambda scope: False,
        Origins(site.settings),
        known_hosts,
        refused_page=socket_refused_page,
        known_url=site.settings.base_url,
        cookie="flowport_session",
    )


def asked(path: str, **headers: str) -> dict[str, Any]:
    """Returns the ASGI scope of a GET request, as uvicorn creates it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *((name.encode(), said.encode()) for name, said in headers.items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


async def test_a_page_that_breaks_says_so_and_is_logged_once(
    site: Site, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[Any] = []

    async def waits() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def hear(message: Any) -> None:
        said.append(message)

    site.database.close()
    cookie = user.http_client.cookies.get("flowport_session", "")
    await router(site)(asked("/flows", cookie=f"flowport_session={cookie}"), waits, hear)

    assert said[0]["status"] == 500
    page = b"".join(one.get("body", b"") for one in said).decode()
    assert "This page did not open" in page
    assert "tell whoever runs Flowport: “/flows did not open at 20" in page
    assert "href=''>Try it again</a>" in page
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["The page /flows failed"]


async def test_a_press_just_after_signing_out_elsewhere_is_no_error(
    site: Site, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    flow_id = site.flow()
    await user.open(f"/flows/{flow_id}")
    person = site.database.read_now(list_people, site.workspace_id)[0]
    site.database.write_now(sign_out_person, site.owner, person.id)

    UserInteraction(user, {newest_button(user, "Deploy API")}, None).click()
    await pass_time(1)

    assert not [one for one in caplog.records if one.exc_info and one.exc_info[0].__name__ == "SignedOut"]
