"""What is offered instead of data that cannot be found any more."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.document import Document
from engine.nodes import CATALOG
from tests.factories import document
from ui.playground.state.available_data import flat, sources_for
from ui.playground.state.replacements import broken_data, replaced


def flow(*fields: str) -> Document:
    nodes: list[dict[str, Any]] = [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {"fields": [{"name": name, "type": "string"} for name in fields]},
        },
        {"id": "reads", "type": "page_scraper", "label": "Read the page", "inputs": {"url": "https://example.com/"}},
        {"id": "writes", "type": "text_template", "label": "Letter", "inputs": {"template": "x"}},
    ]
    edges = [
        {"id": "e1", "source": "api_input", "target": "reads"},
        {"id": "e2", "source": "reads", "target": "writes"},
    ]
    return document({"format": 1, "title": "Broken", "nodes": nodes, "edges": edges})


@pytest.mark.parametrize(
    ("raw", "likely"),
    [
        ("{{ api_input.out.titel }}", "API Input › title_of_page"),
        ("{{api_input.out.titel | upper}}", "API Input › title_of_page"),
        ("{{ gone.out.lang }}", "API Input › lang"),
        ("{{ reads.out.texts }}", "Read the page › text"),
        ("{{ gone.out }}", "Read the page"),
    ],
)
def test_the_likeliest_comes_first(raw: str, likely: str) -> None:
    found = broken_data(flow("title_of_page", "lang"), "writes", raw, CATALOG)
    assert found is not None
    assert found.choices[0].name == likely
    assert len({choice.raw for choice in found.choices}) == len(found.choices) > 12
    assert found.sentence.startswith("Letter needs “")


@pytest.mark.parametrize(
    ("name", "likely", "first"),
    [
        ("name", True, ["Read the page › title"]),
        ("price", True, ["Find price › count", "Find price › first", "Find price › matches"]),
        ("can_be_delivered", False, ["Find stock › count", "Find stock › first", "Find stock › matches"]),
    ],
)
def test_after_what_is_alike_comes_what_the_nearest_step_gives(name: str, likely: bool, first: list[str]) -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "url", "type": "string"}]}},
        {"id": "page_scraper", "type": "page_scraper", "label": "Read the page"},
        {"id": "extract_pattern", "type": "extract_pattern", "label": "Find price"},
        {"id": "extract_pattern_2", "type": "extract_pattern", "label": "Find stock"},
        {"id": "api_output", "type": "api_output", "label": "API Output"},
    ]
    edges = [{"id": f"e{at}", "source": nodes[at]["id"], "target": nodes[at + 1]["id"]} for at in range(len(nodes) - 1)]
    read = document({"format": 1, "title": "Facts", "nodes": nodes, "edges": edges})
    raw = "{{ prompt.out." + name + " }}"
    found = broken_data(read, "api_output", raw, CATALOG, deleted={"prompt": "Pick the facts"})
    assert found is not None
    assert ([one.name for one in found.choices[: len(first)]], found.likely) == (first, likely)
    assert found.sentence == f"API Output needs “Pick the facts › {name}” of a step that was deleted."


def test_it_says_that_the_step_was_deleted_and_offers_nothing_where_nothing_runs_before() -> None:
    found = broken_data(flow("a"), "api_input", "{{ gone.out.x }}", CATALOG)
    assert found is not None
    assert found.sentence == "API Input needs “gone › x” of a step that was deleted."
    assert found.choices == ()
    assert broken_data(flow("a"), "writes", "{{ 7 * 7 }}", CATALOG) is None


def test_a_field_that_was_removed_is_not_on_offer_although_the_last_run_had_it() -> None:
    last = {"api_input": {"title": "x", "removed": "y"}}
    source = sources_for(flow("title"), "reads", CATALOG, last)[0]
    assert [datum.name for datum in flat(source)] == ["title", "everything"]


def test_the_fields_of_an_answer_that_is_a_text_again_are_not_on_offer_either() -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "drafts", "type": "prompt", "label": "Draft answer", "inputs": {"prompt": "x"}},
        {"id": "asks", "type": "approval"},
    ]
    edges = [{"id": "e1", "source": "drafts", "target": "asks"}]
    drafted = document({"format": 1, "title": "Answers", "nodes": nodes, "edges": edges})
    last = {"drafts": {"answer": "Dear guest"}}

    assert [datum.name for datum in flat(sources_for(drafted, "asks", CATALOG, last)[0])] == ["result"]
    found = broken_data(drafted, "asks", "{{ drafts.out.answer }}", CATALOG, last)
    assert found is not None
    assert [one.name for one in found.choices] == ["Draft answer"]


def test_filters_and_other_text_stay() -> None:
    text = "{% if a.out.b %}Dear {{a.out.b | upper}} {{ a.out.bb }}{% endif %}"
    assert replaced(text, "{{a.out.b | upper}}", "{{ c.out }}") == (
        "{% if c.out %}Dear {{c.out | upper}} {{ a.out.bb }}{% endif %}"
    )
