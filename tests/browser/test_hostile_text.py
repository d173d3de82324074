"""Hostile texts are shown as text on every page: in titles, labels, prompts, pages, model answers and errors."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, ViewportSize, expect
from playwright.sync_api import TimeoutError as NeverCame

from tests.browser.filled import Filled
from tests.browser.hostile import HOSTILE
from tests.live.caller import Terminal
from tests.live_server import LiveServer
from tests.stand_ins.local_server import Places
from tests.stand_ins.openai_server import OpenAIServer, Said
from tests.stand_ins.web_site import Page as SitePage
from tests.stand_ins.web_site import WebSite

pytestmark = pytest.mark.browser

SIZES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 1280, "height": 900})
#: Finds elements made by a text, scripts run by a text, and elements that stick out of the window.
TRACES = """() => [
    window.__hostile === undefined ? '' : 'a script ran',
    ...[...document.querySelectorAll('x-hostile, img[src="x"], iframe, object, base, [onload], [onerror], [onfocus], [onmouseover]')]
        .map(element => 'made: ' + element.outerHTML.slice(0, 200)),
    ...[...document.querySelectorAll('a[href], form[action]')]
        .filter(element => /^\\s*(javascript|data):/i.test(element.getAttribute('href') || element.getAttribute('action')))
        .map(element => 'leads to code: ' + element.outerHTML.slice(0, 200)),
].filter(Boolean)"""
#: Finds what makes the page wider than its window, except content that scrolls in its own box.
STICKS_OUT = """() => {
    const page = document.scrollingElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    const held = element => {
        for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
            if (getComputedStyle(box).overflowX !== 'visible') return true;
        return false;
    };
    const wide = [...document.body.querySelectorAll('*')]
        .filter(element => element.getBoundingClientRect().right > page.clientWidth + 1 && !held(element));
    return [`${page.scrollWidth} of ${page.clientWidth}`, ...wide.map(element =>
        `${element.tagName} .${element.getAttribute('class')} ${Math.round(element.getBoundingClientRect().right)} ` +
        element.textContent.slice(0, 40))].slice(0, 14);
}"""
TEXT = "() => document.body.textContent"

#: Field names are keys of JSON, so texts with control characters and duplicates are left out.
NAMES = [text for text in HOSTILE if text == text.strip() and text.isprintable()][:60]
#: Labels of keys are one line of at most 80 characters.
KEYS = [text[:80] for text in HOSTILE if text.strip() and text.isprintable()]
PEOPLE = [text[:100] for text in HOSTILE if text.strip()]
#: Prompts with `{{` are templates and would refer to nodes that do not exist.
PROMPTS = [text for text in HOSTILE if "{{" not in text and "{%" not in text and "{#" not in text]


def api_input(**config: Any) -> dict[str, Any]:
    return {"id": "api_input", "type": "api_input", "label": HOSTILE[0], "config": config}


def titled(place: int) -> dict[str, Any]:
    """A small flow with one of the texts as title, and others in every other place that takes a text."""
    text, other = HOSTILE[place], HOSTILE[-1 - place]
    fields = [{"name": "name", "type": "string", "description": other, "example": text}]
    node = {
        "id": "text",
        "type": "text_template",
        "label": other,
        "inputs": {"template": PROMPTS[place % len(PROMPTS)]},
    }
    return {
        "format": 1,
        "title": text,
        "description": other,
        "nodes": [api_input(fields=fields, samples=[{"title": text, "payload": {"name": other}}]), node],
        "edges": [{"id": "e", "source": "api_input", "target": "text"}],
    }


def labels() -> list[str]:
    """Node labels that contain every text.

    Labels hold several texts each, because a canvas of 60 nodes is drawn faster than one of 160.
    """
    found = [""]
    for text in HOSTILE:
        if len(found[-1]) + len(text) > 190:
            found.append("")
        found[-1] += text if not found[-1] else f" {text}"
    return found


def ask() -> dict[str, Any]:
    """A flow with a field of every name, a node of every label, and a question to the model."""
    fields = [{"name": "texts", "type": "array", "items": {"type": "string"}, "default": HOSTILE}]
    fields += [
        {"name": name, "type": "string", "description": name, "default": name, "enum": [name, "other"]}
        for name in NAMES
    ]
    prompt = {
        "id": "prompt",
        "type": "prompt",
        "label": HOSTILE[1],
        "config": {"model": "stand:small-model"},
        "inputs": {"prompt": "\n".join(PROMPTS), "system": "\n".join(PROMPTS[::-1])},
        "policy": {"retries": 0},
        "position": {"x": 280, "y": 0},
    }
    rest = [
        {
            "id": f"set_{place}",
            "type": "set_fields",
            "label": label,
            "inputs": {"said": "{{ prompt.out }}"},
            "position": {"x": 560 + 280 * (place % 8), "y": 120 * (place // 8)},
        }
        for place, label in enumerate(labels())
    ]
    notes = [{"id": "note_1", "text": "\n".join(HOSTILE)[:4_000], "position": {"x": 0, "y": 300}}]
    edges = [{"id": "e", "source": "api_input", "target": "prompt"}]
    edges += [{"id": f"e_{node['id']}", "source": "prompt", "target": node["id"]} for node in rest]
    output = {
        "id": "out",
        "type": "api_output",
        "inputs": {"said": "{{ prompt.out }}", "texts": "{{ api_input.out.texts }}"},
    }
    edges += [{"id": f"o_{node['id']}", "source": node["id"], "target": "out"} for node in rest]
    return {
        "format": 1,
        "title": "Ask <x-hostile>{{ 7*7 }}",
        "description": "\n".join(HOSTILE)[:4_000],
        "nodes": [api_input(fields=fields), prompt, *rest, output],
        "edges": edges,
        "notes": notes,
    }


def fetch() -> dict[str, Any]:
    node = {"id": "page", "type": "http_request", "label": HOSTILE[5], "inputs": {"url": "{{ api_input.out.url }}"}}
    return {
        "format": 1,
        "title": "Fetch <x-hostile>",
        "nodes": [api_input(fields=[{"name": "url", "type": "string", "format": "uri", "required": True}]), node],
        "edges": [{"id": "e", "source": "api_input", "target": "page"}],
    }


@pytest.fixture(scope="module")
def model(places: Places) -> Iterator[OpenAIServer]:
    said = OpenAIServer(default="\n".join(HOSTILE), models=("small-model", *HOSTILE[:20]))
    with said.at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def site(places: Places) -> Iterator[WebSite]:
    pages = {
        "/text": SitePage("\n".join(HOSTILE), content_type="text/plain; charset=utf-8"),
        "/html": SitePage("<html><body>" + "".join(f"<p>{text}</p>" for text in HOSTILE)),
        "/gone": SitePage("\n".join(HOSTILE), 418),
    }
    with WebSite(pages).at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def terminal(server: LiveServer) -> Terminal:
    return Terminal.new(server, "enterprise")


@pytest.fixture(scope="module")
def filled(terminal: Terminal, model: OpenAIServer, site: WebSite) -> Filled:
    """A workspace with every text somewhere, and jobs whose input, answer or error contains each text."""
    made = Filled(terminal)
    files = {f"title_{place}": titled(place) for place in range(len(HOSTILE))} | {"ask": ask(), "fetch": fetch()}
    live = ("ask", "fetch", *(f"title_{place}" for place in range(0, len(HOSTILE), 4)))
    made.rename_owner([*PEOPLE, PEOPLE[5]])
    made.make(files, live=live, model=model, key_label=HOSTILE[2], more_keys=KEYS, note="\n".join(HOSTILE)[:1_900])
    made.know(HOSTILE[4], {text: f"# {text}\n\n{text} {text}" for text in HOSTILE})
    made.keep(HOSTILE[4], [{HOSTILE[2]: text, "note": {text: [text]}} for text in HOSTILE])
    made.offer("shop", {text: text for text in HOSTILE})
    assert made.run("asked", "ask", {"texts": HOSTILE})["status"] == "completed"
    assert made.run("text", "fetch", {"url": site.at("/text")})["status"] == "completed"
    assert made.run("html", "fetch", {"url": site.at("/html")})["status"] == "completed"
    for place in range(0, len(HOSTILE), 12):
        model.default = Said(status=400, message=" ".join(HOSTILE[place : place + 12]))
        assert made.run(f"failed_{place}", "ask", {})["status"] == "failed"
    model.default = "\n".join(HOSTILE)
    assert made.run("gone", "fetch", {"url": site.at("/gone")})["status"] == "failed"
    for text in HOSTILE:
        assert made.call("title_0", {text: text}).status_code == 400
    return made


@pytest.fixture
def dialogs(page: Page) -> Iterator[list[str]]:
    """Collects dialogs that a script opened."""
    opened: list[str] = []

    def put_away(dialog: Dialog) -> None:
        opened.append(dialog.message)
        dialog.dismiss()

    page.set_viewport_size(SIZES[1])
    page.on("dialog", put_away)
    yield opened
    page.remove_listener("dialog", put_away)


def plain(text: str) -> str:
    """Keeps only letters, because browsers collapse spaces and do not show every character."""
    return "".join(letter for letter in text if unicodedata.category(letter)[0] not in "ZC")


def harmless(page: Page) -> None:
    """Asserts that no script ran, no element was made, and nothing is wider than the window.

    The check first waits, because a chart adapts to a new window size with a delay.
    """
    for size in SIZES:
        page.set_viewport_size(size)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        with contextlib.suppress(NeverCame):
            page.wait_for_function(f"() => !({STICKS_OUT})().length")
        wide = page.evaluate(STICKS_OUT)
        assert not wide, "\n".join(wide)
    assert page.evaluate(TRACES) == []


def is_there(page: Page, path: str) -> None:
    """Opens a page and waits until it is loaded and its socket is connected."""
    page.goto(path)
    page.get_by_role("heading", level=1).first.wait_for()
    if not path.startswith("/docs"):
        page.wait_for_function("window.did_handshake === true")


def shows(page: Page, texts: list[str]) -> None:
    """Asserts that all of these texts can be read on the page."""
    read = plain(page.evaluate(TEXT))
    missing = [text for text in texts if plain(text) not in read]
    assert missing == []


@pytest.mark.parametrize(
    "path",
    [
        "/flows/{ask}",
        "/flows/{ask}?tab=versions",
        "/flows/{ask}?tab=jobs",
        "/flows/{ask}?tab=monitoring",
        "/flows/{ask}?tab=settings",
        "/flows/{ask}?tab=triggers",
        "/flows/{title_0}",
        "/flows/{title_8}?tab=settings",
        "/templates",
        "/datasets",
        "/datasets/{dataset}",
        "/knowledge",
        "/knowledge/{collection}",
        "/jobs",
        "/jobs/{asked}",
        "/jobs/{asked}?step=prompt",
        "/jobs/{asked}?step=api_input",
        "/jobs/{text}?step=page",
        "/jobs/{html}?step=page",
        "/jobs/{gone}?step=page",
        "/waiting",
        "/monitoring",
        "/settings/models",
        "/settings/limits",
        "/settings/team",
        "/settings/account",
        "/settings/data",
        "/settings/server",
        "/settings/audit",
        "/settings/about",
        "/start",
        "/docs/flows/{ask}",
        "/docs/flows/{title_4}",
    ],
)
def test_a_page_shows_texts_and_runs_none(page: Page, dialogs: list[str], filled: Filled, path: str) -> None:
    is_there(page, path.format(**filled.flows, **filled.jobs, dataset=filled.dataset, collection=filled.collection))

    harmless(page)
    assert dialogs == []


def test_saved_flows_show_every_title(page: Page, dialogs: list[str], filled: Filled) -> None:
    is_there(page, "/flows")
    page.get_by_role("button", name="Show all").click()
    page.locator(f".fp-flows tbody tr:nth-child({len(HOSTILE)})").wait_for()

    shows(page, HOSTILE)
    harmless(page)
    assert dialogs == []


def test_the_keys_show_their_labels(page: Page, dialogs: list[str], filled: Filled) -> None:
    page.goto("/settings/keys")
    page.get_by_role("heading", level=1).wait_for()

    shows(page, KEYS)
    harmless(page)
    assert dialogs == []


def test_the_tools_page_shows_what_a_server_called_its_tools(page: Page, dialogs: list[str], filled: Filled) -> None:
    is_there(page, "/settings/tools")

    shows(page, HOSTILE)
    harmless(page)
    assert dialogs == []


def test_the_audit_log_shows_what_people_called_themselves(page: Page, dialogs: list[str], filled: Filled) -> None:
    page.goto("/settings/audit?action=change+name")
    page.get_by_role("heading", level=1).wait_for()

    shows(page, [name for name in PEOPLE[-10:] if len(name) <= 60])
    harmless(page)
    assert dialogs == []


def test_the_docs_show_every_title_that_is_live(page: Page, dialogs: list[str], filled: Filled) -> None:
    page.goto("/docs")

    shows(page, HOSTILE[::4])
    harmless(page)
    assert dialogs == []


def test_refused_calls_show_the_names_that_were_sent(page: Page, dialogs: list[str], filled: Filled) -> None:
    page.goto("/jobs?tab=refused")
    expect(page.get_by_text("the flow has no field of this name").first).to_be_visible()

    shows(page, [text[:150] for text in HOSTILE])  # long names are stored in part
    harmless(page)
    assert dialogs == []


def test_a_failed_job_shows_what_the_model_server_said(page: Page, dialogs: list[str], filled: Filled) -> None:
    for place in (0, 24, 60, 120):
        is_there(page, f"/jobs/{filled.jobs[f'failed_{place}']}?step=prompt")
        shows(page, HOSTILE[place : place + 2])
        harmless(page)
    assert dialogs == []


def test_a_job_shows_what_it_was_given_and_what_the_model_said(page: Page, dialogs: list[str], filled: Filled) -> None:
    is_there(page, f"/jobs/{filled.jobs['asked']}?step=api_input")
    drawer = page.locator(".fp-drawer")
    drawer.get_by_role("button", name=f"Show all {len(HOSTILE)}").click()
    expect(drawer.locator(".fp-val-list > li")).to_have_count(len(HOSTILE))
    read = plain(page.evaluate(TEXT))

    assert "<script>window.__hostile=1</script>" in read
    assert "{{7*7}}" in read
    harmless(page)
    drawer.get_by_text("The same as JSON, for programs").click()
    expect(drawer.locator(".fp-tree")).to_contain_text("<script>window.__hostile=1</script>")
    harmless(page)
    assert dialogs == []


def test_the_playground_shows_labels_fields_prompts_and_the_answer_of_a_run(
    page: Page, dialogs: list[str], filled: Filled
) -> None:
    page.goto(f"/playground/{filled.flows['ask']}")
    page.locator("[data-loaded=true]").wait_for()
    shows(page, HOSTILE[:40])
    for node in ("api_input", "prompt", "set_3"):
        page.evaluate("document.querySelector('aside.fp-insp [aria-label=Close]')?.click()")
        expect(page.locator("aside.fp-insp").get_by_role("textbox", name="Label")).to_have_count(0)
        page.get_by_test_id(f"node-{node}").dispatch_event("click")
        expect(page.locator("aside.fp-insp").get_by_role("textbox", name="Label")).to_be_visible()
        assert page.evaluate(TRACES) == []
    harmless(page)
    run = page.get_by_role("region", name="Run", exact=True)
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Completed", timeout=30_000)

    assert "<script>window.__hostile=1</script>" in plain(page.evaluate(TEXT))
    harmless(page)
    assert dialogs == []


def test_the_search_of_the_frame_shows_titles_as_text(page: Page, dialogs: list[str], filled: Filled) -> None:
    page.goto("/flows")
    page.wait_for_function("window.did_handshake === true")
    page.keyboard.press("Control+k")
    page.get_by_label("Find a flow, a page or what you want to do").fill("<script")
    page.get_by_text("<script>window.__hostile=1</script>").last.wait_for()

    harmless(page)
    assert dialogs == []


@pytest.mark.parametrize("text", [HOSTILE[0], HOSTILE[5], "{{ 7*7 }}", "\u202egnp.exe", "x" * 3_000])
def test_addresses_are_shown_as_text_too(page: Page, dialogs: list[str], filled: Filled, text: str) -> None:
    for path in ("/jobs", "/monitoring"):
        names = ("flow", "q", "status", "key", "tab")
        is_there(page, f"{path}?" + "&".join(f"{name}={json.dumps(text)[1:-1]}" for name in names))
        harmless(page)
    assert dialogs == []
