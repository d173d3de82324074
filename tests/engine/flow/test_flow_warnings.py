"""Warnings: a branch that ends nowhere, an output that reads one branch, empty rules, unread fields, whole lists in a
loop. Each is gone after its button was pressed, and the flow returns what it should.
"""

from __future__ import annotations

import json
from time import process_time
from typing import Any

import pytest

from engine.core.paths import ASSETS
from engine.flow.branch_edits import lead_to_output_ops
from engine.flow.document import Document
from engine.flow.edits import apply_ops, invert
from engine.flow.flow_warnings import flow_warnings, mending_ops
from engine.flow.node_places import with_places
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from tests.factories import document, greeting

RULE = {"left": "{{ api_input.out.text }}", "operator": "contains", "right": "refund", "ignore_case": True}


def flow(nodes: dict[str, dict[str, Any]], edges: str, fields: list[dict[str, Any]] | None = None) -> Document:
    """A flow with API Input; `edges` like `api_input>c c.yes>a`."""
    start = {
        "type": "api_input",
        "label": "API Input",
        "config": {"fields": fields or [{"name": "text", "type": "string", "required": True}]},
    }
    made = []
    for at, edge in enumerate(edges.split()):
        source, target = edge.split(">")
        node, _dot, port = source.partition(".")
        made.append({"id": f"e{at}", "source": node, "target": target, **({"source_port": port} if port else {})})
    made_up = document(
        {
            "format": 1,
            "title": "Warned",
            "nodes": [{"id": name, **node} for name, node in {"api_input": start, **nodes}.items()],
            "edges": made,
        }
    )
    return with_places(made_up, CATALOG)  # as the draft of a Playground, in which all nodes have a place


def condition(**inputs: Any) -> dict[str, Any]:
    return {"type": "condition", "label": "Refund?", "inputs": {"rules": [RULE], **inputs}}


def text(words: str = "Hello") -> dict[str, Any]:
    return {"type": "text_template", "inputs": {"template": words}}


def fields(**inputs: Any) -> dict[str, Any]:
    return {"type": "set_fields", "inputs": inputs}


def output(**inputs: Any) -> dict[str, Any]:
    return {"type": "api_output", "label": "API Output", "inputs": inputs}


def codes(flow: Document) -> list[str]:
    return [one.problem.code for one in flow_warnings(flow, CATALOG)]


def mended(flow: Document, code: str) -> Document:
    """The flow after the button of the warning was pressed; undo takes all of it back in one step."""
    warning = next(one for one in flow_warnings(flow, CATALOG) if one.problem.code == code)
    ops = mending_ops(flow, CATALOG, warning.problem)
    after = apply_ops(flow, ops)
    undone = apply_ops(after, invert(ops))
    assert undone.nodes == flow.nodes
    assert set(undone.edges) == set(flow.edges)
    return after


ONE_SIDED = flow(
    {"c": condition(), "a": text(), "b": text(), "o": output(answer="{{ a.out }}")},
    "api_input>c c.yes>a c.no>b a>o b>o",
)


def test_a_flow_without_a_condition_or_a_list_has_no_warning() -> None:
    assert codes(document(greeting())) == []


def test_a_branch_that_ends_nowhere_gets_an_answer_that_is_returned_too() -> None:
    before = flow({"c": condition(), "a": text(), "o": output(answer="{{ a.out }}")}, "api_input>c c.yes>a a>o")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.problem.node_id, warning.verb) == (
        "open_branch",
        "c",
        "Add an answer for “no”",
    )
    assert warning.problem.message.startswith("Refund?: no step is connected to “no” yet.")

    after = mended(before, "open_branch")

    assert codes(after) == []
    joined = after.node("first_value")
    answer = after.node("o")
    assert joined is not None
    assert answer is not None
    assert joined.inputs["values"] == ["{{ a.out }}", "{{ text_template.out }}"]
    assert answer.inputs == {"answer": "{{ first_value.out }}"}
    assert [one.code for one in deploy_problems(after, CATALOG)] == ["input_missing"], "the answer has to be written"


LOOK_UP = {
    "type": "look_up_row",
    "label": "The tenant",
    "config": {"dataset": "Tenants", "column": "email"},
    "inputs": {"value": "{{ api_input.out.text }}"},
}


@pytest.mark.parametrize(
    ("nodes", "edges", "values"),
    [
        pytest.param(
            {"a": text("Dear {{ look.out.name }}"), "o": output(answer="{{ a.out }}")},
            "api_input>look look.found>a a>o",
            ["{{ a.out }}", "{{ text_template.out }}"],
            id="a step on the way found",
        ),
        pytest.param(
            {"o": output(name="{{ look.out.name }}", mail="{{ api_input.out.text }}", reply="{{ look.out.flat }}")},
            "api_input>look look.found>o",
            [
                "{{ set_fields.out }}",
                {"name": None, "mail": "{{ api_input.out.text }}", "reply": "{{ text_template.out }}"},
            ],
            id="the row itself",
        ),
    ],
)
def test_a_row_that_is_not_found_gets_an_answer_like_the_no_of_a_condition(
    nodes: dict[str, Any], edges: str, values: list[Any]
) -> None:
    before = flow({"look": LOOK_UP, **nodes}, edges)
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.verb) == ("open_branch", "Add an answer for “not found”")
    assert warning.problem.message == (
        "The tenant: no step is connected to “not found” yet. When it goes that way, callers get an empty value."
    )
    after = mended(before, "open_branch")
    assert codes(after) == []
    joined, answer = after.node("first_value"), after.node("text_template")
    assert joined is not None
    assert answer is not None
    assert (joined.inputs["values"], answer.label) == (values, "Answer for not found")
    assert [edge.source_port for edge in after.edges if edge.target == answer.id] == ["not_found"]
    assert warning.accept is not None
    accepted = apply_ops(before, mending_ops(before, CATALOG, warning.accept.problem))
    assert codes(accepted) == []
    look = accepted.node("look")
    assert look is not None
    assert look.config["may_end"] == "not_found"


ANSWERED = "{{ a.out }}"
ROW = "{{ look.out.name }}"


@pytest.mark.parametrize(
    ("decides", "way", "inputs", "moved", "values"),
    [
        pytest.param(
            LOOK_UP, "found", {"mail": "x", "answer": f"Dear {ROW}, {ANSWERED}"},
            {"template": f"Dear {ROW}, {ANSWERED}"}, ["{{ text_template_2.out }}", "{{ text_template.out }}"],
            id="the row and a step",
        ),
        pytest.param(
            LOOK_UP, "found", {"answer": ANSWERED, "hello": f"Dear {ROW}"},
            {"answer": ANSWERED, "hello": f"Dear {ROW}"},
            ["{{ set_fields.out }}", {"answer": "{{ text_template.out }}", "hello": ""}],
            id="a text beside the answer",
        ),
        pytest.param(
            condition(), "yes", {"answer": f"Hello! {ANSWERED}"},
            {"template": f"Hello! {ANSWERED}"}, ["{{ text_template_2.out }}", "{{ text_template.out }}"],
            id="a Condition",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("apart", [False, True])
def test_the_words_around_data_of_one_way_stay_on_that_way(
    decides: dict[str, Any], way: str, inputs: dict[str, str], moved: dict[str, str], values: list[Any], apart: bool
) -> None:
    nodes = {"look": decides, "a": text(), "o": output(**inputs), **({"then": text()} if apart else {})}
    before = flow(nodes, f"api_input>look look.{way}>a " + ("a>then then>o" if apart else "a>o"))
    after = mended(before, "open_branch")
    assert codes(after) == []
    assert [one.code for one in deploy_problems(after, CATALOG)] == ["input_missing"], "the answer has to be written"
    (joined,) = [node for node in after.nodes if node.type == "first_value"]
    assert joined.inputs["values"] == values
    (words,) = [node for node in after.nodes if node.label == f"Answer for {way}"]
    assert words.inputs == moved
    assert [edge.source for edge in after.edges if edge.target == words.id] == ["a"]
    assert answered(after) == {
        name: "x" if name == "mail" else f"{{{{ first_value.out{f'.{name}' if len(moved) > 1 else ''} }}}}"
        for name in inputs
    }


@pytest.mark.parametrize("name", ["Name / title", "and/or", "a~b", "a/b~c"])
def test_a_field_of_any_name_is_joined(name: str) -> None:
    before = flow(
        {"c": condition(), "a": text(), "o": output(**{name: "Hello! {{ a.out }}"})}, "api_input>c c.yes>a a>o"
    )
    assert answered(mended(before, "open_branch")) == {name: "{{ first_value.out }}"}


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        pytest.param({}, "api_input>b b>o", id="a step beside"),
        pytest.param({"d": condition()}, "api_input>d d.no>b b>o", id="a way beside"),
    ],
)
def test_words_around_data_of_a_step_beside_stay_in_the_output(nodes: dict[str, dict[str, Any]], edges: str) -> None:
    words = {"a": text(), "b": text(), "o": output(answer="Dear {{ b.out }}, {{ a.out }}")}
    before = flow({"c": condition(), **nodes, **words}, f"api_input>c c.yes>a a>o {edges}")
    assert deploy_problems(before, CATALOG) == []
    after = mended(before, "open_branch")
    assert [one.code for one in deploy_problems(after, CATALOG)] == ["input_missing"], "the answer has to be written"
    assert answered(after) == {"answer": "Dear {{ b.out }}, {{ first_value.out }}"}


def test_a_step_of_an_unknown_type_is_not_joined() -> None:
    nodes = {"c": condition(), "a": {"type": "gone"}, "o": output(answer="Hello! {{ a.out }}")}
    before = flow(nodes, "api_input>c c.yes>a a>o")
    assert answered(mended(before, "open_branch")) == {"answer": "Hello! {{ a.out }}"}
    led = apply_ops(before, lead_to_output_ops(before, CATALOG, "c", "no"))
    assert [one.code for one in deploy_problems(led, CATALOG)] == ["unknown_type", "input_missing"]


def test_a_row_that_is_read_on_both_ways_makes_a_difference() -> None:
    assert (
        codes(
            flow(
                {"look": LOOK_UP, "o": output(name="{{ look.out.name }}")},
                "api_input>look look.found>o look.not_found>o",
            )
        )
        == []
    )
    both = "api_input>look look.found>a look.not_found>b a>o b>o"
    before = flow({"look": LOOK_UP, "a": text(), "b": text(), "o": output(answer="{{ a.out }}")}, both)
    (warning,) = flow_warnings(before, CATALOG)
    assert warning.problem.message == (
        "API Output: it returns only what a gives, which runs when The tenant goes on by “found”. When it goes by “not found”, "
        "callers get an empty value."
    )
    assert codes(mended(before, "one_branch_read")) == []
    same = flow({"look": LOOK_UP, "o": output(answer="Hello")}, "api_input>look look.found>o look.not_found>o")
    assert codes(same) == ["same_answer"]


def test_a_branch_beside_the_answer_may_end() -> None:
    """An alarm is sent, or not; the answer comes from another branch and is complete either way."""
    nodes = {"a": text(), "c": condition(), "alarm": text(), "o": output(answer="{{ a.out }}")}
    assert codes(flow(nodes, "api_input>a a>o a>c c.yes>alarm")) == []
    assert codes(flow(nodes, "api_input>a a>c c.yes>alarm alarm>o")) == ["open_branch"], "one would think it differs"


def test_a_row_that_is_looked_up_beside_the_answer_may_be_missing() -> None:
    nodes = {"a": text(), "look": LOOK_UP, "alarm": text("{{ look.out.flat }}"), "o": output(answer="{{ a.out }}")}
    ways = "api_input>a a>o a>look look.found>alarm"
    assert codes(flow(nodes, ways)) == []
    last = {"type": "first_value", "inputs": {"values": ["{{ look.out.name }}", "{{ a.out }}"]}}
    greeting = {"a": text("Guest"), "look": LOOK_UP, "last": last, "o": output(answer="{{ last.out }}")}
    either = "api_input>look api_input>a look.found>last a>last last>o"
    assert codes(flow(greeting, either)) == [], "a First Value passes over the row that is not there"
    reads_it = {**nodes, "o": output(answer="{{ a.out }}", flat="{{ look.out.flat }}")}
    assert codes(flow(reads_it, f"{ways} alarm>o")) == ["open_branch"]


def test_without_api_output_the_two_sides_are_joined_at_the_end() -> None:
    after = mended(flow({"c": condition(), "a": text()}, "api_input>c c.yes>a"), "open_branch")
    assert codes(after) == []
    assert [one.code for one in deploy_problems(after, CATALOG)] == ["input_missing"]


def test_an_open_branch_joins_the_first_value_that_is_there() -> None:
    before = flow(
        {"c": condition(), "a": text(), "f": {"type": "first_value"}, "o": output(answer="{{ f.out }}")},
        "api_input>c c.yes>a a>f f>o",
    )
    after = mended(before, "open_branch")
    assert codes(after) == []
    assert len([node for node in after.nodes if node.type == "first_value"]) == 1


@pytest.mark.parametrize("code", ["open_branch", "one_branch_read"])
def test_a_branch_puts_its_text_into_the_field_of_the_answer_that_is_meant_for_it(code: str) -> None:
    led = code == "one_branch_read"  # the text leads into the First Value already, which cannot give its fields
    before = flow(
        {
            "c": condition(),
            **({"n": text()} if led else {}),
            "w": {"type": "approval", "inputs": {"title": "Send it?", "values": {"Reply": "{{ api_input.out.text }}"}}},
            "send": fields(decision="approved", reply="{{ w.out.values.Reply }}", subject="{{ api_input.out.text }}"),
            "keep": fields(decision="refused", reply="none", subject="none"),
            "f": {"type": "first_value"},
            "o": output(
                decision="{{ f.out.decision }}",
                reply="{{ f.out.reply }}",
                subject="{{ f.out.subject }}",
                decided_by="{{ w.out.by }}",
            ),
        },
        "api_input>c c.yes>w w.approved>send w.refused>keep send>f keep>f f>o" + led * " c.no>n n>f",
    )
    assert codes(before) == [code]
    after = mended(before, code)
    assert codes(after) == [], "the field that only one side fills needs no other First Value"
    unready = [one.pointer for one in deploy_problems(after, CATALOG)]
    assert unready == ([] if led else ["/inputs/template"]), "its text is to be written"
    (joiner,) = [node for node in after.nodes if node.type == "first_value"]
    (answer,) = [node for node in after.nodes if node.type == "text_template"]
    assert joiner.inputs["values"] == [
        "{{ send.out }}",
        "{{ keep.out }}",
        {"decision": "", "reply": f"{{{{ {answer.id}.out }}}}", "subject": ""},
    ]
    assert [edge.target for edge in after.edges if edge.source == answer.id] == ["f"]


def test_the_text_of_each_branch_gets_a_group_of_fields_of_its_own() -> None:
    before = flow(
        {
            "c": condition(),
            "d": {**condition(), "label": "Order?"},
            "a": fields(category="refund", reply="{{ api_input.out.text }}"),
            "f": {"type": "first_value"},
            "o": output(category="{{ f.out.category }}", reply="{{ f.out.reply }}"),
        },
        "api_input>c c.yes>d d.yes>a a>f f>o",
    )
    assert codes(before) == ["open_branch", "open_branch"]
    after = mended(mended(before, "open_branch"), "open_branch")
    assert codes(after) == []
    joiner = after.node("f")
    assert joiner is not None
    assert joiner.inputs["values"] == [
        "{{ a.out }}",
        {"category": "", "reply": "{{ text_template.out }}"},
        {"category": "", "reply": "{{ text_template_2.out }}"},
    ]


@pytest.mark.parametrize(
    ("group", "told"),
    [({"reply": "{{ t.out }}"}, False), ({"reply": "Hello"}, False), ({"reply": "{{ a.out.reply }}"}, True)],
)
def test_a_group_of_fields_is_for_the_branch_with_which_it_is_there(group: dict[str, str], told: bool) -> None:
    nodes = {
        "c": condition(),
        "a": fields(reply="x"),
        "t": text(),
        "f": {"type": "first_value", "inputs": {"values": [group, "{{ a.out }}", "{{ t.out }}"]}},
        "o": output(reply="{{ f.out.reply }}", same="{{ a.out.reply }}"),
    }
    found = flow(nodes, "api_input>c c.yes>a a>f c.no>t t>f f>o")
    assert codes(found) == (["one_branch_read"] if told else [])


def test_what_only_one_branch_gives_is_told_beside_a_value_of_both() -> None:
    before = flow(
        {
            "c": condition(),
            "a": text("yes text"),
            "k1": fields(kind="refund"),
            "k2": fields(kind="other"),
            "f": {"type": "first_value"},
            "o": output(kind="{{ f.out.kind }}", answer="{{ a.out }}"),
        },
        "api_input>c c.yes>k1 k1>a a>o c.no>k2 k1>f k2>f f>o",
    )
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.problem.pointer) == ("one_branch_read", "/inputs/answer")
    assert codes(mended(before, "one_branch_read")) == []


def test_items_that_go_nowhere_in_a_list_are_left_out_on_purpose() -> None:
    nodes = {
        "s": {"type": "array_splitter", "inputs": {"items": "{{ api_input.out.items }}"}},
        "c": condition(rules=[{**RULE, "left": "{{ s.out }}"}]),
        "a": text("{{ s.out }}"),
        "f": {"type": "array_flatten"},
        "o": output(items="{{ f.out.items }}"),
    }
    listed = [{"name": "items", "type": "array", "required": True}]
    assert codes(flow(nodes, "api_input>s s>c c.yes>a a>f f>o", listed)) == []


def test_an_output_that_reads_one_branch_returns_whichever_ran() -> None:
    (warning,) = flow_warnings(ONE_SIDED, CATALOG)
    assert (warning.problem.code, warning.problem.pointer, warning.verb) == (
        "one_branch_read", "/inputs/answer", "Return whichever ran",
    )  # fmt: skip

    after = mended(ONE_SIDED, "one_branch_read")

    assert codes(after) == []
    assert deploy_problems(after, CATALOG) == []
    joined = after.node("first_value")
    assert joined is not None
    assert joined.inputs["values"] == ["{{ a.out }}", "{{ b.out }}"]
    assert {(edge.source, edge.target) for edge in after.edges} == {
        ("api_input", "c"), ("c", "a"), ("c", "b"), ("a", "first_value"), ("b", "first_value"), ("first_value", "o"),
    }  # fmt: skip


def test_fields_that_both_branches_have_need_one_first_value() -> None:
    before = flow(
        {
            "c": condition(),
            "a": fields(kind="x", answer="y"),
            "b": fields(kind="z", answer="w"),
            "o": output(kind="{{ a.out.kind }}", answer="Dear customer, {{ a.out.answer }}"),
        },
        "api_input>c c.yes>a c.no>b a>o",
    )
    after = mended(before, "one_branch_read")
    answer = after.node("o")
    assert answer is not None
    assert answer.inputs == {
        "kind": "{{ first_value.out.kind }}",
        "answer": "Dear customer, {{ first_value.out.answer }}",
    }
    assert codes(after) == []
    assert deploy_problems(after, CATALOG) == []


def test_fields_of_other_names_are_joined_in_a_group_with_the_likest() -> None:
    before = flow(
        {
            "c": condition(),
            "a": fields(answer="x", kind="y"),
            "b": fields(the_answer="z", kinds="w"),
            "o": output(answer="{{ a.out.answer }}", kind="{{ a.out.kind }}"),
        },
        "api_input>c c.yes>a c.no>b a>o b>o",
    )
    after = mended(before, "one_branch_read")
    values = [node.inputs["values"] for node in after.nodes if node.type == "first_value"]
    assert values == [["{{ a.out }}", {"answer": "{{ b.out.the_answer }}", "kind": "{{ b.out.kinds }}"}]]
    assert answered(after) == {"answer": "{{ first_value.out.answer }}", "kind": "{{ first_value.out.kind }}"}
    assert codes(after) == []
    assert deploy_problems(after, CATALOG) == []


@pytest.mark.parametrize("both", ["{{ a.out }}{{ b.out }}", "{{ f.out }}"])
def test_an_output_that_reads_both_branches_is_right(both: str) -> None:
    nodes = {"c": condition(), "a": text(), "b": text(), "f": {"type": "first_value"}, "o": output(answer=both)}
    assert codes(flow(nodes, "api_input>c c.yes>a c.no>b a>f b>f f>o")) == []


@pytest.mark.parametrize(("may_end", "told"), [("", True), ("yes", True), ("no", False), ("both", False)])
def test_a_branch_may_end_on_purpose(may_end: str, told: bool) -> None:
    nodes = {"c": {**condition(), "config": {"may_end": may_end}}, "a": text(), "o": output(answer="{{ a.out }}")}
    before = flow(nodes, "api_input>c c.yes>a a>o")
    assert codes(before) == (["open_branch"] if told else [])
    if told:
        (warning,) = flow_warnings(before, CATALOG)
        assert warning.accept is not None
        after = apply_ops(before, mending_ops(before, CATALOG, warning.accept.problem))
        assert codes(after) == []
        node = after.node("c")
        assert node is not None
        assert node.config["may_end"] == ("both" if may_end else "no")


def test_a_condition_that_leads_nowhere_at_all_is_a_warning_in_any_case() -> None:
    before = flow({"c": {**condition(), "config": {"may_end": "both"}}, "t": text()}, "api_input>c api_input>t")
    found = [one for one in flow_warnings(before, CATALOG) if one.problem.code == "open_branch"]
    assert [one.accept for one in found] == [None]


EMPTY: list[tuple[dict[str, Any], str]] = [
    ({"left": "", "operator": "equals", "right": "", "ignore_case": True}, "it is empty"),
    ({"left": "{{ api_input.out.text }}", "operator": "contains", "right": " "}, "nothing to compare with"),
    ({"left": "{{ api_input.out.text }}", "operator": "in", "right": [" "]}, "nothing to compare with"),
    ({"left": None, "operator": "is_empty"}, "nothing to look at"),
    ({"left": "{{ api_input.out.text }}", "operator": "matches"}, "nothing to compare with"),
]


@pytest.mark.parametrize(("rule", "said"), EMPTY)
def test_an_empty_rule_is_removed_or_filled_in(rule: dict[str, Any], said: str) -> None:
    nodes = {"c": condition(rules=[RULE, rule]), "a": text(), "b": text(), "f": {"type": "first_value"}}
    before = flow(nodes, "api_input>c c.yes>a c.no>b a>f b>f")
    (warning,) = flow_warnings(before, CATALOG)
    assert warning.problem.code == "empty_rule"
    assert said in warning.problem.message
    if said == "it is empty":
        assert warning.verb == "Remove this rule"
        assert codes(mended(before, "empty_rule")) == []
    else:
        assert (warning.verb, warning.mend) == ("Fill in this rule", None)


def test_a_rule_of_a_filter_looks_at_the_item_when_it_names_no_field() -> None:
    def filtered(*rules: dict[str, Any]) -> Document:
        node = {"type": "filter_list", "inputs": {"items": "{{ api_input.out.text }}"}, "config": {"rules": [*rules]}}
        return flow({"l": node}, "api_input>l")

    assert codes(filtered({"operator": "contains", "value": "a"}, {"field": "name", "value": ""})) == []
    assert codes(filtered({"field": "name", "operator": "matches", "value": None})) == ["empty_rule"]
    assert codes(filtered({"field": "name", "operator": "matches", "value": ""})) == [], "which is a problem"
    before = filtered({"ignore_case": True}, {"field": "name", "operator": "starts_with"})
    assert codes(before) == ["empty_rule", "empty_rule"]
    node = mended(before, "empty_rule").node("l")
    assert node is not None
    assert node.config["rules"] == [{"field": "name", "operator": "starts_with"}]


LANG = [{"name": "text", "type": "string", "required": True}, {"name": "lang", "type": "string", "required": True}]


@pytest.mark.parametrize(
    ("nodes", "edges", "unread"),
    [
        ({"t": text("{{ api_input.out.text | upper }}")}, "api_input>t", ["lang"]),
        ({"t": text("{% if api_input.out.lang %}{{ api_input.out.text }}{% endif %}")}, "api_input>t", []),
        ({"t": text("{{ api_input.out }}")}, "api_input>t", []),
        ({"t": text("Hi"), "parked": text("{{ api_input.out.lang }}")}, "api_input>t", ["text", "lang"]),
        (
            {"c": condition(), "a": text("{{ c.out.lang }}"), "b": text(), "f": {"type": "first_value"}},
            "api_input>c c.yes>a c.no>b a>f b>f",
            [],
        ),
        ({"c": condition(), "f": {"type": "first_value"}}, "api_input>c c.yes>f c.no>f", []),
        ({"o": output()}, "api_input>o", []),
    ],
)
def test_a_required_field_that_no_step_reads(nodes: dict[str, Any], edges: str, unread: list[str]) -> None:
    before = flow(nodes, edges, LANG)
    found = [one for one in flow_warnings(before, CATALOG) if one.problem.code == "field_not_read"]
    assert [one.verb for one in found] == [f"Make “{name}” optional" for name in unread]
    for name in unread:
        before = mended(before, "field_not_read")
        assert f"“{name}”" not in str([one.problem for one in flow_warnings(before, CATALOG)])


@pytest.mark.parametrize(
    ("used", "instead"),
    [
        ("About {{ api_input.out.items | join }}", "About {{ s.out | join }}"),
        ("{{ api_input.out.items[0].title }}", "{{ s.out.title }}"),
        ('{{ "api_input.out.items" }} {{ api_input.out.items }}', '{{ "api_input.out.items" }} {{ s.out }}'),
    ],
)
def test_the_whole_list_in_its_own_loop_becomes_this_item(used: str, instead: str) -> None:
    nodes = {
        "s": {"type": "array_splitter", "inputs": {"items": "{{ api_input.out.items }}"}},
        "t": text(used),
        "f": {"type": "array_flatten"},
        "after": text("{{ api_input.out.items }}"),
    }
    listed = [{"name": "items", "type": "array", "required": True, "items": {"type": "object"}}]
    before = flow(nodes, "api_input>s s>t t>f f>after", listed)
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.problem.node_id, warning.verb) == (
        "whole_list_in_loop", "t", "Use this item",
    )  # fmt: skip

    after = mended(before, "whole_list_in_loop")

    node = after.node("t")
    assert node is not None
    assert node.inputs["template"] == instead
    assert codes(after) == []


def test_a_warning_stops_no_deployment() -> None:
    assert codes(ONE_SIDED)
    assert deploy_problems(ONE_SIDED, CATALOG) == []


@pytest.mark.parametrize("path", sorted((ASSETS / "templates").glob("*.json")), ids=lambda path: path.stem)
def test_no_template_has_a_warning(path: Any) -> None:
    assert [one.problem.message for one in flow_warnings(document(json.loads(path.read_text())), CATALOG)] == []


def test_a_condition_that_leads_nowhere_at_all_is_one_warning() -> None:
    (warning,) = flow_warnings(flow({"c": condition()}, "api_input>c"), CATALOG)
    assert (warning.problem.code, warning.verb) == ("open_branch", "Add an answer for “yes”")
    assert warning.problem.message.startswith("Refund?: neither")


def answered(after: Document) -> dict[str, Any]:
    """What API Output returns, by the texts of the steps that it reads."""
    given = after.node("o")
    assert given is not None
    return dict(given.inputs)


def texts_joined(after: Document) -> list[str]:
    """The labels of the steps whose values the First Value of a flow takes, in their order."""
    joined = next(node for node in after.nodes if node.type == "first_value")
    labels = {node.id: node.name for node in after.nodes}
    return [labels[str(value).split(".")[0].strip("{ ")] for value in joined.inputs["values"]]


def test_an_answer_that_hangs_only_on_yes_is_moved_to_yes_when_no_gets_its_own() -> None:
    before = flow({"c": condition(), "o": output(answer="A refund.")}, "api_input>c c.yes>o")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.verb) == ("open_branch", "Add an answer for “no”")
    assert "the same answer for “yes” and “no”" in warning.problem.message, "API Output is never skipped"

    after = mended(before, "open_branch")

    assert answered(after) == {"answer": "{{ first_value.out }}"}
    assert texts_joined(after) == ["Answer for yes", "Answer for no"]
    assert [node.inputs for node in after.nodes if node.name == "Answer for yes"] == [{"template": "A refund."}]
    assert codes(after) == []
    assert [one.code for one in deploy_problems(after, CATALOG)] == ["input_missing"], "the answer for no"


def test_the_warning_stays_until_both_ways_are_joined() -> None:
    before = flow({"c": condition(), "o": output(answer="A refund."), "b": text()}, "api_input>c c.yes>o c.no>b")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.verb) == ("same_answer", "Join both ways")
    assert "also when it goes by “no”" in warning.problem.message
    after = mended(before, "same_answer")
    assert texts_joined(after) == ["Answer for yes", "b"]
    assert codes(after) == []


@pytest.mark.parametrize("edges", ["c.yes>o c.no>o", "c.yes>a a>o c.no>o", "c.yes>a a>o c.no>b b>o"])
def test_two_ways_into_one_answer_are_said_to_make_no_difference(edges: str) -> None:
    nodes = {"c": condition(), "o": output(answer="Thanks."), "a": text(), "b": text()}
    used = {name: node for name, node in nodes.items() if f"{name}>" in edges or f">{name}" in edges or name in "co"}
    before = flow(used, f"api_input>c {edges}")
    assert codes(before) == ["same_answer"]
    after = mended(before, "same_answer")
    assert codes(after) == []
    assert answered(after) == {"answer": "{{ first_value.out }}"}
    assert not [edge for edge in after.edges if edge.source == "c" and edge.target == "o"]


def test_a_side_that_does_something_may_end_in_the_same_answer() -> None:
    call = {"type": "http_request", "inputs": {"url": "https://example.com"}}
    before = flow({"c": condition(), "h": call, "o": output(answer="Done.")}, "api_input>c c.yes>h h>o c.no>o")
    assert codes(before) == []


@pytest.mark.parametrize("asks", ["Approval", "Call Flow"])
def test_a_side_that_waits_may_end_in_the_same_answer(asks: str) -> None:
    steps = {"Approval": {"type": "approval", "inputs": {"title": "Send it?"}}, "Call Flow": {"type": "call_flow"}}
    nodes = {"c": condition(), "w": steps[asks], "o": output(answer="{{ api_input.out.text }}")}
    port = ".approved" if asks == "Approval" else ""
    assert codes(flow(nodes, f"api_input>c c.yes>w w{port}>o c.no>o")) == []


def approved_or_not(edges: str = "w.approved>o", **read: str) -> Document:
    """A reply that a person looks at and may change when the review is bad, and that is returned at once otherwise."""
    texts = [{"name": name, "type": "string", "required": True} for name in ("kind", "reply")]
    ask = {"type": "prompt", "inputs": {"prompt": "{{ api_input.out }}"}}
    shown = {"reply": "{{ p.out.reply }}", "review": "{{ api_input.out.text }}"}
    nodes = {
        "p": {**ask, "config": {"model": "simulated", "output_fields": texts}},
        "c": condition(rules=[{**RULE, "left": "{{ p.out.kind }}"}]),
        "w": {
            "type": "approval",
            "label": "Approval",
            "config": {"editable": ["reply"]},
            "inputs": {"title": "Send it?", "values": shown},
        },
        "t": text("{{ w.out.values.reply }}"),
        "o": output(kind="{{ p.out.kind }}", **read),
    }
    used = {name: node for name, node in nodes.items() if name != "t" or "t>" in edges}
    return flow(used, f"api_input>p p>c c.yes>w {edges} c.no>o")


@pytest.mark.parametrize("edges", ["w.approved>o", "w.approved>o w.refused>o"])
def test_what_a_person_may_change_is_returned_as_it_was_where_nobody_is_asked(edges: str) -> None:
    before = approved_or_not(edges, reply="Dear customer: {{ w.out.values.reply }}", by="{{ w.out.by }}")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.verb) == ("one_branch_read", "Return whichever ran")

    after = mended(before, "one_branch_read")

    assert codes(after) == []
    assert deploy_problems(after, CATALOG) == []
    joined = after.node("first_value")
    assert joined is not None
    assert joined.inputs["values"] == ["{{ w.out.values.reply }}", "{{ p.out.reply }}"]
    assert answered(after) == {
        "kind": "{{ p.out.kind }}",
        "reply": "Dear customer: {{ first_value.out }}",
        "by": "{{ w.out.by }}",
    }
    led = {(edge.source, edge.source_port) for edge in after.edges if edge.target == "first_value"}
    assert led == {("c", "no"), *(("w", one.split(">")[0][2:]) for one in edges.split())}
    assert [edge.source for edge in after.edges if edge.target == "o"] == ["first_value"]


def test_several_values_that_a_person_saw_need_one_first_value() -> None:
    after = mended(
        approved_or_not(reply="{{ w.out.values.reply }}", text="{{ w.out.values.review }}"), "one_branch_read"
    )
    joined = after.node("first_value")
    assert joined is not None
    assert joined.inputs["values"] == [
        {"reply": "{{ w.out.values.reply }}", "review": "{{ w.out.values.review }}"},
        {"reply": "{{ p.out.reply }}", "review": "{{ api_input.out.text }}"},
    ]
    assert answered(after)["text"] == "{{ first_value.out.review }}"
    assert codes(after) == []
    assert deploy_problems(after, CATALOG) == []


def test_a_way_without_a_step_gets_an_answer_where_nothing_known_before_stands_for_what_is_read() -> None:
    before = approved_or_not("w.approved>t t>o", reply="{{ t.out }}")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.verb) == ("one_branch_read", "Add an answer for “no”")
    after = mended(before, "one_branch_read")
    assert texts_joined(after) == ["t", "Answer for no"]
    assert codes(after) == []


def test_the_answer_of_one_way_leaves_the_other_fields_as_they_are() -> None:
    before = flow(
        {
            "p": text("{{ api_input.out.text }}"),
            "c": condition(),
            "o": output(kind="{{ p.out }}", fixed="refund", reply="{{ api_input.out.text }}"),
        },
        "api_input>p p>c c.yes>o",
    )
    after = mended(before, "open_branch")
    (joined,) = [node for node in after.nodes if node.type == "first_value"]
    assert joined.inputs["values"] == [
        "{{ set_fields.out }}",
        {"kind": "{{ p.out }}", "fixed": "", "reply": "{{ text_template.out }}"},
    ]
    assert codes(after) == []
    assert [one.code for one in deploy_problems(after, CATALOG)] == ["input_missing"], "the answer has to be written"


def test_several_fixed_fields_move_together() -> None:
    before = flow({"c": condition(), "o": output(a="One", b="{{ api_input.out.text }}")}, "api_input>c c.yes>o")
    after = mended(before, "open_branch")
    moved = next(node for node in after.nodes if node.name == "Answer for yes")
    assert (moved.type, moved.inputs) == ("set_fields", {"a": "One", "b": "{{ api_input.out.text }}"})
    assert codes(after) == []


def test_the_ways_of_a_condition_within_one_are_joined_in_any_order() -> None:
    before = flow({"c": condition(), "d": condition(), "o": output(answer="Both.")}, "api_input>c c.yes>d d.yes>o")
    assert codes(before) == ["open_branch", "open_branch"]
    after = mended(mended(before, "open_branch"), "open_branch")
    assert codes(after) == []
    assert len(texts_joined(after)) == 3
    names = [node.name for node in after.nodes if node.name.startswith("Answer for")]
    assert len(set(names)) == len(names), names
    assert "Answer for no of Refund?" in names


def test_an_output_without_fields_is_a_warning_with_what_the_step_before_gives() -> None:
    before = flow({"a": text("{{ api_input.out.text }}"), "o": output()}, "api_input>a a>o")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.verb) == ("empty_output", "Return what a gives")
    after = mended(before, "empty_output")
    assert answered(after) == {"answer": "{{ a.out }}"}
    assert codes(after) == []


def test_an_output_after_the_input_asks_for_its_first_field() -> None:
    (warning,) = flow_warnings(flow({"o": output()}, "api_input>o"), CATALOG)
    assert (warning.problem.code, warning.verb, warning.mend) == ("empty_output", "Add a field", None)


@pytest.mark.parametrize(
    ("edges", "after", "port"), [("c.yes>o", "c", "no"), ("c.yes>o", "c", None), ("c.yes>o c.no>b", "b", "out")]
)
def test_leading_the_other_way_to_the_output_joins_both(edges: str, after: str, port: str | None) -> None:
    nodes = {"c": condition(), "o": output(answer="Yes."), **({"b": text()} if ">b" in edges else {})}
    before = flow(nodes, f"api_input>c {edges}")
    led = apply_ops(before, lead_to_output_ops(before, CATALOG, after, port))
    assert codes(led) == []
    assert answered(led) == {"answer": "{{ first_value.out }}"}


def test_a_step_apart_from_the_output_is_connected_with_it() -> None:
    before = flow({"a": text(), "o": output(answer="{{ a.out }}"), "b": text()}, "api_input>a a>o api_input>b")
    led = apply_ops(before, lead_to_output_ops(before, CATALOG, "b", None))
    assert ("b", "o") in {(edge.source, edge.target) for edge in led.edges}
    assert lead_to_output_ops(led, CATALOG, "b", None) == []
    assert lead_to_output_ops(led, CATALOG, "o", None) == []


def test_items_that_became_groups_are_grouped_by_one_of_their_fields() -> None:
    verdict = {"name": "verdict", "type": "string", "enum": ["positive", "negative"]}
    answer = {"type": "prompt", "inputs": {"prompt": "{{ s.out }}"}, "config": {"output_fields": [verdict]}}
    nodes = {
        "s": {"type": "array_splitter", "inputs": {"items": "{{ api_input.out.items }}"}},
        "p": answer,
        "f": {"type": "array_flatten"},
        "g": {"type": "group_count", "label": "Count", "inputs": {"items": "{{ f.out.items }}"}, "config": {"by": "."}},
        "o": output(groups="{{ g.out.groups }}"),
    }
    edges = "api_input>s s>p p>f f>g g>o"
    listed = [{"name": "items", "type": "array", "items": {"type": "string"}, "required": True}]
    (warning,) = flow_warnings(flow(nodes, edges, listed), CATALOG)
    assert (warning.problem.code, warning.verb) == ("grouped_by_item", "Group by “verdict”")
    after = mended(flow(nodes, edges, listed), "grouped_by_item")
    grouped = after.node("g")
    assert grouped is not None
    assert grouped.config["by"] == "verdict"
    assert codes(after) == []

    texts = {**nodes, "p": text("{{ s.out }}")}
    assert codes(flow(texts, edges, listed)) == [], "texts have no fields to group by"


def test_a_text_that_is_compared_with_a_number_becomes_a_number_by_one_click() -> None:
    details = {"output_fields": [{"name": "total", "type": "string", "required": True, "description": "the total"}]}
    ask = {
        "type": "prompt",
        "label": "Read",
        "config": {"model": "simulated", **details},
        "inputs": {"prompt": "{{ api_input.out }}"},
    }

    def of(operator: str, right: object) -> Document:
        rule = {"left": "{{ p.out.total }}", "operator": operator, "right": right}
        nodes = {"p": ask, "c": condition(rules=[rule]), "a": text(), "o": output(answer="{{ first.out }}")}
        nodes |= {"b": text(), "first": {"type": "first_value", "inputs": {"values": ["{{ a.out }}", "{{ b.out }}"]}}}
        return flow(nodes, "api_input>p p>c c.yes>a c.no>b a>first b>first first>o")

    assert codes(of("greater", "2026-01-31")) == []
    assert codes(of("equals", "1,000")) == []
    before = of("greater", "1,000")
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.problem.pointer) == ("text_compared", "/inputs/rules/0/left")
    assert warning.verb == "Make “total” a Number"
    after = mended(before, "text_compared")
    changed = after.node("p")
    assert changed is not None
    assert changed.config["output_fields"] == [
        {"name": "total", "type": "number", "required": True, "description": "the total"}
    ]
    assert codes(after) == []


def test_a_text_that_callers_may_not_leave_empty_becomes_optional_by_one_click() -> None:
    def of(field: dict[str, Any], operator: str = "is_empty") -> Document:
        nodes = {
            "c": condition(rules=[{"left": "{{ api_input.out.text }}", "operator": operator}]),
            "a": text(),
            "b": text(),
        }
        sent = [{"name": "text", "type": "string", **field}]
        return flow(nodes, "api_input>c c.yes>a c.no>b", sent)

    never = {"required": True, "min_length": 1}
    for may_be_empty in ({"required": True}, {"min_length": 1}, {"required": True, "enum": ["", "a"]}):
        assert codes(of(may_be_empty)) == []
    assert codes(of(never, "is_true")) == []
    assert codes(of({"required": True, "enum": ["a"]}, "is_not_empty")) == ["never_empty"]
    (warning,) = flow_warnings(of(never), CATALOG)
    assert (warning.problem.node_id, warning.problem.pointer) == ("c", "/inputs/rules/0/left")
    assert warning.verb == "Make “text” optional"
    assert codes(mended(of(never), "never_empty")) == []


def test_a_list_of_empty_groups_collects_what_the_step_before_gives() -> None:
    before = flow(
        {
            "each": {"type": "array_splitter", "inputs": {"items": "{{ api_input.out.list }}"}},
            "f": fields(name="{{ each.out }}"),
            "all": {"type": "array_flatten", "label": "All pages", "inputs": {"value": {}}},
            "o": output(pages="{{ all.out.items }}"),
        },
        "api_input>each each>f f>all all>o",
        [{"name": "list", "type": "array", "required": True}],
    )
    assert codes(before) == ["collects_nothing"]
    after = mended(before, "collects_nothing")
    collect = after.node("all")
    assert collect is not None
    assert collect.inputs == {}
    assert codes(after) == []


@pytest.mark.parametrize(
    ("kind", "verb"), [("sort_limit", "Use the sorted list"), ("filter_list", "Use the filtered list")]
)
def test_a_step_put_in_before_the_output_is_used_by_one_click(kind: str, verb: str) -> None:
    before = flow(
        {
            "s": {"type": kind, "label": "Mine", "inputs": {"items": "{{ api_input.out.list }}"}},
            "o": output(pages="{{ api_input.out.list }}", read="{{ api_input.out.list[0] }}"),
        },
        "api_input>s s>o",
        [{"name": "list", "type": "array", "required": True}],
    )
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.code, warning.problem.pointer, warning.verb) == ("list_passed_by", "/inputs/pages", verb)
    assert warning.problem.message.endswith("so Mine changes nothing.")
    after = mended(before, "list_passed_by")
    answer = after.node("o")
    assert answer is not None
    assert answer.inputs == {"pages": "{{ s.out.items }}", "read": "{{ api_input.out.list[0] }}"}
    assert codes(after) == []


def test_a_template_that_loses_a_name_in_a_loop_is_warned_of_and_deployed_all_the_same() -> None:
    lost = "{% for x in api_input.out.list %}{% set n = n + x %}{% endfor %}{{ n }}"
    nodes = {
        "t": {"type": "text_template", "label": "Sum", "inputs": {"template": lost}},
        "o": output(sum="{{ t.out }}"),
    }
    made = flow(nodes, "api_input>t t>o", [{"name": "list", "type": "array", "required": True}])
    assert deploy_problems(made, CATALOG) == []
    (warning,) = flow_warnings(made, CATALOG)
    assert (warning.problem.code, warning.problem.pointer, warning.mend) == ("set_in_loop", "/inputs/template", None)
    assert warning.problem.message.startswith("Sum: Line 1: `n` is set inside a loop")
    assert "| sum" in warning.problem.message


@pytest.mark.parametrize(
    "template", ["{% for x in api_input.out.list %}{% set n = 1 %}", "for {{ api_input.out.list }} set"]
)
def test_a_template_that_loses_nothing_or_cannot_be_read_has_no_warning(template: str) -> None:
    nodes = {"t": text(template), "o": output(text="{{ t.out }}")}
    assert "set_in_loop" not in codes(flow(nodes, "api_input>t t>o", [{"name": "list", "type": "array"}]))


def test_a_first_value_with_many_groups_is_looked_at_in_time():
    names = [f"t{number}" for number in range(450)]
    groups = [{"kind": "k", "reply": f"{{{{ {name}.out }}}} {{{{ {name}.out }}}}"} for name in names]
    nodes = {name: text() for name in names} | {"c": condition(), "y": fields(reply="x")}
    nodes["f"] = {"type": "first_value", "inputs": {"values": [*groups, "{{ y.out }}"]}}
    nodes["o"] = output(reply="{{ f.out.reply }}", same="{{ y.out.reply }}")
    flow_of_all = flow(nodes, "c.yes>y y>f f>o api_input>c " + " ".join(f"c.no>{one} {one}>f" for one in names))
    before = process_time()
    assert flow_warnings(flow_of_all, CATALOG) == []
    assert process_time() - before < 1, "it takes 0.1 s, and 2.4 s with a search of all groups for each connection"


def approval(**config: Any) -> dict[str, Any]:
    values = {"reply": "{{ write.out }}", "to": "{{ api_input.out.text }}"}
    return {
        "type": "approval",
        "label": "Approval",
        "config": config,
        "inputs": {"title": "Send it?", "values": values},
    }


WRITTEN = {"write": {**text("Dear {{ api_input.out.text }}"), "label": "Write the reply"}}


def test_corrections_that_no_step_takes_arrive_after_the_button() -> None:
    before = flow(
        {
            **WRITTEN,
            "a": approval(editable=["to", "reply"]),
            "sent": text("{{ write.out | upper }}"),
            "o": output(reply="{{ write.out }}", sent="{{ sent.out }}", by="{{ a.out.by }}"),
        },
        "api_input>write write>a a.approved>sent sent>o",
    )
    (warning,) = flow_warnings(before, CATALOG)
    assert (warning.problem.node_id, warning.problem.pointer) == ("a", "/config/editable/1")
    assert warning.problem.message == (
        "Approval: corrections of “reply” do not arrive, because sent and API Output take it from Write the reply."
    )
    assert warning.verb == "Take it from Approval"

    after = mended(before, "correction_lost")

    assert [dict(node.inputs) for node in after.nodes if node.id in ("sent", "o")] == [
        {"template": "{{ a.out.values.reply | upper }}"},
        {"reply": "{{ a.out.values.reply }}", "sent": "{{ sent.out }}", "by": "{{ a.out.by }}"},
    ]
    assert after.edges == before.edges
    assert codes(after) == []


@pytest.mark.parametrize("ends", [True, False])
def test_a_step_that_also_runs_without_the_approval_takes_whichever_is_there(ends: bool) -> None:
    before = flow(
        {
            **WRITTEN,
            "c": condition(),
            "a": approval(editable=["reply"]),
            "o": output(reply="{{ write.out }}", text="{{ api_input.out.text }}"),
        },
        "api_input>write write>c c.yes>a a.approved>o c.no>o" + (not ends) * " a.refused>o",
    )
    assert "correction_lost" in codes(before)

    after = mended(before, "correction_lost")

    joiner, answer = after.node("first_value"), after.node("o")
    assert joiner is not None
    assert answer is not None
    assert joiner.inputs == {"values": ["{{ a.out.values.reply }}", "{{ write.out }}"]}
    assert answer.inputs == {"reply": "{{ first_value.out }}", "text": "{{ api_input.out.text }}"}
    ways = {(edge.source, edge.source_port) for edge in after.edges if edge.target == "first_value"}
    assert ways == {("a", "approved"), ("c", "no"), ("write", "out") if ends else ("a", "refused")}
    assert [edge.source for edge in after.edges if edge.target == "o"] == ["first_value"]
    assert "correction_lost" not in codes(after)
    assert deploy_problems(after, CATALOG) == []


@pytest.mark.parametrize(
    ("editable", "edges", "reply"),
    [
        ([], "a.approved>o", "{{ write.out }}"),
        (["to"], "a.approved>o", "{{ write.out }}"),
        (["reply"], "a.approved>o", "{{ a.out.values.reply }}, not {{ write.out }}"),
        (["reply"], "a.approved>o", "{{ a.out.values }}, not {{ write.out }}"),
        (["reply"], "a.approved>n a.refused>o", "{{ write.out }}"),
    ],
)
def test_corrections_that_arrive_or_cannot_are_no_warning(editable: list[str], edges: str, reply: str) -> None:
    nodes = {**WRITTEN, "a": approval(editable=editable), "n": fields(to="somebody"), "o": output(reply=reply)}
    assert codes(flow(nodes, f"api_input>write write>a {edges}")) == []


def test_an_approval_after_which_nothing_follows_a_yes_is_a_warning() -> None:
    nodes = {**WRITTEN, "a": approval(), "o": output(reply="{{ write.out }}")}
    (warning,) = flow_warnings(flow(nodes, "api_input>write write>a a.refused>o"), CATALOG)
    assert (warning.problem.code, warning.problem.node_id) == ("approved_open", "a")
    assert warning.problem.message == "Approval: “approved” leads nowhere. After a yes nothing follows."


def test_an_approval_at_the_end_of_a_flow_without_an_output_gives_the_result() -> None:
    assert codes(flow({**WRITTEN, "a": approval()}, "api_input>write write>a")) == []
