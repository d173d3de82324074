"""All problems of a flow are found at once, and nothing that a flow names is run."""

import json

import pytest
from msgspec.structs import replace

from engine.flow.document import Document
from engine.flow.flow_file import parse_flow_file
from engine.flow.validation import deploy_problems, marks, problems, why_not_connected, without_parked
from engine.nodes import CATALOG


def flow(nodes, edges=()):
    return Document.model_validate(
        {
            "format": 1,
            "nodes": nodes,
            "edges": [
                {
                    "id": f"e{n}",
                    "source": edge[0],
                    "target": edge[1],
                    **({"source_port": edge[2]} if len(edge) > 2 else {}),
                }
                for n, edge in enumerate(edges)
            ],
        }
    )


def api_input(**config):
    return {"id": "api_input", "type": "api_input", "config": config or {"fields": [{"name": "url", "type": "string"}]}}


def template(node_id="text_template", text="Hi {{ api_input.out.url }}"):
    return {"id": node_id, "type": "text_template", "inputs": {"template": text}}


def grouped(levels):
    inner = {"name": "a", "type": "string"}
    for _ in range(levels - 1):
        inner = {"name": "a", "type": "object", "fields": [inner]}
    return inner


def codes(document):
    return [problem.code for problem in problems(document, CATALOG)]


def test_a_small_flow_has_no_problem():
    assert problems(flow([api_input(), template()], [("api_input", "text_template")]), CATALOG) == []


FIELDS = {"id": "set_fields", "type": "set_fields"}

WRONG = {
    "no_api_input": flow([template(text="x")]),
    "no_processing_node": flow(
        [api_input(), {"id": "api_output", "type": "api_output"}], [("api_input", "api_output")]
    ),
    "several_final_nodes": flow([api_input(), template("a"), template("b")], [("api_input", "a"), ("api_input", "b")]),
    "cycle": flow([api_input(), template("a", "x"), template("b", "x")], [("api_input", "a"), ("a", "b"), ("b", "a")]),
    "unknown_type": flow([api_input(), {"id": "x", "type": "rocket"}], [("api_input", "x")]),
    "unknown_key": flow(
        [api_input(), {"id": "t", "type": "text_template", "inputs": {"template": "x", "extra": 1}}],
        [("api_input", "t")],
    ),
    "dangling_edge": flow([api_input(), template()], [("api_input", "text_template"), ("text_template", "gone")]),
    "duplicate_edge": flow([api_input(), template()], [("api_input", "text_template"), ("api_input", "text_template")]),
    "bad_port": flow([api_input(), template()], [("api_input", "text_template", "yes")]),
    "bad_edge": flow(
        [api_input(), template(text="x")], [("api_input", "text_template"), ("text_template", "api_input")]
    ),
    "bad_id": flow([api_input(), {**template("Big", "x")}], [("api_input", "Big")]),
    "duplicate_id": flow([api_input(), template("t"), template("t")], [("api_input", "t")]),
    "bad_reference": flow([api_input(), template(text="{{ 7*7 }}")], [("api_input", "text_template")]),
    "not_an_ancestor": flow(
        [api_input(), template("a", "{{ b.out }}"), template("b", "x"), {"id": "o", "type": "api_output"}],
        [("api_input", "a"), ("api_input", "b"), ("a", "o")],
    ),
    "unknown_field": flow([api_input(), template(text="{{ api_input.out.nope }}")], [("api_input", "text_template")]),
    "input_missing": flow([api_input(), {"id": "t", "type": "text_template"}], [("api_input", "t")]),
    "field_name": flow(
        [api_input(fields=[{"name": "a"}, {"name": "a"}]), template(text="x")], [("api_input", "text_template")]
    ),
    "bad_pattern": flow(
        [api_input(fields=[{"name": "a", "pattern": "("}]), template(text="x")], [("api_input", "text_template")]
    ),
    "no_words": flow(
        [api_input(fields=[{"name": "a", "type": "string", "enum": ["", " "]}]), template(text="x")],
        [("api_input", "text_template")],
    ),
    "bad_default": flow(
        [api_input(fields=[{"name": "a", "type": "integer", "default": "x"}]), template(text="x")],
        [("api_input", "text_template")],
    ),
    "unknown_type_version": flow(
        [api_input(), {**template(text="x"), "type_version": 9}], [("api_input", "text_template")]
    ),
    "several_api_outputs": flow(
        [
            api_input(),
            template(),
            {"id": "api_output", "type": "api_output"},
            {"id": "api_output_2", "type": "api_output"},
        ],
        [("api_input", "text_template"), ("text_template", "api_output"), ("text_template", "api_output_2")],
    ),
    "too_many_fields": flow(
        [api_input(fields=[{"name": f"f{n}"} for n in range(101)]), template(text="x")],
        [("api_input", "text_template")],
    ),
    "too_deep": flow(
        [api_input(fields=[grouped(4)]), template(text="x")],
        [("api_input", "text_template")],
    ),
    "several_api_inputs": flow(
        [api_input(), {**api_input(), "id": "api_input_2"}, template()],
        [("api_input", "text_template"), ("api_input_2", "text_template")],
    ),
}


@pytest.mark.parametrize("code", WRONG)
def test_each_problem_is_found(code):
    assert code in codes(WRONG[code])


def test_one_of_no_words_is_a_problem_also_inside_a_group_and_stops_no_import():
    inner = {"name": "b", "type": "object", "fields": [{"name": "c", "enum": []}, {"name": "d", "enum": ["x"]}]}
    document = flow([api_input(fields=[inner]), template(text="x")], [("api_input", "text_template")])
    (found,) = problems(document, CATALOG)
    assert (found.code, found.pointer) == ("no_words", "/config/fields/0/fields/0/enum")
    assert not found.blocks_import


def test_the_nodes_of_a_cycle_are_named():
    found = [problem for problem in problems(WRONG["cycle"], CATALOG) if problem.code == "cycle"]
    assert "a" in found[0].message and "b" in found[0].message


def test_every_cycle_is_named():
    pairs = [("api_input", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c"), ("d", "e")]
    document = flow([api_input(), *(template(name, "x") for name in "abcde")], pairs)
    found = [problem.message for problem in problems(document, CATALOG) if problem.code == "cycle"]
    assert len(found) == 2
    assert "a → b → a" in found[0] or "b → a → b" in found[0]
    assert "c → d → c" in found[1] or "d → c → d" in found[1]


def test_nodes_on_and_after_a_cycle_are_not_told_that_their_data_is_missing():
    text = "{{ api_input.out.url }} {{ a.out }}"
    document = flow(
        [api_input(), template("a", "{{ api_input.out.url }}"), template("b", text), template("c", text)],
        [("api_input", "a"), ("a", "b"), ("b", "a"), ("b", "c")],
    )
    assert codes(document) == ["cycle"]


def test_a_node_of_an_unknown_type_is_not_called_no_work():
    assert codes(flow([api_input(), {"id": "x", "type": "rocket"}], [("api_input", "x")])) == ["unknown_type"]


def test_a_processing_node_counts_only_when_the_api_input_reaches_it():
    source = {"id": "rows", "type": "dataset_source", "config": {"dataset": "Goods"}}
    output = {"id": "api_output", "type": "api_output"}
    nodes = [api_input(), source, template(text="{{ rows.out }}"), output]
    beside = flow(nodes, [("api_input", "api_output"), ("rows", "text_template"), ("text_template", "api_output")])
    assert codes(beside) == ["no_processing_node"]
    reached = flow(nodes, [("api_input", "text_template"), ("rows", "text_template"), ("text_template", "api_output")])
    assert codes(reached) == []


def test_groups_of_fields_may_be_three_levels_deep():
    document = flow([api_input(fields=[grouped(3)]), template(text="x")], [("api_input", "text_template")])
    assert codes(document) == []


def test_what_only_stops_a_deployment_is_no_obstacle_to_an_import():
    """Only these problems permit an import; every other problem prevents it."""
    only_for_deploy = {code for code in WRONG if all(not one.blocks_import for one in found_as(code))}
    assert only_for_deploy == {"no_api_input", "no_processing_node", "several_final_nodes", "input_missing", "no_words"}


@pytest.mark.parametrize("node_id", ["system", "Big", "1a", "_a", "a-b", "ä", "", "a" * 64, "a\n"])
def test_a_node_id_is_a_short_word_that_nothing_else_is_called(node_id):
    assert "bad_id" in codes(flow([api_input(), template(node_id, "x")]))


@pytest.mark.parametrize(("version", "known"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_node_of_an_earlier_version_of_its_type_is_known_and_one_of_a_later_is_not(version, known):
    catalog = {**CATALOG, "text_template": replace(CATALOG["text_template"], version=2)}
    document = flow([api_input(), {**template(), "type_version": version}], [("api_input", "text_template")])
    found = problems(document, catalog)
    assert [one.code for one in found] == ([] if known else ["unknown_type_version"])


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        ({"colour": "red"}, "unknown_key", "`colour` is not a setting of http_request."),
        ({"method": "PUSH"}, "invalid_value", None),
        ({"timeout": 5}, "unknown_key", "`timeout` is not a setting of http_request."),
    ],
)
def test_a_setting_that_is_none_and_one_with_a_wrong_value_are_told_apart(config, code, message):
    fetch = {"id": "http_request", "type": "http_request", "config": config, "inputs": {"url": "http://example.com"}}
    (found,) = problems(flow([api_input(), fetch], [("api_input", "http_request")]), CATALOG)
    assert (found.code, found.pointer) == (code, f"/config/{next(iter(config))}")
    assert message is None or found.message == message


def found_as(code):
    return [problem for problem in problems(WRONG[code], CATALOG) if problem.code == code]


def test_all_problems_are_reported_at_once():
    document = flow(
        [api_input(), {"id": "x", "type": "rocket"}, template(text="{{ nope }} {{ gone.out }}")],
        [("api_input", "x"), ("api_input", "text_template"), ("x", "missing")],
    )
    assert {"unknown_type", "bad_reference", "dangling_edge", "several_final_nodes"} <= set(codes(document))


def test_a_parked_node_is_no_obstacle_to_a_deploy_and_not_part_of_the_version():
    document = flow(
        [api_input(), template(), template("parked", "{{ gone.out }}"), {"id": "empty", "type": "text_template"}],
        [("api_input", "text_template")],
    )
    assert deploy_problems(document, CATALOG) == []
    assert [node.id for node in without_parked(document).nodes] == ["api_input", "text_template"]


def test_a_chain_of_500_nodes_is_checked_without_recursion():
    nodes = [api_input(), *(template(f"t{n}", "x") for n in range(499))]
    edges = [("api_input", "t0"), *((f"t{n}", f"t{n + 1}") for n in range(498))]
    assert problems(flow(nodes, edges), CATALOG) == []


def test_why_a_connection_is_refused():
    document = flow([api_input(), template()], [("api_input", "text_template")])
    assert (
        why_not_connected(document, "text_template", "text_template", CATALOG)
        == "A node cannot be connected to itself."
    )
    assert "already" in (why_not_connected(document, "api_input", "text_template", CATALOG) or "")
    assert "nothing runs before" in (why_not_connected(document, "text_template", "api_input", CATALOG) or "")


BAD_FILES = {
    "invalid_json": b"{",
    "invalid_document": b"[]",
    "missing_key": b'{"nodes": []}',
    "unknown_key": b'{"format": 1, "nodes": [{"id": "a", "type": "prompt", "colour": "red"}]}',
    "unknown_format": b'{"format": 2}',
    "too_large": json.dumps(
        {"format": 1, "nodes": [{"id": "a", "type": "prompt", "inputs": {"prompt": "x" * (1 << 20)}}]}
    ).encode(),
    "too_deep": (b'{"format": 1, "nodes": ' + b"[" * 100 + b"]" * 100 + b"}"),
    "invalid_value": b'{"format": 1, "nodes": [{"id": 5, "type": "prompt"}]}',
    "too_many_nodes": json.dumps(
        {"format": 1, "nodes": [{"id": f"n{n}", "type": "prompt"} for n in range(501)]}
    ).encode(),
    "too_many_edges": json.dumps(
        {
            "format": 1,
            "nodes": [],
            "edges": [{"id": f"e{n}", "source": "a", "target": "b", "source_port": str(n)} for n in range(2_001)],
        }
    ).encode(),
    "too_many_notes": json.dumps({"format": 1, "notes": [{"id": f"n{n}"} for n in range(2_001)]}).encode(),
    "too_long": json.dumps({"format": 1, "title": "x" * 201}).encode(),
}


def test_as_much_as_a_flow_may_have_is_taken_in():
    nodes = [{"id": f"n{n}", "type": "prompt", "label": "x" * 200} for n in range(500)]
    edges = [{"id": f"e{n}", "source": "a", "target": "b"} for n in range(2_000)]
    file, found = parse_flow_file(json.dumps({"format": 1, "title": "x" * 200, "nodes": nodes, "edges": edges}))
    assert found == [] and file is not None


@pytest.mark.parametrize(("given", "title"), [({}, "my flow"), ({"title": "  "}, "my flow"), ({"title": " A "}, "A")])
def test_a_file_without_a_title_has_that_of_the_file(given, title):
    file, _ = parse_flow_file(json.dumps({"format": 1, **given}), fallback_title="my flow")
    assert file is not None and file.title == title
    untitled, _ = parse_flow_file(json.dumps({"format": 1}))
    assert untitled is not None and untitled.title == "Untitled flow"


@pytest.mark.parametrize("code", BAD_FILES)
def test_a_bad_file_is_refused_with_its_problem(code):
    file, found = parse_flow_file(BAD_FILES[code])
    assert file is None
    assert code in [problem.code for problem in found]


def test_a_file_comes_back_as_it_was():
    source = {
        "title": "Ä flow",
        "description": "",
        "format": 1,
        "nodes": [
            {
                "id": "prompt",
                "type": "prompt",
                "type_version": 1,
                "label": "",
                "position": {"x": 20.0, "y": 0.0},
                "config": {"model": "simulated"},
                "inputs": {"prompt": "{{ api_input.out.url }}"},
                "policy": {"retries": 2},
            }
        ],
        "edges": [],
        "notes": [],
    }
    file, found = parse_flow_file(json.dumps(source))
    assert found == [] and file is not None
    assert file.as_json() == source


def test_the_line_on_a_node_names_data_in_words():
    fetch = {"id": "http_request", "type": "http_request", "inputs": {"url": "{{ api_input.out.url }}/about"}}
    shown = marks(flow([{**api_input(), "label": "Caller"}, fetch], [("api_input", "http_request")]), CATALOG)
    assert shown["http_request"].summary == "GET Caller › url/about"


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("{{ api_input.out.text }}", "“Items” is text, not a list"),
        ("{{ api_input.out.count }}", "“Items” is a number, not a list"),
        ("{{ system.timestamp }}", "“Items” is text, not a list"),
        ("{{ api_input.out.list }} ", "“Items” is text, as other text or a blank stands around the data, not a list"),
        ("abc", "“Items” is text, not a list"),
        (5, "“Items” is a number, not a list"),
        ({"a": 1}, "“Items” is a group of values, not a list"),
        ("{{ api_input.out.list }}", None),
        ("{{ read.out }}", None),
        ([1], None),
    ],
)
def test_items_that_are_never_a_list_stop_a_deployment(items, said):
    kinds = {"text": "string", "count": "integer", "list": "array"}
    start = api_input(fields=[{"name": name, "type": kind} for name, kind in kinds.items()])
    read = {"id": "read", "type": "parse_json", "inputs": {"text": "{{ api_input.out.text }}"}}
    nodes = [
        start,
        read,
        {"id": "s", "type": "array_splitter", "inputs": {"items": items}},
        {"id": "f", "type": "array_flatten"},
    ]
    document = flow(nodes, [("api_input", "read"), ("read", "s"), ("s", "f")])
    found = [one for one in problems(document, CATALOG) if one.node_id == "s"]
    told = [("never_a_list", "/inputs/items", False)] if said else []
    assert [(one.code, one.pointer, one.blocks_import) for one in found] == told
    assert not said or said in found[0].message


def test_a_field_with_a_slash_in_its_name_is_found_by_the_pointer_of_its_problem() -> None:
    output = {"id": "o", "type": "api_output", "inputs": {"and/or": "{{ 7*7 }}", "a~b": ["{{ gone.out }}"]}}
    document = flow([api_input(), output], [("api_input", "o")])
    found = [one.pointer for one in problems(document, CATALOG) if one.code == "bad_reference"]
    assert found == ["/inputs/and~1or", "/inputs/a~0b/0"]
