"""Tests of available data, suggestions, previews and the targets of a value, all without NiceGUI."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import pytest

from engine.flow.document import Document
from engine.flow.draft_fields import SampleRefused
from engine.flow.edits import apply_ops, update_node
from engine.flow.references import Scope
from engine.flow.validation import problems
from engine.models.price import Price
from engine.nodes import CATALOG
from engine.nodes.text_template import render_template
from storage.connections import ConnectionRow, PriceRow
from tests.factories import document
from ui.flow_view.node_views import names_of, readable
from ui.playground.inspector.binding_field import with_change
from ui.playground.inspector.fields_from_example import draft_from
from ui.playground.state.available_data import MAX_NESTED, broken_finder, flat, source_of_run, sources_for
from ui.playground.state.field_previews import nodes_in, preview_of, price_of, tokens_in
from ui.playground.state.point_at_value import places_for, return_ops, unreturned_fields, use_ops
from ui.playground.state.suggestions import ops_of, suggestions


def reader(**more: dict[str, Any]) -> Document:
    """API Input -> Read the page -> Summarise; `more` are further nodes after it, by id."""
    nodes: list[dict[str, Any]] = [
        {
            "id": "api_input",
            "type": "api_input",
            "label": "API Input",
            "config": {
                "fields": [
                    {"name": "page", "type": "string", "format": "uri", "required": True},
                    {"name": "who", "type": "object", "fields": [{"name": "city", "type": "string"}]},
                ]
            },
        },
        {
            "id": "page_scraper",
            "type": "page_scraper",
            "label": "Read the page",
            "inputs": {"url": "{{ api_input.out.page }}"},
        },
        {
            "id": "prompt",
            "type": "prompt",
            "label": "Summarise",
            "config": {
                "model": "simulated",
                "output_fields": [{"name": "facts", "type": "array", "items": {"type": "string"}, "required": True}],
            },
            "inputs": {"prompt": "{{ page_scraper.out.text }}"},
        },
        *({"id": name, **node} for name, node in more.items()),
    ]
    chain = [node["id"] for node in nodes]
    edges = [
        {"id": f"e{at}", "source": source, "target": target}
        for at, (source, target) in enumerate(itertools.pairwise(chain))
    ]
    return document({"format": 1, "title": "Reader", "nodes": nodes, "edges": edges})


def test_a_node_whose_fields_hold_fields_offers_a_thousand_of_them():
    steps = ["api_input", *(f"s{number}" for number in range(5))]
    nodes: list[dict[str, Any]] = [{"id": "api_input", "type": "api_input", "config": {"fields": []}}]
    for before, step in itertools.pairwise(steps):
        values = {f"f{number}": f"{{{{ {before}.out }}}}" for number in range(12)}
        nodes.append({"id": step, "type": "set_fields", "inputs": values})
    edges = [{"id": one, "source": one, "target": other} for one, other in itertools.pairwise(steps)]
    flow = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    nearest = sources_for(flow, steps[-1], CATALOG)[0]
    assert [datum.name for datum in nearest.data] == [*(f"f{number}" for number in range(12)), "everything"]
    assert len(list(flat(nearest))) == 13 + MAX_NESTED


def test_data_on_offer_is_nearest_first_with_types_parts_and_the_last_values() -> None:
    sources = sources_for(
        reader(), "prompt", CATALOG, {"api_input": {"page": "https://a.example/", "who": {"city": "Rome"}}}
    )

    assert [source.node.name for source in sources] == ["Read the page", "API Input"]
    found = {datum.raw: (datum.name, datum.type_word, datum.value) for datum in flat(sources[1])}
    assert found["{{ api_input.out.page }}"] == ("page", "Web address", "https://a.example/")
    assert found["{{ api_input.out.who.city }}"] == ("city", "Text", "Rome")
    assert sources[1].data[-1].name == "everything"


def test_what_no_schema_describes_is_taken_from_the_last_value() -> None:
    flow = reader(http_request={"type": "http_request"}, set_fields={"type": "set_fields"})

    sources = sources_for(flow, "set_fields", CATALOG, {"http_request": {"json": {"items": [{"id": 7}]}}})

    raws = {datum.raw: datum.type_word for datum in flat(sources[0])}
    assert raws["{{ http_request.out.json.items }}"] == "List"
    assert raws["{{ http_request.out.json.items[0].id }}"] == "Whole number"


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("{{ page_scraper.out.text }} {{ system.job_id }}", []),
        ("{{ gone.out.text }}", ["{{ gone.out.text }}"]),
        ("{{ page_scraper.out.nothing | upper }}", ["{{ page_scraper.out.nothing | upper }}"]),
        ("{{ prompt.out }} {{prompt.out}}", ["{{ prompt.out }}", "{{prompt.out}}"]),
        ("{{ page_scraper.index }}", ["{{ page_scraper.index }}"]),
    ],
)
def test_references_that_cannot_resolve_are_known_before_running(text: str, broken: list[str]) -> None:
    assert broken_finder(reader(), "prompt", CATALOG)(text) == broken


def test_an_empty_input_is_offered_data_by_name_type_or_last_value() -> None:
    flow = apply_ops(reader(), [{"op": "updateNode", "id": "page_scraper", "before": {}, "after": {"inputs": {}}}])
    by_type = suggestions(flow, "page_scraper", CATALOG)
    assert [one.sentence for one in by_type] == ["Fill Web address with API Input › page"]
    assert by_type[0].inputs == {"url": "{{ api_input.out.page }}"}

    lists = reader(array_splitter={"type": "array_splitter"})
    assert [one.inputs for one in suggestions(lists, "array_splitter", CATALOG)] == [
        {"items": "{{ prompt.out.facts }}"}
    ]

    looks = reader(
        text_template={"type": "text_template", "inputs": {"template": "x"}}, http_request={"type": "http_request"}
    )
    offers = suggestions(
        looks, "http_request", CATALOG, {"text_template": "https://b.example/x"}, source="text_template"
    )
    assert [one.inputs for one in offers] == [{"url": "{{ text_template.out }}"}]


def test_an_empty_api_output_is_offered_everything_the_node_before_it_gives() -> None:
    offers = suggestions(reader(api_output={"type": "api_output"}), "api_output", CATALOG)

    assert [dict(one.inputs) for one in offers] == [{"facts": "{{ prompt.out.facts }}"}]


def test_a_row_is_no_data_on_offer_where_none_was_found() -> None:
    look = {"type": "look_up_row", "inputs": {"value": "{{ prompt.out.facts }}"}}
    steps = {name: {"type": "text_template"} for name in ("yes", "no", "after", "both")}
    flow = reader(look=look, **steps).model_dump()
    lines = [("look", "found", "yes"), ("look", "not_found", "no"), ("no", "out", "after")]
    lines += [("after", "out", "both"), ("yes", "out", "both")]
    flow["edges"] = [*flow["edges"][:2], {"id": "look", "source": "prompt", "target": "look"}]
    flow["edges"] += [
        {"id": f"w{at}", "source": a, "source_port": b, "target": c} for at, (a, b, c) in enumerate(lines)
    ]
    offered = {one: [s.node.id for s in sources_for(document(flow), one, CATALOG)] for one in steps}
    assert {one: "look" in found for one, found in offered.items()} == {
        "yes": True, "no": False, "after": False, "both": True
    }  # fmt: skip


def test_save_rows_in_a_list_is_offered_what_the_step_before_gives_not_what_the_item_is() -> None:
    def of(edges: str) -> list[dict[str, Any]]:
        pictures = {"name": "pictures", "type": "array", "items": {"type": "file"}}
        field = {"name": "keywords", "type": "string", "required": True}
        nodes = [
            {"id": "api_input", "type": "api_input", "config": {"fields": [pictures]}},
            {"id": "s", "type": "array_splitter", "inputs": {"items": "{{ api_input.out.pictures }}"}},
            {"id": "prompt", "type": "prompt", "config": {"output_fields": [field]}, "inputs": {"prompt": "x"}},
            {"id": "k", "type": "dataset_sink"},
        ]
        lines = [edge.split(">") for edge in edges.split()]
        flow = {"format": 1, "title": "x", "nodes": nodes}
        flow["edges"] = [{"id": f"e{at}", "source": one, "target": two} for at, (one, two) in enumerate(lines)]
        return [dict(one.inputs) for one in suggestions(document(flow), "k", CATALOG)]

    assert of("api_input>s s>prompt prompt>k") == [{"keywords": "{{ prompt.out.keywords }}"}]
    assert of("api_input>s s>k") == [{"name": "{{ s.out.name }}"}]


def test_save_rows_is_offered_what_callers_get_first_with_the_date_and_as_its_types() -> None:
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "text", "type": "string"}]}},
        {"id": "find", "type": "extract_pattern", "inputs": {"text": "{{ api_input.out.text }}"}},
        {"id": "k", "type": "dataset_sink"},
        {"id": "late", "type": "text_template", "inputs": {"template": "x"}},
        {
            "id": "o",
            "type": "api_output",
            "inputs": {"price": "{{ find.out.first }}", "note": "{{ late.out }}", "fixed": "x"},
            "config": {"types": {"price": "number"}},
        },
    ]
    lines = [("api_input", "find"), ("find", "k"), ("k", "late"), ("late", "o")]
    edges = [{"id": f"e{at}", "source": one, "target": two} for at, (one, two) in enumerate(lines)]
    flow = document({"format": 1, "title": "x", "nodes": nodes, "edges": edges})
    first, second = suggestions(flow, "k", CATALOG)
    assert first.sentence == "Keep what callers get, with the date: price"
    assert second.sentence.startswith("Keep matches, count, first of")
    (op,) = ops_of(first, flow, "k", CATALOG)
    assert op["after"] == {
        "inputs": {"date": "{{ system.timestamp }}", "price": "{{ find.out.first }}"},
        "config": {"types": {"price": "number"}},
    }


def test_the_date_of_the_run_is_among_the_data_and_found_by_everyday_words() -> None:
    (date,) = source_of_run().data
    assert readable(f"Prices of {date.raw}", reader()) == "Prices of This run › date"
    assert {"day", "today", "now"} <= set(date.also.replace(",", "").split())
    assert preview_of(date.raw, {}, source=False).text == "(date and time of the run)"
    day = '{{ system.timestamp | split("T") | first }}'
    assert render_template(day, Scope({}, {"timestamp": "2026-11-27T06:30:00.000Z"})) == "2026-11-27"


def test_a_preview_shows_what_the_field_is_handed_on_as() -> None:
    outputs = {"find": {"first": "1.299,00 EUR", "none": None, "words": "call us"}}

    def shown(name: str, value_type: str) -> tuple[str, str]:
        found = preview_of(f"{{{{ find.out.{name} }}}}", outputs, source=False, value_type=value_type)
        return found.text, found.trouble

    assert shown("first", "number") == ("1299", "")
    assert shown("words", "number")[1].startswith("No number was found in “call us”")
    assert (shown("first", "yes_no"), shown("none", "yes_no")) == (("yes", ""), ("no", ""))


def test_a_preview_holds_the_values_of_the_last_run() -> None:
    text = "Hi {{ api_input.out.name | upper }}"

    assert nodes_in(text, source=True) == ["api_input"]
    assert preview_of(text, {"api_input": {"name": "ada"}}, source=True).text == "Hi ADA"
    assert preview_of("{{ api_input.out.name }}!", {"api_input": {"name": "ada"}}, source=False).text == "ada!"
    assert "upperr" in preview_of("{{ api_input.out.name | upperr }}", {"api_input": {}}, source=True).trouble
    assert preview_of("x" * 1000, {}, source=False).length == 1000
    assert tokens_in(9) == 3


def test_a_preview_shows_values_as_people_read_them() -> None:
    outputs = {"api_input": {"text": "My refund", "tags": ["a", "b"], "urgent": True}}
    rules = [
        {"left": "{{ api_input.out.text }}", "operator": "contains", "right": "refund", "ignore_case": True},
        {"left": "{{ api_input.out.urgent }}", "operator": "is_true"},
    ]
    shown = preview_of(rules, outputs, source=False)
    assert shown.text == "“My refund” contains “refund”: yes; yes is true (yes): yes"
    total = [
        {"left": "640.00 EUR", "operator": "greater", "right": "1,000"},
        {"left": 640, "operator": "less", "right": "1,000"},
    ]
    shown = preview_of(total, {}, source=False)
    assert shown.text == "“640.00 EUR” is greater than “1,000”: yes, compared as texts; 640 is less than “1,000”: yes"
    whole = preview_of("{{ api_input.out }}", outputs, source=False)
    assert whole.text == "text: My refund, tags: a, b, urgent: yes"
    assert preview_of("{{ api_input.out.tags }}!", outputs, source=False).text == '["a","b"]!', "as the text is sent"


def test_a_prompt_is_priced_by_the_owners_own_price_first() -> None:
    row = ConnectionRow("c", "shop", "openai_compatible", "https://models.example/v1", None, False, ("m",), 0)

    price = price_of("shop:m", [row], [PriceRow("shop", "m", 5, 7)], at=0)

    assert price == Price(5, 7)
    assert price_of("shop:other", [row], [], at=0) is None
    assert price_of("gone:m", [row], [], at=0) is None


def test_return_this_makes_and_connects_the_api_output_once() -> None:
    flow = reader()
    name, ops = return_ops(flow, "prompt", ("facts",), CATALOG)
    flow = apply_ops(flow, ops)

    assert name == "facts"
    output = flow.node("api_output")
    assert output is not None
    assert output.inputs == {"facts": "{{ prompt.out.facts }}"}
    assert [problem.message for problem in problems(flow, CATALOG)] == []
    assert return_ops(flow, "prompt", ("facts",), CATALOG) == ("facts", [])

    name, ops = return_ops(flow, "api_input", ("who", "city"), CATALOG)
    assert name == "city"
    assert [op["op"] for op in ops] == ["updateNode"]


def test_a_field_that_somebody_named_and_nobody_uses_is_not_returned_yet() -> None:
    fields = [{"name": "facts", "type": "string"}, {"name": "mood", "type": "string"}]
    flow = reader()
    prompt = flow.node("prompt")
    assert prompt is not None
    flow = apply_ops(flow, [update_node(prompt, config={**prompt.config, "output_fields": fields})])
    assert unreturned_fields(flow, "prompt", CATALOG) == [], "without an API Output nothing can be left out of it"

    flow = apply_ops(flow, return_ops(flow, "prompt", ("facts",), CATALOG)[1])
    assert unreturned_fields(flow, "prompt", CATALOG) == ["mood"]
    assert unreturned_fields(flow, "page_scraper", CATALOG) == [], "nobody returns all that a page has"

    output = flow.node("api_output")
    assert output is not None
    whole = apply_ops(flow, [update_node(output, inputs={**output.inputs, "all": "{{ prompt.out }}"})])
    assert unreturned_fields(whole, "prompt", CATALOG) == []
    flow = apply_ops(flow, return_ops(flow, "prompt", ("mood",), CATALOG)[1])
    assert unreturned_fields(flow, "prompt", CATALOG) == []


def test_return_this_inside_a_list_gathers_the_items_first() -> None:
    flow = reader(
        array_splitter={"type": "array_splitter", "inputs": {"items": "{{ prompt.out.facts }}"}},
        text_template={"type": "text_template", "inputs": {"template": "{{ array_splitter.out }}"}},
    )

    name, ops = return_ops(flow, "text_template", (), CATALOG)
    flow = apply_ops(flow, ops)

    flatten, output = flow.node("array_flatten"), flow.node("api_output")
    assert flatten is not None
    assert output is not None
    assert flatten.inputs == {"value": "{{ text_template.out }}"}
    assert output.inputs == {name: "{{ array_flatten.out.items }}"}
    assert problems(flow, CATALOG) == []


def test_use_in_puts_the_value_into_the_input_and_connects() -> None:
    flow = apply_ops(
        reader(),
        [{"op": "addNode", "node": {"id": "http_request", "type": "http_request"}}],
    )
    places = [(node.id, name) for node, name, _title in places_for(flow, "prompt", ("facts",), CATALOG)]
    assert ("http_request", "body") in places
    assert ("page_scraper", "url") not in places

    flow = apply_ops(flow, use_ops(flow, "prompt", ("facts",), "http_request", "body", CATALOG))

    node = flow.node("http_request")
    assert node is not None
    assert node.inputs == {"body": "{{ prompt.out.facts }}"}
    assert any(edge.source == "prompt" and edge.target == "http_request" for edge in flow.edges)
    longer = apply_ops(flow, use_ops(flow, "api_input", ("page",), "prompt", "prompt", CATALOG)).node("prompt")
    assert longer is not None
    assert longer.inputs["prompt"] == "{{ page_scraper.out.text }} {{ api_input.out.page }}"


def test_fields_come_from_json_and_from_a_curl_line_without_a_content_type() -> None:
    body = '{"url": "https://a.example/", "who": {"city": "Rome"}}'
    for text in (body, f"curl https://x.example -d '{body}'"):
        drafted = draft_from(text)
        assert [(field["name"], field["type"]) for field in drafted.fields] == [("url", "string"), ("who", "object")]
        assert drafted.payload == {"url": "https://a.example/", "who": {"city": "Rome"}}
    with pytest.raises(SampleRefused):
        draft_from("hello")


@pytest.mark.parametrize(
    ("known", "made_to", "change", "after"),
    [
        ("Hello", "Hello", {"from": 5, "to": 5, "text": "!"}, "Hello!"),
        ("a😀b", "a😀b", {"from": 3, "to": 4, "text": "c"}, "a😀c"),
        ("abc", "xbc", {"from": 3, "to": 3, "text": "d"}, None),
        ("abc", "abc", {"from": 9, "to": 9, "text": "d"}, None),
    ],
)
def test_a_field_is_saved_by_the_piece_that_changed(
    known: str, made_to: str, change: dict[str, Any], after: str | None
) -> None:
    base = zlib.crc32(made_to.encode("utf-16-le"))

    assert with_change(known, {**change, "base": base}) == after


def in_lists() -> Document:
    """Summarise gives facts; each is read in a list, and its letters in a list within."""
    return reader(
        each={"type": "array_splitter", "label": "Facts", "inputs": {"items": "{{ prompt.out.facts }}"}},
        look={"type": "set_fields", "label": "Look", "inputs": {"fact": "{{ each.out }}", "letters": ["a", "b"]}},
        inner={"type": "array_splitter", "label": "Letters", "inputs": {"items": "{{ look.out.letters }}"}},
        write={"type": "set_fields", "label": "Write"},
    )


def test_in_a_list_the_item_comes_first_with_its_value_and_other_lists_say_they_are_whole() -> None:
    values = {"each": {"title": "Rome", "tags": ["old"]}, "prompt": {"facts": ["a", "b"]}}

    flow = in_lists()
    prompt = flow.node("prompt")
    assert prompt is not None
    facts = {"name": "facts", "type": "array", "items": {"type": "object"}, "required": True}
    groups = update_node(prompt, config={**prompt.config, "output_fields": [facts]})

    sources = sources_for(apply_ops(flow, [groups]), "look", CATALOG, values)

    assert [source.node.name for source in sources] == ["Facts", "Summarise", "Read the page", "API Input"]
    item = sources[0].data[0]
    assert (item.name, item.raw, item.open) == ("this item", "{{ each.out }}", True)
    assert item.value == '{"title": "Rome", "tags": ["old"]}'
    words = {datum.raw: datum.type_word for source in sources for datum in flat(source)}
    assert words["{{ prompt.out.facts }}"] == "Whole list"
    assert words["{{ each.out.tags }}"] == "List", "a list of the item"
    assert words["{{ page_scraper.out.text }}"] == "Text"
    first = next(flat(sources_for(in_lists(), "each", CATALOG)[0]))
    assert (first.name, first.type_word) == ("facts", "List of texts"), "before the list nothing is said"


def test_in_a_list_within_a_list_the_inner_item_comes_first() -> None:
    sources = sources_for(in_lists(), "write", CATALOG, {"look": {"letters": ["a", "b"]}})

    assert [source.node.name for source in sources][:3] == ["Letters", "Facts", "Look"]
    assert [source.data[0].name for source in sources][:2] == ["this item", "this item"]
    words = {datum.raw: datum.type_word for source in sources for datum in flat(source)}
    assert words["{{ look.out.letters }}"] == "Whole list"


def test_an_offer_and_the_chips_call_the_item_this_item() -> None:
    one = reader(
        each={"type": "array_splitter", "label": "Facts", "inputs": {"items": "{{ prompt.out.facts }}"}},
        http_request={"type": "http_request"},
    )
    offers = suggestions(one, "http_request", CATALOG, {"each": "https://b.example/x"}, source="each")
    assert [offer.sentence for offer in offers] == ["Fill Web address with this item"]
    assert names_of(one)["each"]["label"] == "this item"
    assert names_of(in_lists())["inner"]["label"] == "this item of Letters"
    assert readable("About {{ each.out.title }}", one) == "About this item › title"


def test_a_row_behind_an_approval_is_offered_the_data_before_it_and_its_question_is_left_to_the_person() -> None:
    values = {"facts": "{{ prompt.out.facts }}"}
    ask: dict[str, Any] = {"type": "approval", "label": "Ask", "inputs": {"values": values}}
    row: dict[str, Any] = {"type": "dataset_sink", "label": "Keep it"}

    offers = suggestions(reader(ask=ask, row=row), "row", CATALOG, source="ask")
    assert [one.sentence for one in offers] == ["Keep facts of Summarise"]
    changeable = {**ask, "config": {"editable": ["facts"]}}
    offers = suggestions(reader(ask=changeable, row=row), "row", CATALOG, source="ask")
    assert [dict(one.inputs) for one in offers] == [{"facts": "{{ ask.out.values.facts }}"}]
    page = reader(prompt2={"type": "page_scraper", "inputs": {"url": "https://a.example"}}, ask={"type": "approval"})
    assert [one.name for one in suggestions(page, "ask", CATALOG)] == []
