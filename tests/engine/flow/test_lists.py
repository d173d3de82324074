"""Problems with lists found before anything runs, and the known output types of nodes that pass data on."""

from typing import Any

import pytest

from engine.flow.contract import result_schema
from engine.flow.output_schemas import out_schema
from engine.flow.validation import deploy_problems
from tests.engine.run.arrange import WORK, flow

S = ("s", "array_splitter", {"items": "{{ in.out.x }}"})
T = ("t", "array_splitter", {"items": "{{ in.out.y }}"})
A = ("a", "work", {"x": "{{ s.out }}"})
F = ("f", "array_flatten")
ANSWER = {"name": "answer", "type": "string", "required": True}


@pytest.mark.parametrize(
    ("nodes", "edges", "found"),
    [
        ([S, A, F], "in>s s>a a>f", []),
        ([S, A], "in>s s>a", [("final_in_list", "a")]),
        ([S], "in>s", [("final_in_list", "s")]),
        ([S, A, ("o", "api_output", {"a": "{{ a.out }}"})], "in>s s>a a>o", [("final_in_list", "o")]),
        ([S, A, F, ("b", "work", {"x": "{{ a.out }}"})], "in>s s>a a>f f>b", [("across_list", "b")]),
        ([S, A, F, ("b", "work", {"x": "{{ s.index }}"})], "in>s s>a a>f f>b", [("across_list", "b")]),
        ([S, A, F, ("b", "work", {"x": "{{ s.out }}"})], "in>s s>a a>f f>b", [("across_list", "b")]),
        ([S, A, F, ("b", "work", {"x": "{{ f.out.items }}"})], "in>s s>a a>f f>b", []),
        ([S, T, F], "in>s in>t s>f t>f", [("mixed_lists", "f")]),
        ([("b", "work", {"x": "{{ in.index }}"})], "in>b", [("bad_reference", "b")]),
        ([("c", "condition", {"rules": []}), ("b", "work", {})], "in>c c.yes>b", [("input_missing", "c")]),
        ([("c", "condition", {"rules": [{"op": 1}]}), ("b", "work", {})], "in>c c.yes>b", [("unknown_key", "c")]),
        (
            [("c", "condition", {"rules": [{"left": 1, "operator": "is like"}]}), ("b", "work", {})],
            "in>c c.yes>b",
            [("invalid_value", "c")],
        ),
        (
            [("c", "condition", {"rules": [{"left": 1, "operator": "matches", "right": "("}]}), ("b", "work", {})],
            "in>c c.yes>b",
            [("bad_pattern", "c")],
        ),
        ([("c", "condition", {"rules": [{}]}), ("b", "work", {})], "in>c c>b", [("bad_port", "c")]),
    ],
)
def test_problems_of_lists_and_branches(nodes, edges, found):
    problems = deploy_problems(flow(nodes, edges), WORK)
    assert [(problem.code, problem.node_id) for problem in problems if problem.code != "no_processing_node"] == found


def test_splitters_in_each_other_have_a_limit():
    names = [f"s{number}" for number in range(10)]
    nodes: list[tuple[Any, ...]] = [(name, "array_splitter", {"items": "{{ in.out.x }}"}) for name in names]
    nodes.append(("f", "array_flatten", {}, {"levels": "all"}))
    edges = " ".join(f"{one}>{other}" for one, other in zip(["in", *names], [*names, "f"], strict=True))
    assert [problem.code for problem in deploy_problems(flow(nodes, edges), WORK)] == ["lists_too_deep"]


def test_data_is_known_through_lists_and_branches():
    nodes = [
        ("page", "page_scraper", {"url": "https://practice.flowport.example/"}),
        ("s", "array_splitter", {"items": "{{ page.out.links }}"}),
        ("c", "condition", {"rules": [{"left": "{{ s.out }}", "operator": "is_not_empty"}]}),
        ("h", "html_text_extractor", {"html": "{{ c.out }}"}),
        ("f", "array_flatten", {"value": "{{ h.out }}"}),
        ("v", "first_value", {"values": ["{{ f.out.items[0] }}"]}),
        ("o", "api_output", {"all": "{{ f.out }}", "first": "{{ v.out.title }}", "gone": "{{ v.out.titel }}"}),
    ]
    document = flow(nodes, "in>page page>s s>c c.yes>h h>f f>v v>o")
    assert [problem.message for problem in deploy_problems(document, WORK)] == [
        "o needs `titel` of v, which is not there."
    ]
    splitter = document.node("s")
    assert splitter is not None
    assert out_schema(splitter, WORK, document)
    properties = result_schema(document, WORK)["properties"]
    assert properties["all"]["properties"]["items"]["items"]["properties"]["title"]["type"] == "string"
    assert properties["first"]["type"] == ["string", "null"]


def test_two_branches_that_come_together_answer_with_known_types():
    nodes = [
        ("c", "condition", {"rules": [{"left": "{{ in.out.x }}", "operator": "contains", "right": "refund"}]}),
        ("p", "prompt", {"prompt": "Answer"}, {"output_fields": [ANSWER]}),
        ("s", "set_fields", {"answer": "Thank you.", "pages": 3, "late": False}),
        ("v", "first_value"),
        ("w", "first_value", {"values": ["{{ s.out.pages }}", "{{ s.out.late }}"]}),
        (
            "o",
            "api_output",
            {
                "answer": "{{ v.out.answer }}",
                "pages": "{{ s.out.pages }}",
                "late": "{{ v.out.late }}",
                "w": "{{ w.out }}",
            },
        ),
    ]
    document = flow(nodes, "in>c c.yes>p c.no>s p>v s>v s>w v>o w>o")
    assert result_schema(document, WORK)["properties"] == {
        "answer": {"type": "string"},
        "pages": {"type": ["number", "null"]},
        "late": {},
        "w": {},
    }


def test_a_loop_of_nodes_that_pass_data_on_is_looked_through_once():
    nodes = [(f"v{n}", "first_value", {"values": [f"{{{{ v{m}.out }}}}" for m in range(40)]}) for n in range(40)]
    document = flow(nodes, "in>v0")
    node = document.node("v0")
    assert node is not None
    assert out_schema(node, WORK, document) == {}
