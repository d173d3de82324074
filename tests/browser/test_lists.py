"""Tests of a list on the canvas: its frame, counts on its nodes, the two ports of a Condition, and the values of each
item.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.live.caller import Terminal

pytestmark = pytest.mark.browser

PAYLOAD = {"words": ["one", "two", "three", {"no": "text"}]}
NODES = [
    ("api_input", "API Input", {}, {"fields": [{"name": "words", "type": "array"}], "samples": [{"title": "W", "payload": PAYLOAD}]}),
    ("array_splitter", "Split words", {"items": "{{ api_input.out.words }}"}, {}),
    ("condition", "Is it two?", {"rules": [{"left": "{{ array_splitter.out }}", "operator": "equals", "right": "two"}]}, {}),
    ("text_template", "Shout", {"template": "{{ condition.out | upper }}!"}, {}),
    ("parse_json", "Read it", {"text": "{{ condition.out }}"}, {}),
    ("first_value", "Either", {}, {}),
    ("array_flatten", "All words", {}, {}),
]  # fmt: skip
PLACES = [(0, 0), (270, 0), (540, 0), (810, -90), (810, 90), (1080, 0), (1350, 0)]
EDGES = "api_input>array_splitter array_splitter>condition condition.yes>text_template condition.no>parse_json text_template>first_value parse_json>first_value first_value>array_flatten"


def flow() -> dict[str, Any]:
    nodes = [
        {"id": kind, "type": kind, "label": label, "inputs": inputs, "config": config, "position": {"x": x, "y": y}}
        for (kind, label, inputs, config), (x, y) in zip(NODES, PLACES, strict=True)
    ]
    edges = []
    for number, text in enumerate(EDGES.split()):
        source, target = text.split(">")
        source, _, port = source.partition(".")
        edges.append({"id": f"e{number}", "source": source, "source_port": port or "out", "target": target})
    return {"format": 1, "title": "Words", "nodes": nodes, "edges": edges}


def test_a_list_is_framed_counted_and_looked_into(page: Page, terminal: Terminal) -> None:
    flow_id = terminal.made(flow())
    page.goto(f"/playground/{flow_id}")
    page.locator("[data-loaded=true]").wait_for()
    expect(page.get_by_test_id("scope-array_splitter")).to_contain_text("For each item of Split words")
    expect(page.get_by_test_id("port-condition-out-yes")).to_be_attached()
    expect(page.get_by_test_id("port-condition-out-no")).to_be_attached()
    run = page.get_by_role("region", name="Run", exact=True)
    run.get_by_role("button", name="Run", exact=True).click()
    expect(run).to_contain_text("Completed")
    expect(page.get_by_test_id("status-array_splitter")).to_contain_text("4 items")
    expect(page.get_by_test_id("status-condition")).to_contain_text("4 of 4")
    expect(page.get_by_test_id("node-parse_json")).to_have_attribute("data-status", "done")
    expect(page.get_by_test_id("status-parse_json")).to_contain_text("1 of 4")
    run.get_by_role("button", name="Read it").click()
    expect(run).to_contain_text("Item 1")
    run.get_by_role("button", name="Next item").click()
    expect(run).to_contain_text("Item 2")

    page.get_by_role("button", name="Auto layout").click()
    page.get_by_role("menuitem", name="Wrap to the view").click()
    expect(page.get_by_test_id("node-condition")).to_be_in_viewport(ratio=0.99)
    frame = page.get_by_test_id("scope-array_splitter").bounding_box()
    outside = [page.get_by_test_id(f"node-{name}").bounding_box() for name in ("api_input", "array_splitter")]
    for box in outside:
        assert frame is not None
        assert box is not None
        assert box["y"] + box["height"] < frame["y"], "the list has rows of its own"
