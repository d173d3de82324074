"""Two people in two browsers: one is invited, works, and loses access while their tab is open."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from storage.flows import get_flow
from tests.browser.conftest import new_window
from tests.factories import greeting
from tests.live.caller import Terminal
from tests.live_server import PASSWORD

pytestmark = pytest.mark.browser


def draft_revision(terminal: Terminal, flow_id: str) -> int:
    return terminal.store.read_now(get_flow, terminal.workspace_id, flow_id).draft_revision


def test_somebody_is_invited_works_and_is_shut_out_with_a_tab_open(
    browser: Browser, page: Page, terminal: Terminal
) -> None:
    flow_id, owner = terminal.flow(greeting()), page
    owner.goto("/settings/team")
    owner.get_by_role("button", name="Invite somebody").click()
    owner.get_by_role("button", name="Make the link").click()
    link = owner.locator(".fp-reveal-key").inner_text()

    window = new_window(browser, terminal.server)
    eve = window.new_page()
    eve.goto(link)
    email = "eve@shut-out.example.com"
    eve.get_by_label("Your name").fill("Eve")
    eve.get_by_label("E-mail").fill(email)
    eve.get_by_label("Password").fill(PASSWORD)
    eve.get_by_role("button", name="Join").click()
    eve.wait_for_url(lambda url: "/invite/" not in url)
    eve.goto(f"/playground/{flow_id}")
    eve.locator("[data-loaded=true]").wait_for()
    before = draft_revision(terminal, flow_id)

    owner.goto("/settings/team")
    owner.get_by_role("button", name="More for Eve").click()
    owner.get_by_role("menuitem", name="Shut out...").click()
    owner.get_by_role("dialog").get_by_role("button", name="Shut out").click()
    expect(owner.get_by_text("Shut out", exact=True).first).to_be_visible()

    expect(eve.get_by_role("heading", name="You are signed out")).to_be_visible()
    eve.get_by_label("E-mail").fill(email)
    eve.get_by_label("Password").fill(PASSWORD)
    eve.get_by_role("button", name="Sign in").click()
    expect(eve.get_by_role("alert")).to_be_visible()
    assert draft_revision(terminal, flow_id) == before
    window.close()
