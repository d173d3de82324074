"""axe finds nothing on any page: light and dark, on a desktop's window and on a telephone's.

axe-core comes with the package axe-playwright-python (axe-core is under the MPL 2.0; it is used by this test only).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.filled import Filled
from tests.live_server import EMAIL, PASSWORD, LiveServer, live_server
from tests.stand_ins.openai_server import OpenAIServer

pytestmark = pytest.mark.browser

SIZES = ({"width": 1280, "height": 900}, {"width": 390, "height": 844})
#: axe takes a button's z-index of its own, which Quasar gives it, for one that lifts its text out of an open dialog.
STILL = """
*, *::before, *::after { transition: none !important; animation: none !important; }
.q-btn__content { z-index: auto !important; }
"""
#: In another theme only colours differ.
OF_COLOURS = ["color-contrast", "link-in-text-block"]
RUN_AXE = """async rules => {
    const found = await axe.run(document, {resultTypes: ['violations'], ...(rules && {runOnly: rules})});
    return found.violations.flatMap(rule => rule.nodes.map(node =>
        `${rule.id}: ${node.target.join(' ')} | ${node.html.slice(0, 160)} | ${(node.failureSummary || '').slice(0, 300)}`));
}"""
#: Two frames after the window changed its size or its colours everything is drawn.
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

ASK = {
    "format": 1,
    "title": "Summarise a text",
    "description": "Reads a text and writes a summary.",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [
                    {
                        "name": "text",
                        "type": "string",
                        "required": True,
                        "description": "What to read",
                        "max_length": 900,
                    },
                    {"name": "tone", "type": "string", "enum": ["warm", "plain"], "default": "plain"},
                    {"name": "tags", "type": "array", "items": {"type": "string"}},
                ],
                "samples": [{"title": "A story", "payload": {"text": "The keeper lights the lamp."}}],
            },
        },
        {
            "id": "prompt",
            "type": "prompt",
            "label": "Summary",
            "position": {"x": 280, "y": 0},
            "config": {"model": "stand:small-model"},
            "inputs": {"prompt": "Summarise {{ api_input.out.text }}", "system": "You write well."},
        },
        {
            "id": "api_output",
            "type": "api_output",
            "label": "API Output",
            "position": {"x": 560, "y": 0},
            "inputs": {"summary": "{{ prompt.out }}", "tone": "{{ api_input.out.tone }}"},
        },
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "prompt"},
        {"id": "e2", "source": "prompt", "target": "api_output"},
    ],
}
FETCH = {
    "format": 1,
    "title": "Fetch a page",
    "nodes": [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {"fields": [{"name": "url", "type": "string", "format": "uri", "required": True}]},
        },
        {
            "id": "http_request",
            "type": "http_request",
            "label": "Fetch",
            "inputs": {"url": "{{ api_input.out.url }}"},
            "policy": {"retries": 0},
        },
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "http_request"}],
}


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer(default="The keeper lights the lamp and writes of the weather.") as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: OpenAIServer) -> Iterator[LiveServer]:
    """Without an owner: the tests go from its first visit to a filled server, in the order they stand here."""
    data = tmp_path_factory.mktemp("accessible") / "data"
    env = {"FLOWPORT_OUTBOUND_ALLOW": model.origin.removeprefix("http://")}
    with live_server(data, owner=False, env=env) as running:
        yield running


@pytest.fixture(scope="module")
def context(browser: Browser, server: LiveServer) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport=SIZES[0], base_url=server.url, reduced_motion="reduce")
    made.set_default_timeout(30_000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def filled(server: LiveServer, model: OpenAIServer, owner: Page) -> Filled:
    made = Filled(server)
    made.make(
        {"ask": ASK, "fetch": FETCH, "draft": {**ASK, "title": "Never deployed"}}, live=("ask", "fetch"), model=model
    )
    assert made.run("completed", "ask", {"text": "The lighthouse."})["status"] == "completed"
    assert made.run("failed", "fetch", {"url": "http://127.0.0.1:9/"})["status"] == "failed"
    assert made.call("ask", {"txt": 5}).status_code == 400
    return made


@pytest.fixture(scope="module")
def owner(page: Page, server: LiveServer) -> Page:
    """The page, signed in as the owner who was just set up."""
    page.goto(set_up_path(server))
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url(lambda url: "/setup/" not in url)
    return page


def set_up_path(server: LiveServer) -> str:
    found = re.findall(r"Set-up link: \S+?(/setup/\S+)", server.log())
    assert found, server.log()
    return found[-1]


def findings(page: Page) -> list[str]:
    """What axe finds, in both themes and both sizes, without opening the page again."""
    page.add_style_tag(content=STILL)
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for size in SIZES:
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.evaluate(DRAWN)
            rules = None if scheme == "light" else OF_COLOURS
            found += [f"{scheme} {size['width']}: {finding}" for finding in page.evaluate(RUN_AXE, rules)]
    page.set_viewport_size(SIZES[0])
    page.emulate_media(color_scheme="light")
    return found


def check(found: list[str]) -> None:
    assert not found, "\n".join(found)


def test_axe_finds_what_is_wrong(page: Page) -> None:
    """Or the tests below say nothing."""
    page.set_content("<html><body><img src='data:,'><p style='color:#bbb;background:#fff'>Faint</p></body></html>")
    rules = {finding.split(": ")[1] for finding in findings(page)}

    assert rules >= {"image-alt", "color-contrast", "html-has-lang", "document-title"}


def test_the_set_up_link_and_what_leads_to_it(page: Page, server: LiveServer) -> None:
    page.goto("/flows")
    found = findings(page)
    page.goto(set_up_path(server))
    found += findings(page)

    check(found)


@pytest.mark.parametrize(
    "path",
    [
        "/start",
        "/flows",
        "/templates",
        "/jobs",
        "/jobs?tab=refused",
        "/monitoring",
        "/settings/keys",
        "/settings/models",
    ],
)
def test_a_page_with_nothing_in_it_yet(owner: Page, path: str) -> None:
    open_page(owner, path)

    check(findings(owner))


def test_signing_in(browser: Browser, server: LiveServer, owner: Page) -> None:
    stranger = browser.new_context(base_url=server.url)
    page = stranger.new_page()
    page.goto("/sign-in")
    found = findings(page)
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    found += findings(page)
    stranger.close()

    check(found)


@pytest.mark.parametrize(
    "path",
    [
        "/flows",
        "/flows/{ask}",
        "/flows/{ask}?tab=versions",
        "/flows/{ask}?tab=jobs",
        "/flows/{ask}?tab=monitoring",
        "/flows/{ask}?tab=settings",
        "/flows/{draft}",
        "/jobs",
        "/jobs?tab=refused",
        "/jobs/{completed}",
        "/jobs/{failed}",
        "/monitoring",
        "/settings/keys",
        "/settings/models",
        "/settings/limits",
        "/settings/team",
        "/settings/account",
        "/settings/audit",
        "/settings/data",
        "/settings/server",
        "/settings/about",
        "/docs",
        "/docs/guides/quick-start",
        "/docs/guides/authentication",
        "/docs/guides/production-checklist",
        "/docs/errors/validation_failed",
        "/docs/errors/timeout",
        "/docs/nodes",
        "/docs/nodes/filter_list",
        "/docs/flows/{ask}",
        "/nothing/here",
    ],
)
def test_a_page(owner: Page, filled: Filled, path: str) -> None:
    open_page(owner, path.format(**filled.flows, **filled.jobs))

    check(findings(owner))


def test_a_job_with_a_step_open(owner: Page, filled: Filled) -> None:
    open_page(owner, f"/jobs/{filled.jobs['failed']}?step=http_request")

    check(findings(owner))


@pytest.mark.parametrize(
    ("node", "label"), [("api_input", "API Input"), ("prompt", "Summary"), ("api_output", "API Output")]
)
def test_the_playground_with_an_inspector(owner: Page, filled: Filled, node: str, label: str) -> None:
    owner.goto(f"/playground/{filled.flows['ask']}")
    owner.locator("[data-loaded=true]").wait_for()
    owner.get_by_test_id(f"node-{node}").click()
    expect(owner.get_by_role("complementary", name=label)).to_be_visible()

    check(findings(owner))


def test_the_playground_after_a_run(owner: Page, filled: Filled) -> None:
    owner.goto(f"/playground/{filled.flows['ask']}")
    owner.locator("[data-loaded=true]").wait_for()
    run = owner.get_by_role("region", name="Run", exact=True)
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Completed")
    found = findings(owner)
    for tab, shown in (("Log", "The run is completed."), ("Batch", "Run over"), ("Compare", "The whole run")):
        run.get_by_role("tab", name=tab).click()
        expect(run).to_contain_text(shown)
        found += [f"{tab}: {finding}" for finding in findings(owner)]

    check(found)


def test_datasets(owner: Page) -> None:
    open_page(owner, "/datasets")
    found = findings(owner)
    owner.get_by_role("button", name="Import a file").first.click()
    owner.get_by_label("Or paste rows").fill("sku;price;tags\nB-1;3.2;[1]\nB-2;;[]")
    found += findings(owner)
    owner.get_by_role("button", name="Read the text").click()
    owner.get_by_label("Name of the dataset").fill("Goods")
    found += findings(owner)
    owner.get_by_role("button", name="Import 2 rows").click()
    owner.get_by_role("heading", name="Goods").wait_for()
    goods = owner.url.rsplit("/", 1)[1]
    owner.get_by_label("Choose row 1").click()
    found += findings(owner)
    owner.get_by_role("cell", name="B-2").click()
    owner.get_by_role("dialog", name="Row 2").wait_for()
    found += findings(owner)
    open_page(owner, f"/datasets/{goods}")
    found += findings(owner)
    open_page(owner, "/datasets")
    found += findings(owner)

    check(found)


def test_an_invitation_and_a_new_password(browser: Browser, server: LiveServer, owner: Page) -> None:
    open_page(owner, "/settings/team")
    owner.get_by_role("button", name="Invite somebody").click()
    owner.get_by_label("E-mail address").fill("eve@example.com")
    found = findings(owner)
    owner.get_by_role("button", name="Make the link").click()
    link = owner.locator(".fp-reveal-key")
    link.wait_for()
    found += findings(owner)
    stranger = browser.new_context()
    page = stranger.new_page()
    for path in (link.inner_text(), f"{server.url}/invite/unknown", f"{server.url}/sign-in?ended=1"):
        page.goto(path)
        found += findings(page)
    stranger.close()
    owner.goto("/change-password")
    found += findings(owner)

    check(found)


@pytest.mark.parametrize(("path", "button"), [("/flows/{draft}", "Deploy API"), ("/settings/keys", "Create a key")])
def test_a_dialog(owner: Page, filled: Filled, path: str, button: str) -> None:
    open_page(owner, path.format(**filled.flows))
    owner.get_by_role("button", name=button).first.click()
    owner.get_by_role("dialog").or_(owner.locator(".fp-key-form")).first.wait_for()

    check(findings(owner))
    if button == "Deploy API":
        dialog = owner.get_by_role("dialog")
        dialog.get_by_role("button", name="Next").click()
        dialog.get_by_role("button", name=button).wait_for()
        check(findings(owner))
        dialog.get_by_role("button", name=button).click()
        dialog.locator(".fp-endpoint-url").wait_for()
        check(findings(owner))


#: What opens over a page or in it -> where, and what is pressed one after the other.
OPENED = {
    "search": ("/flows", ["Control+k"]),
    "the verbs of a flow": ("/flows", [("button", "More for Fetch a page")]),
    "deleting a live flow": ("/flows", [("button", "More for Fetch a page"), ("menuitem", "Delete...")]),
    "undeploying": ("/flows/{fetch}", [("button", "Undeploy API")]),
    "a version beside another": ("/flows/{fetch}?tab=versions", [("button", "View version 1")]),
    "an older version going live": ("/flows/{fetch}?tab=versions", [("button", "Make live")]),
    "a refused call, explained": ("/jobs?tab=refused", [("button", "Explain: text: is missing and 1 more")]),
    "steps as a table": ("/jobs/{failed}", [("button", "Table")]),
    "the flows of Monitoring": ("/monitoring", [("button", "Flow: All flows")]),
    "a key being changed": ("/settings/keys", [("button", "More for Shop"), ("menuitem", "Change...")]),
    "a key being rotated": ("/settings/keys", [("button", "More for Shop"), ("menuitem", "Rotate...")]),
    "a key being revoked": ("/settings/keys", [("button", "More for Shop"), ("menuitem", "Revoke...")]),
    "the versions of a flow": ("/playground/{ask}", [("button", "Versions")]),
    "finding a node": ("/playground/{ask}", [("button", "Find in this flow")]),
    "layouts": ("/playground/{ask}", [("button", "Auto layout")]),
    "the keys of the canvas": ("/playground/{ask}", [("button", "Keys")]),
    "traffic": ("/playground/{ask}", [("button", "Traffic")]),
    "input as JSON": ("/playground/{ask}", [("button", "JSON")]),
    "help of a node": ("/playground/{ask}?node=prompt", [("tab", "Help")]),
    "output of a node": ("/playground/{ask}?node=prompt", [("tab", "Output")]),
}


@pytest.mark.parametrize("opened", OPENED)
def test_what_opens_on_a_page(owner: Page, filled: Filled, opened: str) -> None:
    path, presses = OPENED[opened]
    owner.goto(path.format(**filled.flows, **filled.jobs))
    owner.locator("[data-loaded=true]" if path.startswith("/playground") else "h1").first.wait_for()
    for press in presses:
        if isinstance(press, str):
            owner.keyboard.press(press)
        else:
            owner.get_by_role(press[0], name=press[1], exact=True).first.click()
    owner.wait_for_timeout(300)  # until it stands there

    check(findings(owner))


def open_page(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_role("heading", level=1).first.wait_for()
    if path.startswith("/monitoring"):
        page.wait_for_function(
            "() => document.querySelectorAll('.fp-tile').length || document.querySelector('.fp-empty')"
        )
