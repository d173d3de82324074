"""Failures of the nodes that open or close a list, by their policy; and lists beside and inside each other."""

from __future__ import annotations

import pytest

from engine.flow.validation import problems
from tests.engine.run.arrange import WORK, flow, go

X = {"items": "{{ in.out.x }}"}
SKIP = {"on_error": "skip"}


def instead(value):
    return {"on_error": "use_default", "default": value}


def flat(items, total=None, errors=()):
    counts = {"count": len(items), "total_count": len(items) if total is None else total, "failed_count": len(errors)}
    return {"items": items, **counts, "errors": list(errors)}


def a_list(splitter=None, work=None, flatten=None, config=None):
    nodes = [
        ("s", "array_splitter", X, {}, splitter or {}),
        ("a", "work", {"x": "{{ s.out }}"}, {}, work or {}),
        ("f", "array_flatten", {}, config or {}, flatten or {}),
        ("o", "api_output", {"r": "{{ f.out }}"}),
    ]
    return flow(nodes, "in>s s>a a>f f>o")


@pytest.mark.parametrize(
    ("document", "x", "result", "warning"),
    [
        (a_list(splitter=SKIP), "text", None, ("s", "It failed and was skipped: `{{ in.out.x }}` is text, not a list.")),
        (a_list(splitter=SKIP), "text", None, ("f", "Everything before it was skipped.")),
        (a_list(splitter=SKIP), "text", None, ("o", "`r` is null: f was skipped.")),
        (a_list(splitter=instead([1, 2])), "text", flat([1, 2]), None),
        (a_list(splitter=instead(None)), "text", flat([]), ("a", "The list was empty.")),
        (a_list(flatten=SKIP), ["bad"], None, ("f", "It failed and was skipped: The only item failed: bad broke.")),
        (a_list(flatten=instead({"items": []})), ["bad"], {"items": []}, None),
        (a_list(work=SKIP), ["bad", "bad2"], flat([], 2), None),
        (a_list(work=SKIP, config={"on_item_error": "include_null"}), ["a", "bad"], flat(["a"], 2), None),
        (a_list(work=instead(None), config={"on_item_error": "fail"}), ["a", "bad"], flat(["a", None]), None),
    ],
)  # fmt: skip
async def test_a_list_goes_on_as_its_nodes_policies_say(document, x, result, warning):
    outcome, notebook = await go(document, {"x": x})
    assert (outcome.error, outcome.result) == (None, {"r": result})
    if warning:
        node_id, text = warning
        assert notebook.step(node_id).warnings == (text,)


IN_A_LIST = [
    ("s", "array_splitter", X),
    ("t", "array_splitter", {"items": "{{ s.out }}"}),
    ("a", "work", {"x": "{{ t.out }}"}),
]


@pytest.mark.parametrize(
    ("nodes", "edges", "x", "result"),
    [
        pytest.param(
            [("s", "array_splitter", X), ("f", "array_flatten"), ("t", "array_splitter", {"items": "{{ in.out.y }}"}), ("g", "array_flatten"), ("w", "work", {"x": ["{{ f.out.items }}", "{{ g.out.items }}"]})],
            "in>s s>f in>t t>g f>w g>w",
            [1, None],
            [[1, None], ["y"]],
            id="two lists beside each other, with nothing between",
        ),
        pytest.param(
            [*IN_A_LIST, ("f", "array_flatten", {}, {"levels": "all", "on_item_error": "include_null"})],
            "in>s s>t t>a a>f",
            [["bad", 1], "text", [2]],
            flat([None, 1, None, 2], 4, [{"index": [0, 0], "message": "bad broke."}, {"index": [1], "message": "`{{ s.out }}` is text, not a list."}]),
            id="one null for a list that was none",
        ),
        pytest.param(
            [*IN_A_LIST, ("f", "array_flatten", {}, {"levels": "all"})], "in>s s>t t>a a>f", [[], []], flat([]), id="all empty"
        ),
        pytest.param(
            [*IN_A_LIST, ("f", "array_flatten", {}, {"levels": "all"})], "in>s s>t t>a a>f", [], flat([]), id="empty at once"
        ),
        pytest.param(
            [
                ("s", "array_splitter", X),
                ("c", "condition", {"rules": [{"left": "{{ s.out }}", "operator": "is_not_empty"}]}),
                ("t", "array_splitter", {"items": "{{ c.out }}"}),
                ("f", "array_flatten"),
                ("g", "array_flatten", {"value": "{{ f.out.items }}"}),
            ],
            "in>s s>c c.yes>t t>f f>g",
            [[1], [], [2, 3]],
            flat([[1], [2, 3]], 3),
            id="a list that is skipped for an item",
        ),
    ],
)  # fmt: skip
async def test_lists_beside_and_in_each_other(nodes, edges, x, result):
    outcome, _ = await go(flow(nodes, edges), {"x": x, "y": ["y"]})
    assert (outcome.error, outcome.result) == (None, {"output": result})


def test_the_default_of_a_splitter_is_a_list():
    found = problems(a_list(splitter=instead("a, b")), WORK)
    assert [(one.node_id, one.pointer, one.message) for one in found if one.code != "no_processing_node"] == [
        (
            "s",
            "/policy/default",
            "The default value of s must be a list: the nodes after it run once for each of its items.",
        )
    ]
    assert not any(one.code == "invalid_value" for one in problems(a_list(splitter=instead(None)), WORK))
