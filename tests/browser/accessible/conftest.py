"""A tab for each module, in a workspace that is filled with every kind of content when a test first needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import let_in, new_window
from tests.browser.filled import Filled
from tests.live.caller import Terminal
from tests.live_server import LiveServer
from tests.stand_ins.local_server import Places
from tests.stand_ins.openai_server import OpenAIServer

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
def model(places: Places) -> Iterator[OpenAIServer]:
    with OpenAIServer(default="The keeper lights the lamp and writes of the weather.").at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def page(window: BrowserContext) -> Iterator[Page]:
    """The page, signed out."""
    window.clear_cookies()
    opened = window.new_page()
    opened.emulate_media(reduced_motion="reduce")
    yield opened
    opened.close()
    window.clear_cookies()


@pytest.fixture(scope="module")
def owner(page: Page, window: BrowserContext, server: LiveServer, terminal: Terminal) -> Page:
    """The page, signed in as the owner of the workspace."""
    let_in(window, server, terminal.sign_in())
    return page


@pytest.fixture(scope="module")
def filled(terminal: Terminal, model: OpenAIServer) -> Filled:
    made = Filled(terminal)
    made.make(
        {"ask": ASK, "fetch": FETCH, "draft": {**ASK, "title": "Never deployed"}}, live=("ask", "fetch"), model=model
    )
    assert made.run("completed", "ask", {"text": "The lighthouse."})["status"] == "completed"
    assert made.run("failed", "fetch", {"url": "http://127.0.0.1:9/"})["status"] == "failed"
    assert made.call("ask", {"txt": 5}).status_code == 400
    return made


@pytest.fixture
def stranger(browser: Browser, server: LiveServer) -> Iterator[Page]:
    made = new_window(browser, server)
    yield made.new_page()
    made.close()
