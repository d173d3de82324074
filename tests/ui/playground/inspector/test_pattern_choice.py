"""What an Extract Pattern finds is chosen in words."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest
from nicegui import ui
from nicegui.testing import User

from tests.ui.arrange import draft, until
from tests.ui.conftest import Site
from tests.ui.playground.inspector.test_inspector import opened
from ui.parts.open_drafts import OpenDraft

E = TypeVar("E", bound=ui.element)
FLOW: dict[str, Any] = {
    "format": 1,
    "title": "Find",
    "nodes": [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}},
        {"id": "find", "type": "extract_pattern", "inputs": {"text": "{{ api_input.out.text }}"}},
    ],
    "edges": [{"id": "e1", "source": "api_input", "target": "find"}],
}


@pytest.fixture
def flow_id(site: Site) -> str:
    return site.flow("Find", saved=False, file=FLOW)


def pattern_of(site: Site, flow_id: str) -> Any:
    node = draft(site, flow_id).node("find")
    assert node is not None
    return node.config.get("pattern")


def one_of(user: User, kind: type[E], placeholder: str) -> E:
    assert user.client is not None
    (found,) = [
        one
        for one in user.client.elements.values()
        if isinstance(one, kind) and one.props.get("placeholder") == placeholder
    ]
    return found


async def test_a_choice_writes_the_pattern_and_a_written_one_is_recognised(
    site: Site, user: User, flow_id: str
) -> None:
    await opened(user, flow_id, "find")
    choice = one_of(user, ui.select, "Choose, or write a pattern")
    pattern = one_of(user, ui.textarea, "[A-Z]{2}-\\d{4}")
    assert choice.value is None
    choice.value = "email"
    await until(lambda: "@" in str(pattern_of(site, flow_id)))
    assert pattern.value == pattern_of(site, flow_id)
    choice.value = "amount_after"
    one_of(user, ui.input, "price:").value = "price:"
    await until(lambda: str(pattern_of(site, flow_id)).startswith(r"(?i)price:\s*"))
    assert set(draft(site, flow_id).node("find").config) <= {"pattern", "all"}  # type: ignore[union-attr]
    pattern.value = "a|b"
    await until(lambda: choice.value == "own")
    assert pattern_of(site, flow_id) == "a|b"


async def test_words_that_are_typed_while_an_edit_is_stored_stay(
    site: Site, user: User, flow_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened(user, flow_id, "find")
    one_of(user, ui.select, "Choose, or write a pattern").value = "amount_after"
    words = one_of(user, ui.input, "price:")
    stored, store = asyncio.Semaphore(0), OpenDraft._store
    begun = asyncio.Event()

    async def held(draft: OpenDraft, *args: Any) -> Any:
        begun.set()
        await stored.acquire()
        return await store(draft, *args)

    monkeypatch.setattr(OpenDraft, "_store", held)
    shown: list[str | None] = []
    words.on_value_change(lambda event: shown.append(event.value))
    words.value = "pri"
    await begun.wait()
    words.value = "price:"
    stored.release()
    await until(lambda: str(pattern_of(site, flow_id)).startswith(r"(?i)pri\s*"))
    stored.release()
    await until(lambda: str(pattern_of(site, flow_id)).startswith(r"(?i)price:\s*"))
    assert shown == ["pri", "price:"]

    begun.clear()
    words.value = "pri"
    await begun.wait()
    words.value = "price:"  # as it was before the edit that waits
    stored.release()
    await until(lambda: str(pattern_of(site, flow_id)).startswith(r"(?i)pri\s*"))
    stored.release()
    await until(lambda: str(pattern_of(site, flow_id)).startswith(r"(?i)price:\s*"))
    assert shown == ["pri", "price:"] * 2
