"""Numbers are formatted in the browser's language."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import let_in, new_window
from tests.live_server import LiveServer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("locale", "written"), [("de-DE", "0 of 1.000"), ("fr-FR", "0 of 1\u202f000")])
def test_the_signs_of_figures_are_those_of_the_browsers_language(
    browser: Browser, server: LiveServer, signed_in: str, locale: str, written: str
) -> None:
    window = new_window(browser, server, locale=locale)
    let_in(window, server, signed_in)
    page = window.new_page()
    # the first page sends the browser's language to the server, and the next page uses it
    page.goto("/settings/limits")
    page.goto("/settings/limits")

    expect(page.get_by_text(written).first).to_be_visible()
    window.close()
