"""What an agent did, drawn: replies, calls in every state, and text that tries to be HTML."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.testing import User

from storage.steps import PartRow
from tests.ui.arrange import page_text
from tests.ui.conftest import Site
from ui.kit.text import ENGLISH
from ui.parts.agent_trace import AgentTrace, draw_looked_up, looked_up

HOSTILE = "<script>alert(1)</script>\u202e"


def call(place: int, state: str | None, **value: Any) -> PartRow:
    shown = {"kind": "call", "tool": "look_up", "title": "Rows", "arguments": {"text": HOSTILE}, **value}
    if state is None:
        return PartRow(f"call/1/{place}", 2_000, None, shown)
    return PartRow(f"call/1/{place}", 2_000, 2_500, {**shown, "state": state})


async def test_every_state_of_a_call_is_told_in_words(site: Site, user: User) -> None:
    traces: list[AgentTrace] = []

    @ui.page("/trace")
    def page() -> None:
        traces.append(AgentTrace(ENGLISH, asked=f"What is it? {HOSTILE}"))

    await user.open("/trace")
    (trace,) = traces
    reply = {"kind": "turn", "number": 1, "text": f"Look: {HOSTILE}", "asked": [{}, {}], "input_tokens": 10}
    parts = [
        PartRow("turn/1", 1_000, 2_000, {**reply, "output_tokens": 5, "cost_nanos": 1_000_000, "simulated": True}),
        call(0, "done", result={"rows": [{"name": HOSTILE}]}),
        call(1, "failed", result=f"The tool failed: {HOSTILE}"),
        call(2, "bad_arguments", result="The arguments do not fit.", arguments="{"),
        call(3, "unknown_tool", result="There is no tool called `x`."),
        call(4, "refused", result="Refused.", by="Ann", note=HOSTILE),
        call(5, None),
        PartRow("call/1/6", 2_000, None, {"kind": "call", "tool": "look_up", "state": "waiting"}),
        PartRow("turn/2", 3_000, None, {"kind": "turn", "number": 2}),
    ]
    trace.show(parts, running=True)
    told = page_text(user)
    for said in (
        "Reply 1 of the model", "15 tokens", "It wants to use 2 tools", "answered", "failed", "was called with wrong values",
        "does not exist", "was refused by a person", "Refused by Ann", "is at work", "waits for a person to approve it",
        "is on its way",
    ):  # fmt: skip
        assert said in told, said
    before = [child.id for child in trace.box.default_slot.children]
    trace.show(parts, running=False)
    assert [child.id for child in trace.box.default_slot.children] == before, "it grows in place"
    assert "did not come" in page_text(user)


def test_a_line_says_what_was_looked_up() -> None:
    parts = [
        PartRow("turn/1", 1_000, 2_000, {"kind": "turn", "number": 1}),
        call(0, "done", title="Rows of Shop products", result={"rows": [{}], "matching_rows": 1}),
        call(1, "done", tool="read_visit_page", title="shop.example", result={"status": 200}),
        call(2, "done", tool="run_1", title="“Prices”", result={}),
        call(3, "failed", tool="search", title="Search Knowledge", result="no"),
        call(4, None),
        call(
            5,
            "done",
            tool="read_page",
            title="shop.example/visit",
            result={"status": 200, "title": "Visit  us", "text": ""},
        ),
    ]
    said = (
        "Looked up: Shop products (1 row), visit page (shop.example), Prices, search (failed), "
        "“Visit us” (shop.example/visit)"
    )
    assert looked_up(parts, ENGLISH) == said
    assert looked_up(parts[:1], ENGLISH) == "No tool was used."


async def test_the_line_unfolds_to_the_conversation(site: Site, user: User) -> None:
    @ui.page("/looked-up")
    def page() -> None:
        draw_looked_up([call(0, "done", title="Rows of Goods", result={"matching_rows": 2})], ENGLISH, "Assistant")

    await user.open("/looked-up")
    told = page_text(user)
    assert "Goods\nanswered" in told  # by what it uses, not by the name that the model uses
    assert "Looked up: Goods (2 rows)" in told
    assert "What “Assistant” did" in told
    assert "answered" in told
