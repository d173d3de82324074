"""The schema of a result takes what runs give: null where a step was skipped, a list was too short or a group was not sent."""

import itertools
import json
from time import process_time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.flow.contract import result_schema
from engine.flow.document import Document
from engine.flow.storable_values import MAX_DEPTH
from engine.flow.validation import problems
from tests.engine.run.arrange import WORK, flow, go

IS_YES = {"rules": [{"left": "{{ in.out.word }}", "operator": "equals", "right": "yes"}]}
ONE_SIDE = [
    ("c", "condition", IS_YES),
    ("y", "set_fields", {"kind": "good", "pages": 3}),
    ("n", "text_template", {"template": "no"}),
    ("m", "set_fields", {"said": "{{ n.out }}"}),
]
AFTER = "in>c c.yes>y c.no>n n>m y>o m>o"
STRING, MAYBE = {"type": "string"}, {"type": ["string", "null"]}


def with_groups(returned: dict[str, Any]) -> Document:
    name = {"name": "name", "type": "string", "required": True}
    tags = {"name": "tags", "type": "array", "items": {"type": "string"}, "required": True}
    fields = [{"name": "person", "type": "object", "fields": [name, tags]}, {**tags}, {**name}]
    nodes = [
        {"id": "in", "type": "api_input", "config": {"fields": fields}},
        {"id": "s", "type": "set_fields", "inputs": {"name": "{{ in.out.person.name }}"}},
        {"id": "o", "type": "api_output", "inputs": returned},
    ]
    edges = [{"id": "1", "source": "in", "target": "s"}, {"id": "2", "source": "s", "target": "o"}]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


def known_of(document: Document) -> dict[str, Any]:
    """Returns the schemas of the fields of the result, without titles."""
    return _without_titles(result_schema(document, WORK)["properties"])


def _without_titles(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: _without_titles(one) for name, one in part.items() if not (name == "title" and isinstance(one, str))
        }
    return part


async def result_that_fits(document: Document, payload: dict[str, Any]) -> Any:
    outcome, _ = await go(document, payload)
    schema = result_schema(document, WORK)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(outcome.result)] == []
    return outcome.result


@pytest.mark.parametrize(
    ("binding", "known", "on_yes", "on_no"),
    [
        ("{{ y.out.kind }}", MAYBE, "good", None),
        ("{{ y.out.pages }}", {"type": ["number", "null"]}, 3, None),
        ("{{ n.out }}", MAYBE, None, "no"),
        ("{{ m.out.said }}", MAYBE, None, "no"),
        ("It is {{ y.out.kind }}.", STRING, "It is good.", "It is ."),
        ("{{ in.out.word }}", MAYBE, "yes", "other"),
        ({"a": "{{ n.out }}"}, {"type": "object", "properties": {"a": MAYBE}, "required": ["a"]}, {"a": None}, {"a": "no"}),
        (["{{ n.out }}"], {"type": "array", "items": MAYBE}, [None], ["no"]),
    ],
)  # fmt: skip
async def test_what_one_side_gives_is_null_on_the_other(binding: Any, known: Any, on_yes: Any, on_no: Any):
    document = flow([*ONE_SIDE, ("o", "api_output", {"it": binding})], AFTER)

    assert known_of(document)["it"] == known
    assert await result_that_fits(document, {"word": "yes"}) == {"it": on_yes}
    assert await result_that_fits(document, {"word": "other"}) == {"it": on_no}


@pytest.mark.parametrize("inputs", [{}, {"values": ["{{ y.out }}", "{{ z.out }}"]}])
async def test_what_brings_both_sides_together_is_not_null(inputs: dict[str, Any]):
    nodes = [*ONE_SIDE[:2], ("z", "set_fields", {"kind": "bad"}), ("v", "first_value", inputs)]
    nodes.append(("o", "api_output", {"kind": "{{ v.out.kind }}"}))
    document = flow(nodes, "in>c c.yes>y c.no>z y>v z>v v>o")

    assert known_of(document)["kind"] == STRING
    assert await result_that_fits(document, {"word": "yes"}) == {"kind": "good"}
    assert await result_that_fits(document, {"word": "other"}) == {"kind": "bad"}


@pytest.mark.parametrize(
    ("values", "edges", "known", "on_no"),
    [
        (["{{ y.out.kind }}"], "in>c c.yes>y y>v in>v", MAYBE, None),
        (["{{ y.out.kind }}", "{{ n.out }}"], "in>c c.yes>y c.no>n n>m y>v m>v", STRING, "no"),
        (["{{ y.out.kind }}", "none"], "in>c c.yes>y y>v in>v", STRING, "none"),
        (["{{ y.out.kind }}", "{{ s.out }}"], "in>c c.yes>y in>s y>v s>v", STRING, "always"),
        (["{{ y.out.kind }} {{ n.out }}", "{{ y.out.kind }}"], "in>c c.yes>y c.no>n y>v n>v", MAYBE, None),
    ],
)
async def test_a_first_value_may_have_none(values: Any, edges: str, known: Any, on_no: Any):
    used = {one.rpartition(">")[2] for one in edges.split()}
    nodes = [one for one in [*ONE_SIDE, ("s", "text_template", {"template": "always"})] if one[0] in used]
    nodes += [("v", "first_value", {"values": values}), ("o", "api_output", {"it": "{{ v.out }}"})]
    document = flow(nodes, f"{edges} v>o")

    assert known_of(document)["it"] == known
    assert await result_that_fits(document, {"word": "yes"}) == {"it": "good"}
    assert await result_that_fits(document, {"word": "other"}) == {"it": on_no}


@pytest.mark.parametrize(
    ("reads", "known"),
    [("{{ look.out }}", ["object", "null"]), ("{{ only.out.row }}", ["object", "null"]), ("{{ v.out.row }}", "object")],
)
def test_a_row_is_null_on_the_way_on_which_none_was_found(reads: str, known: Any):
    nodes = [
        ("look", "look_up_row", {"value": "{{ in.out.word }}"}, {"dataset": "Tenants", "column": "email"}),
        ("only", "set_fields", {"row": "{{ look.out }}"}),
        ("none", "set_fields", {"row": {"name": ""}}),
        ("v", "first_value", {}),
        ("o", "api_output", {"it": reads}),
    ]
    document = flow(nodes, "in>look look.found>only look.not_found>none only>v none>v v>o")
    assert known_of(document)["it"]["type"] == known


async def test_a_step_reads_what_is_on_its_own_side():
    document = flow([*ONE_SIDE[:1], *ONE_SIDE[2:]], "in>c c.no>n n>m")
    assert known_of(document)["output"] == {
        "type": ["object", "null"],
        "properties": {"said": STRING},
        "required": ["said"],
    }
    assert await result_that_fits(document, {"word": "yes"}) == {"output": None}


@pytest.mark.parametrize(
    ("binding", "known"),
    [
        ("{{ in.out.person.name }}", MAYBE),
        ("{{ in.out.person.tags[0] }}", MAYBE),
        ("{{ in.out.tags[0] }}", MAYBE),
        ("{{ in.out.name }}", STRING),
        ("{{ s.out.name }}", MAYBE),
    ],
)
async def test_what_a_list_or_a_group_may_lack_is_null(binding: str, known: Any):
    document = with_groups({"it": binding})
    assert known_of(document)["it"] == known
    await result_that_fits(document, {"person": None, "tags": [], "name": "a"})


@pytest.mark.parametrize(
    ("policy", "known"),
    [
        ({"on_error": "skip"}, MAYBE),
        ({"on_error": "use_default"}, MAYBE),
        ({"on_error": "use_default", "default": "none"}, STRING),
        ({"on_error": "use_default", "default": [1]}, {}),
    ],
)
def test_what_a_step_that_failed_gives_is_known(policy: dict[str, Any], known: Any):
    nodes = [("t", "text_template", {"template": "Hello"}, {}, policy)]
    document = flow([*nodes, ("o", "api_output", {"it": "{{ t.out }}"})], "in>t t>o")
    assert known_of(document)["it"] == known


async def test_the_items_of_a_list_that_were_left_out_are_not_null():
    nodes = [
        ("s", "array_splitter", {"items": "{{ in.out.x }}"}),
        ("c", "condition", {"rules": [{"left": "{{ s.out }}", "operator": "equals", "right": "a"}]}),
        ("t", "text_template", {"template": "{{ s.out }}!"}),
        ("f", "array_flatten", {"value": "{{ t.out }}"}),
        ("o", "api_output", {"all": "{{ f.out.items }}"}),
    ]
    document = flow(nodes, "in>s s>c c.yes>t t>f f>o")
    assert known_of(document)["all"]["items"] == STRING
    assert await result_that_fits(document, {"x": ["a", "b"]}) == {"all": ["a!"]}


def row_of_set_fields(steps: int, values: dict[str, Any]) -> Document:
    """API Input, then steps that all set these values, in which `out` is the output of the step before; then API Output."""
    ids = ["in", *(f"s{number}" for number in range(steps))]
    nodes: list[dict[str, Any]] = [{"id": "in", "type": "api_input", "config": {"fields": []}}]
    for before, node_id in itertools.pairwise(ids):
        written = json.loads(json.dumps(values).replace('"out"', f'"{{{{ {before}.out }}}}"'))
        nodes.append({"id": node_id, "type": "set_fields", "inputs": written})
    returned = {name: f"{{{{ {ids[-1]}.out.{name} }}}}" for name in values}
    nodes.append({"id": "o", "type": "api_output", "inputs": returned})
    edges = [{"id": source, "source": source, "target": target} for source, target in itertools.pairwise([*ids, "o"])]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        (12, {f"f{number}": "out" for number in range(10)}),
        (12, {"a": ["out", {"b": "out", "c": "out"}], "b": ["out"] * 50}),
        (3, {f"f{number}": "out" for number in range(1_000)}),
    ],
)
def test_data_that_steps_pass_on_several_times_has_a_schema_of_limited_size(steps: int, values: dict[str, Any]):
    document = row_of_set_fields(steps, values)
    before = process_time()
    assert len(json.dumps(result_schema(document, WORK))) < 1_000_000
    assert [one for one in problems(document, WORK) if one.blocks_import] == []
    assert process_time() - before < 5, "seconds; each step and each of its values is looked at a few times"


def test_what_a_few_steps_pass_on_stays_known():
    known = result_schema(row_of_set_fields(3, {"a": "out", "b": "out"}), WORK)["properties"]["b"]
    assert list(known["properties"]) == ["a", "b"]
    assert list(known["properties"]["a"]["properties"]) == ["a", "b"]


def test_values_that_a_row_of_steps_nests_deep_are_no_fault():
    nested: Any = "out"
    for _ in range(50):
        nested = {"a": nested}
    document = row_of_set_fields(11, {"a": nested})
    assert json.dumps(result_schema(document, WORK)).count("{") < 2 * MAX_DEPTH * 4
    assert [one for one in problems(document, WORK) if one.blocks_import] == []
