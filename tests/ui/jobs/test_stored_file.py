"""The download of a stored file on the pages: for people of its workspace only, never shown by a browser."""

from __future__ import annotations

import httpx
from nicegui.testing import User

from engine.actions.files import upload_by_person
from engine.actions.workspaces import create_workspace
from engine.files.intake import incoming_of
from tests.factories import person
from tests.ui.conftest import Site

PAGE = b"<html><script>alert(1)</script></html>"


def of(site: Site, user: User) -> httpx.AsyncClient:
    browser = site.browser()
    browser.cookies.set("flowport_session", user.http_client.cookies["flowport_session"])
    return browser


async def test_a_person_downloads_the_files_of_the_workspace(site: Site, user: User) -> None:
    incoming = incoming_of(site.database.file_bytes, PAGE, '../<b>"ü".html')
    row = site.database.write_now(upload_by_person, site.owner, incoming)
    async with of(site, user) as browser:
        answer = await browser.get(f"/files/{row.id}")
    assert (answer.status_code, answer.content, row.name) == (200, PAGE, "_b__ü_.html")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox;")


async def test_strangers_and_other_workspaces_get_nothing(site: Site, user: User) -> None:
    other = person(site.database.write_now(create_workspace, "Elsewhere"), name="Mallory")
    incoming = incoming_of(site.database.file_bytes, PAGE, "a.html")
    row = site.database.write_now(upload_by_person, other, incoming)
    async with of(site, user) as browser:
        for file_id in (row.id, "file_unknown"):
            assert (await browser.get(f"/files/{file_id}")).status_code == 404
    async with site.browser() as stranger:
        answer = await stranger.get(f"/files/{row.id}")
        assert PAGE not in answer.content
        assert answer.status_code in {302, 303, 307, 401}
