"""Tests of API keys in Settings by mouse: a key is created, rotated and revoked while a program calls with it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.factories import greeting
from tests.live.caller import Caller, Terminal

pytestmark = pytest.mark.browser


def test_a_key_from_settings_is_rotated_without_an_outage_and_revoked(page: Page, terminal: Terminal) -> None:
    flow_id, row = terminal.flow(greeting()), page.get_by_role("row", name=re.compile("^From settings"))
    page.goto("/flows")
    page.get_by_role("navigation").get_by_role("link", name="Settings").first.click()
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="API Keys").click()
    expect(page.get_by_role("heading", name="API Keys", level=1)).to_be_visible()
    page.get_by_role("button", name="Create a key").first.click()
    page.locator(".fp-key-form").get_by_label("Label").fill("From settings")
    page.locator(".fp-key-form").get_by_role("button", name="Create a key").click()
    old = Caller(terminal.server.url, shown_key(page))
    assert old.submit(flow_id, {"name": "Ada"}).status_code == 202

    choose(page, "Rotate")
    new = Caller(terminal.server.url, shown_key(page))
    assert new.key != old.key
    for caller in (old, new):
        assert caller.submit(flow_id, {"name": "Ada"}).status_code == 202
    page.goto("/settings/keys")
    expect(row).to_contain_text("rotating, the old one works")

    choose(page, "Revoke")
    expect(row).to_contain_text("Revoked")
    for caller in (old, new):
        assert caller.submit(flow_id, {"name": "Ada"}).status_code == 401


def choose(page: Page, verb: str) -> None:
    """Clicks Rotate... or Revoke... of the key, and confirms."""
    page.goto("/settings/keys")
    page.get_by_role("button", name="More for From settings").click()
    page.get_by_role("menuitem", name=f"{verb}...").click()
    page.get_by_role("dialog").get_by_role("button", name=verb).click()


def shown_key(page: Page) -> str:
    """The key on the card that shows it once."""
    return page.locator(".fp-reveal-key").inner_text()
