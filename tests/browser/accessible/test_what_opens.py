"""axe finds nothing on dialogs, menus and panels that open over a page or in it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessible.looks import check, findings, open_page
from tests.browser.filled import Filled

pytestmark = pytest.mark.browser

#: Dialogs and menus. The pages under them are checked in every look by `test_pages.py`, and the Playground below.
LAYER = ".q-dialog__inner, [role=dialog], [role=menu]"


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


def test_knowledge(owner: Page) -> None:
    open_page(owner, "/knowledge")
    found = findings(owner)
    owner.get_by_role("button", name="New collection").first.click()
    owner.get_by_label("Name").fill("Terms")
    owner.get_by_role("button", name="Create").click()
    owner.get_by_role("heading", name="Terms").wait_for()
    terms = owner.url.rsplit("/", 1)[1]
    owner.get_by_role("button", name="Add a source").first.click()
    for tab in ("Website", "Dataset", "Text"):
        owner.get_by_role("button", name=tab, exact=True).click()
        found += findings(owner)
    owner.get_by_label("Title").fill("Returns")
    owner.get_by_role("textbox", name="Text").fill("# Tins\n\nA tin may be returned within 30 days.")
    owner.get_by_role("button", name="Add", exact=True).click()
    owner.get_by_label("A question, or some words").fill("returning a tin")
    owner.get_by_role("button", name="Search", exact=True).last.click()
    expect(owner.locator(".fp-hit mark").first).to_have_text("tin")
    found += findings(owner)
    owner.get_by_role("button", name="Returns", exact=True).click()
    expect(owner.get_by_role("dialog", name="Returns")).to_contain_text("within 30 days")
    found += findings(owner)
    open_page(owner, f"/knowledge/{terms}")
    found += findings(owner)
    open_page(owner, "/knowledge")
    found += findings(owner)

    check(found)


@pytest.mark.parametrize(
    ("path", "button"),
    [("/flows/{draft}", "Deploy API"), ("/settings/keys", "Create a key"), ("/jobs/{completed}", "Erase data")],
)
def test_a_dialog(owner: Page, filled: Filled, path: str, button: str) -> None:
    open_page(owner, path.format(**filled.flows, **filled.jobs))
    owner.get_by_role("button", name=button).first.click()
    owner.get_by_role("dialog").or_(owner.locator(".fp-key-form")).first.wait_for()

    check(findings(owner, LAYER))
    if button == "Deploy API":
        dialog = owner.get_by_role("dialog")
        dialog.get_by_role("button", name="Next").click()
        dialog.get_by_role("button", name=button).wait_for()
        check(findings(owner, LAYER))
        dialog.get_by_role("button", name=button).click()
        dialog.locator(".fp-endpoint-url").wait_for()
        check(findings(owner, LAYER))


#: What opens over a page or in it -> its page, and the controls that are clicked one after the other.
OPENED = {
    "search": ("/flows", ["Control+k"]),
    "the verbs of a flow": ("/flows", [("button", "More for Fetch a page")]),
    "deleting a live flow": ("/flows", [("button", "More for Fetch a page"), ("menuitem", "Delete...")]),
    "undeploying": ("/flows/{fetch}", [("button", "Undeploy API")]),
    "a version beside another": ("/flows/{fetch}?tab=versions", [("button", "View version 1")]),
    "an older version going live": ("/flows/{fetch}?tab=versions", [("button", "Make live")]),
    "a refused call, explained": (
        "/jobs?tab=refused",
        [("button", "Explain: text: is missing; txt: the flow has no field of this name")],
    ),
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


#: The element to wait for, when it is no dialog or menu.
STANDS = {
    "a refused call, explained": ".fp-explain",
    "steps as a table": "table[aria-label=Steps], [role=table][aria-label=Steps]",
    "finding a node": "[role=search]",
    "traffic": "[aria-label=Traffic][aria-pressed=true], [role=dialog], [role=menu]",
    "input as JSON": "[aria-label=Run] .cm-content, [aria-label=Run] textarea",
    "help of a node": "[role=tab][aria-selected=true] >> text=Help",
    "output of a node": "[role=tab][aria-selected=true] >> text=Output",
}
#: True once no element is in a transition.
SETTLED = "() => !document.querySelector('[class*=-enter-], [class*=-leave-]')"


@pytest.mark.parametrize("opened", OPENED)
def test_what_opens_on_a_page(owner: Page, filled: Filled, opened: str) -> None:
    path, presses = OPENED[opened]
    owner.goto(path.format(**filled.flows, **filled.jobs))
    owner.locator("[data-loaded=true]" if path.startswith("/playground") else "h1").first.wait_for()
    owner.wait_for_function("window.did_handshake === true")
    for press in presses:
        if isinstance(press, str):
            owner.keyboard.press(press)
        else:
            owner.get_by_role(press[0], name=press[1], exact=True).first.click()
    owner.locator(STANDS.get(opened, LAYER)).last.wait_for()
    owner.wait_for_function(SETTLED)

    check(findings(owner, None if opened in STANDS else LAYER))
