"""Two people in two browsers: one is invited, works, and is shut out while their tab is open."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from storage.database import open_database
from storage.flows import get_flow
from storage.workspaces import find_first_workspace
from tests.browser.filled import Filled
from tests.factories import greeting
from tests.live_server import EMAIL, PASSWORD, LiveServer, live_server

pytestmark = pytest.mark.browser


def draft_revision(server: LiveServer, flow_id: str) -> int:
    database = open_database(server.data)
    try:
        workspace = database.read_now(find_first_workspace)
        assert workspace is not None
        return database.read_now(get_flow, workspace.id, flow_id).draft_revision
    finally:
        database.close()


def sign_in(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


def test_somebody_is_invited_works_and_is_shut_out_with_a_tab_open(browser: Browser, tmp_path: Path) -> None:
    with live_server(tmp_path / "data") as server:
        filled = Filled(server)
        filled.make({"greet": greeting()}, live=("greet",))
        owner, eve = (browser.new_context(base_url=server.url).new_page() for _ in range(2))
        sign_in(owner, EMAIL)
        owner.goto("/settings/team")
        owner.get_by_role("button", name="Invite somebody").click()
        owner.get_by_role("button", name="Make the link").click()
        link = owner.locator(".fp-reveal-key").inner_text()

        eve.goto(link)
        eve.get_by_label("Your name").fill("Eve")
        eve.get_by_label("E-mail").fill("eve@example.com")
        eve.get_by_label("Password").fill(PASSWORD)
        eve.get_by_role("button", name="Join").click()
        eve.wait_for_url(lambda url: "/invite/" not in url)
        eve.goto(f"/playground/{filled.flows['greet']}")
        eve.locator("[data-loaded=true]").wait_for()
        before = draft_revision(server, filled.flows["greet"])

        owner.goto("/settings/team")
        owner.get_by_role("button", name="More for Eve").click()
        owner.get_by_role("menuitem", name="Shut out...").click()
        owner.get_by_role("dialog").get_by_role("button", name="Shut out").click()
        expect(owner.get_by_text("Shut out", exact=True).first).to_be_visible()

        expect(eve.get_by_role("heading", name="You are signed out")).to_be_visible(timeout=20_000)
        eve.get_by_label("E-mail").fill("eve@example.com")
        eve.get_by_label("Password").fill(PASSWORD)
        eve.get_by_role("button", name="Sign in").click()
        expect(eve.get_by_role("alert")).to_be_visible()
        assert draft_revision(server, filled.flows["greet"]) == before
        assert "Traceback" not in server.log()
        for page in (owner, eve):
            page.context.close()
