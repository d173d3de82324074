"""Steps with more data than fits fail before it is put together, and say so; the memory holds only what there is."""

from __future__ import annotations

import pytest

from engine.flow.data_size import MAX_DATA, too_much_data
from tests.engine.run.arrange import WORK, flow, go, node_type

LIMIT = f"This step has to do with more than {MAX_DATA >> 20} MB of data."


def chain(kind: str, inputs, levels: int, first: str = "{{ in.out.x }}", part: str = "") -> object:
    """Returns a flow of `levels` nodes, each with what `inputs` makes of the reference to the one before."""
    nodes, edges, source, before = [], [], first, "in"
    for number in range(levels):
        nodes.append((f"n{number}", kind, inputs(source)))
        edges.append(f"{before}>n{number}")
        before, source = f"n{number}", f"{{{{ n{number}.out{part} }}}}"
    return flow(nodes, " ".join(edges))


@pytest.mark.parametrize(
    ("document", "payload", "at"),
    [
        pytest.param(
            chain("merge_lists", lambda one: {"lists": [one] * 100}, 4, part=".items"),
            {"x": list(range(300))},
            "n2",
            id="lists that hold each other a hundred times",
        ),
        pytest.param(
            chain("set_fields", lambda one: {f"k{number}": one for number in range(10)}, 30),
            {"x": ["x"]},
            "n5",
            id="fields that hold each other ten times",
        ),
        pytest.param(
            chain("set_fields", lambda one: {"text": one * 20}, 10, "{{ in.out.word }}", ".text"),
            {"word": "x" * 1_000},
            "n3",
            id="a text that is written twenty times",
        ),
        pytest.param(
            chain("set_fields", lambda one: {str(number): f"- {one}" for number in range(100)}, 1),
            {"x": ["x" * 1_000_000]},
            "n0",
            id="a hundred texts of one list",
        ),
    ],
)
async def test_a_step_that_multiplies_fails_before_it_has_too_much(document, payload, at) -> None:
    outcome, notebook = await go(document, payload)
    assert (outcome.error.message, outcome.error.node_id) == (LIMIT, at)
    assert outcome.error.remedy == too_much_data().remedy
    assert notebook.begun[-1].key.node_id == at


async def test_an_output_that_is_too_much_fails_and_a_fallback_takes_its_place() -> None:
    async def work(config, inputs, context):
        return [[]] * (MAX_DATA // 70)

    policy = {"on_error": "use_default", "default": "less"}
    document = flow([("a", "work", {}, {}, policy), ("o", "api_output", {"r": "{{ a.out }}"})], "in>a a>o")
    outcome, notebook = await go(document, {}, catalog={**WORK, "work": node_type("work", work)})
    assert outcome.result == {"r": "less"}
    assert notebook.step("a").error.message == LIMIT


@pytest.mark.parametrize("value", [None, "{{ a.out }}{{ a.out }}"])
async def test_a_list_stops_to_collect_what_is_too_much(value) -> None:
    ran = 0

    async def work(config, inputs, context):
        nonlocal ran
        ran += 1
        return "x" * (10 << 20)

    nodes = [
        ("s", "array_splitter", {"items": "{{ in.out.x }}"}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten", {"value": value} if value else {}),
    ]
    outcome, _ = await go(
        flow(nodes, "in>s s>a a>f"), {"x": list(range(50))}, catalog={**WORK, "work": node_type("work", work)}
    )
    assert (outcome.error.message, outcome.error.node_id) == (LIMIT, "f")
    assert ran <= 9
