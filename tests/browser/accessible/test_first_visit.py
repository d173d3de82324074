"""axe finds nothing on the set-up link, on pages without content, and on the pages that need no sign-in."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from engine.actions.one_time_links import link_path, new_setup_token
from tests.browser.accessible.looks import check, findings, open_page
from tests.browser.conftest import let_in
from tests.live.caller import Terminal
from tests.live_server import PASSWORD, LiveServer
from ui.kit.plain_pages import open_link_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def set_up_path(terminal: Terminal) -> str:
    return link_path(terminal.store.write_now(new_setup_token, terminal.workspace_id))


@pytest.fixture(scope="module")
def owner(page: Page, set_up_path: str) -> Page:
    """The page, signed in as the owner who was just set up."""
    page.goto(set_up_path)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail").fill("ada@first-visit.example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url(lambda url: "/setup/" not in url)
    return page


def test_axe_finds_what_is_wrong(page: Page) -> None:
    """Shows that the check works, without which the tests below would prove nothing."""
    page.set_content("<html><body><img src='data:,'><p style='color:#bbb;background:#fff'>Faint</p></body></html>")
    rules = {finding.split(": ")[1] for finding in findings(page)}

    assert rules >= {"image-alt", "color-contrast", "html-has-lang", "document-title"}


def test_what_is_wrong_in_a_layer_is_found_in_every_look(page: Page) -> None:
    faint = "<p style='color:light-dark(#bbb,#444);background:light-dark(#fff,#000)'>Faint</p>"
    page.set_content(
        "<html lang=en style='color-scheme:light dark'><title>Layer</title><body><main><h1>Page</h1></main>"
        f"<div role=dialog aria-label=Over><img src='data:,'>{faint}</div></body></html>"
    )
    found = {one.partition(" |")[0].partition(":")[0] for one in findings(page, "[role=dialog]") if "contrast" in one}

    assert found == {"light 1280", "dark 1280", "dark 390"}


def test_the_contrast_of_every_kind_of_text_is_measured(page: Page) -> None:
    """Texts that look alike are measured three times at most (`looks.MARK_TEXTS`), whatever differs once is measured."""
    alike = "<p class=alike>Readable</p>" * 20
    odd = {
        "colour": "<p class=alike><span style='color:#bbb'>Odd</span></p>",
        "ground": "<div style='background:#555'><p class=alike>Odd</p></div>",
        "laid under": "<div style='position:relative'><div style='position:absolute;inset:0;background:#555'></div>"
        "<p class=alike style='position:relative'>Odd</p></div>",
        "see-through": "<div style='opacity:.3'><p class=alike>Odd</p></div>",
        "enabled": "<button disabled style='color:#ccc'>Off</button>" * 3 + "<button style='color:#ccc'>Odd</button>",
        "size": "<p style='color:#888;font-size:30px'>Large</p>" * 3 + "<p style='color:#888;font-size:14px'>Odd</p>",
        "typed": "<input aria-label=Fine value=fine><input aria-label=Odd value=odd style='color:#ccc'>",
    }
    style = "<style>body{background:#fff;color:#333} .alike{font:14px sans-serif}</style>"
    found = {}
    for name, html in odd.items():
        page.set_content(
            f"<html lang=en><title>Kinds</title>{style}<body><main>{alike}{html}{alike}</main></body></html>"
        )
        said = [one for one in findings(page) if "color-contrast" in one]
        found[name] = bool(said) and all("Odd" in one or "odd" in one for one in said)

    assert found == dict.fromkeys(odd, True)


def test_the_set_up_link_and_what_leads_to_it(page: Page, set_up_path: str) -> None:
    # The page that visitors see while the server has no owner. This server has one, so the test answers the browser
    # itself.
    page.route("**/nobody-yet", lambda route: route.fulfill(body=open_link_page(), content_type="text/html"))
    page.goto("/nobody-yet")
    page.unroute("**/nobody-yet")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    found = findings(page)
    page.goto(set_up_path)
    found += findings(page)

    check(found)


@pytest.mark.parametrize(
    "path",
    [
        "/start",
        "/start?goal=sort-reviews",
        "/flows",
        "/templates",
        "/jobs",
        "/jobs?tab=refused",
        "/monitoring",
        "/settings/keys",
        "/settings/models",
        "/settings/tools",
    ],
)
def test_a_page_with_nothing_in_it_yet(owner: Page, path: str) -> None:
    open_page(owner, path)

    check(findings(owner))


def test_signing_in(stranger: Page) -> None:
    stranger.goto("/sign-in")
    found = findings(stranger)
    stranger.get_by_label("E-mail").fill("nobody@example.com")
    stranger.get_by_label("Password").fill("not the password")
    stranger.get_by_role("button", name="Sign in").click()
    stranger.get_by_role("alert").wait_for()
    found += findings(stranger)

    check(found)


def test_an_invitation_and_a_new_password(stranger: Page, server: LiveServer, owner: Page) -> None:
    open_page(owner, "/settings/team")
    owner.get_by_role("button", name="Invite somebody").click()
    owner.get_by_label("E-mail address").fill("eve@example.com")
    found = findings(owner)
    owner.get_by_role("button", name="Make the link").click()
    link = owner.locator(".fp-reveal-key")
    link.wait_for()
    found += findings(owner)
    for path in (link.inner_text(), f"{server.url}/invite/unknown", f"{server.url}/sign-in?ended=1"):
        stranger.goto(path)
        found += findings(stranger)
    owner.goto("/change-password")
    found += findings(owner)

    check(found)


def test_the_pages_of_the_servers_owner(window: BrowserContext, server: LiveServer, owner: Page) -> None:
    """The owner of the first workspace also administers the server."""
    (mine,) = (cookie for cookie in window.cookies() if cookie.get("httpOnly"))
    let_in(window, server, Terminal(server).sign_in())
    found = []
    for path in ("/settings/data", "/settings/server", "/settings/about"):
        open_page(owner, path)
        found += [f"{path}: {finding}" for finding in findings(owner)]
    let_in(window, server, str(mine.get("value")))

    check(found)
