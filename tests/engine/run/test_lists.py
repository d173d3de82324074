"""Lists: flows with Splitters and Flattens, and their exact result (docs/dev/flows.md, Lists)."""

import asyncio
import weakref

import pytest

from engine.flow.node_context import NodeFailed, SetAside
from engine.run.state import RunOptions
from engine.run.steps import StepKey
from tests.engine.run.arrange import WORK, Notebook, flow, go, node_type

X = {"items": "{{ in.out.x }}"}


def flat(items, total=None, errors=()):
    return {
        "items": items,
        "count": len(items),
        "total_count": len(items) if total is None else total,
        "failed_count": len(errors),
        "errors": list(errors),
    }


def broke(index, word="bad"):
    return {"index": index, "message": f"{word} broke."}


def each(splitter=None, work=None, flatten=None, *, bound=None, policy=None):
    """A flow of API Input, `s` (Splitter), `a` and `f` (Flatten), in that order."""
    nodes = [
        ("s", "array_splitter", X, splitter or {}),
        ("a", "work", work or {"x": "{{ s.out }}"}, {}, policy or {}),
        ("f", "array_flatten", bound or {}, flatten or {}),
    ]
    return flow(nodes, "in>s s>a a>f")


NESTED = [
    ("s", "array_splitter", X),
    ("t", "array_splitter", {"items": "{{ s.out }}"}),
    ("a", "work", {"x": "{{ t.out }}"}),
]
LISTS = [[1, 2], [], [3]]


@pytest.mark.parametrize(
    ("document", "x", "expected"),
    [
        pytest.param(each(), [3, 1, 2], flat([3, 1, 2]), id="one after the other"),
        pytest.param(each({"mode": "parallel"}), list(range(30)), flat(list(range(30))), id="parallel"),
        pytest.param(each({"mode": "chunked", "chunk_size": 4}), list(range(10)), flat(list(range(10))), id="chunked"),
        pytest.param(each(), [], flat([]), id="empty"),
        pytest.param(each(), [None, [1], {"a": 1}], flat([None, [1], {"a": 1}]), id="any JSON value is an item"),
        pytest.param(each(), ["a", "bad", "c"], flat(["a", "c"], 3, [broke(1)]), id="a failed item is left out"),
        pytest.param(
            each(flatten={"on_item_error": "include_null"}),
            ["a", "bad", "c"],
            flat(["a", None, "c"], 3, [broke(1)]),
            id="null in the place of a failed item",
        ),
        pytest.param(
            each(flatten={"on_item_error": "include_null"}),
            ["bad", "bad2"],
            flat([None, None], 2, [broke(0), broke(1, "bad2")]),
            id="every item failed with nulls",
        ),
        pytest.param(
            each(policy={"on_error": "skip"}), ["a", "bad"], flat(["a"], 2), id="a skipped item is no failed one"
        ),
        pytest.param(
            each(policy={"on_error": "use_default", "default": 0}), ["a", "bad"], flat(["a", 0]), id="a default"
        ),
        pytest.param(
            each(work={"x": ["{{ s.index }}", "{{ s.total }}", "{{ s.out }}", "{{ in.out.word }}"]}),
            ["a", "b"],
            flat([[0, 2, "a", "w"], [1, 2, "b", "w"]]),
            id="index, total and values from outside",
        ),
        pytest.param(
            each(bound={"value": {"n": "{{ s.index }}", "v": "{{ a.out }}"}}),
            ["a", "bad", "c"],
            flat([{"n": 0, "v": "a"}, {"n": 2, "v": "c"}], 3, [broke(1)]),
            id="a value of its own",
        ),
        pytest.param(
            flow([*NESTED, ("f", "array_flatten"), ("g", "array_flatten")], "in>s s>t t>a a>f f>g"),
            LISTS,
            flat([flat([1, 2]), flat([]), flat([3])]),
            id="nested, closed one by one",
        ),
        pytest.param(
            flow([*NESTED, ("f", "array_flatten", {}, {"levels": "all"})], "in>s s>t t>a a>f"),
            [["a", "bad"], [], ["c"]],
            flat(["a", "c"], 3, [broke([0, 1])]),
            id="nested, all closed at once",
        ),
        pytest.param(
            flow([*NESTED, ("f", "array_flatten", {}, {"levels": "all"})], "in>s s>t t>a a>f"),
            [["a"], "word", ["c"]],
            flat(["a", "c"], 3, [{"index": [1], "message": "`{{ s.out }}` is text, not a list."}]),
            id="an inner list that is none",
        ),
        pytest.param(
            flow([*NESTED, ("f", "array_flatten"), ("g", "array_flatten")], "in>s s>t t>a a>f f>g"),
            [["bad"], ["c"]],
            flat([flat(["c"])], 2, [{"index": 0, "message": "The only item failed: bad broke."}]),
            id="an inner list all of whose items failed",
        ),
        pytest.param(
            flow(
                [
                    ("s", "array_splitter", X),
                    ("a", "work", {"x": "{{ s.out }}"}),
                    ("b", "work", {"x": "b{{ s.index }}"}),
                    ("f", "array_flatten"),
                ],
                "in>s s>a s>b b>f a>f",
            ),
            ["a", "bad"],
            flat(["b0", "a", "b1"], 2, [broke(1)]),
            id="two branches into one Flatten, in edge order",
        ),
        pytest.param(
            flow(
                [
                    ("s", "array_splitter", X),
                    ("c", "condition", {"rules": [{"left": "{{ s.out }}", "operator": "greater", "right": 2}]}),
                    ("y", "work", {"x": "big {{ c.out }}"}),
                    ("n", "work", {"x": "small {{ c.out }}"}),
                    ("f", "array_flatten"),
                ],
                "in>s s>c c.yes>y c.no>n y>f n>f",
            ),
            [1, 3, 2, 5],
            flat(["small 1", "big 3", "small 2", "big 5"]),
            id="a branch in a list",
        ),
        pytest.param(
            flow(
                [
                    ("s", "array_splitter", X),
                    ("c", "condition", {"rules": [{"left": "{{ s.out }}", "operator": "greater", "right": 2}]}),
                    ("y", "work", {"x": "big {{ c.out }}"}),
                    ("n", "work", {"x": "small {{ c.out }}"}),
                    ("j", "first_value", {"values": ["{{ y.out }}", "{{ n.out }}"]}),
                    ("f", "array_flatten"),
                ],
                "in>s s>c c.yes>y c.no>n y>j n>j j>f",
            ),
            [1, 3],
            flat(["small 1", "big 3"]),
            id="a branch in a list that joins again",
        ),
        pytest.param(
            flow(
                [
                    ("s", "array_splitter", X),
                    ("c", "condition", {"rules": [{"left": "{{ s.out }}", "operator": "greater", "right": 2}]}),
                    ("f", "array_flatten", {"value": "{{ c.out }}"}),
                ],
                "in>s s>c c.yes>f",
            ),
            [1, 3, 2, 5],
            flat([3, 5], 4),
            id="one side only: the others are left out, and have not failed",
        ),
        pytest.param(
            flow(
                [
                    ("s", "array_splitter", X),
                    ("a", "work", {"x": "{{ s.out }}"}),
                    ("f", "array_flatten"),
                    ("b", "work", {"x": ["{{ a.out }}", "{{ f.out.items }}"]}),
                    ("g", "array_flatten"),
                ],
                "in>s s>a a>f f>b a>b b>g",
            ),
            [1, 2],
            flat([[1, [1, 2]], [2, [1, 2]]]),
            id="each item beside all items",
        ),
        pytest.param(
            flow([("f", "array_flatten", {"value": "{{ in.out.x }}"})], "in>f"),
            [[1, [2]], 3],
            flat([1, [2], 3]),
            id="without a Splitter: one level",
        ),
        pytest.param(
            flow([("f", "array_flatten", {"value": "{{ in.out.x }}"}, {"depth": 2})], "in>f"),
            [[1, [2, [3]]]],
            flat([1, 2, [3]]),
            id="without a Splitter: two levels",
        ),
        pytest.param(
            flow([("a", "work", {"x": "{{ in.out.x }}"}), ("f", "array_flatten")], "in>a a>f"),
            [[1], [2]],
            flat([1, 2]),
            id="without a Splitter and a value: the node before",
        ),
    ],
)
async def test_what_comes_out_of_a_list(document, x, expected):
    outcome, _ = await go(document, {"x": x, "word": "w"})
    assert (outcome.error, outcome.result) == (None, {"output": expected})


@pytest.mark.parametrize(
    ("document", "payload", "code", "message", "item"),
    [
        (each(), {"x": {"a": [1]}}, "not_a_list", "`{{ in.out.x }}` is a group of values, not a list.", None),
        (each(), {"x": "text"}, "not_a_list", "`{{ in.out.x }}` is text, not a list.", None),
        (each(), {"x": None}, "not_a_list", "`{{ in.out.x }}` is nothing, not a list.", None),
        (
            flow([("s", "array_splitter", {"items": "{{ in.out.x }} "}), ("f", "array_flatten")], "in>s s>f"),
            {"x": [1]},
            "not_a_list",
            "Items has other text around its data, `{{ in.out.x }} `, so it is text, not a list.",
            None,
        ),
        (
            flow([("s", "array_splitter", {"items": "{{ in.out.word }}"}), ("f", "array_flatten")], "in>s s>f"),
            {"word": "a version that is live goes on"},
            "not_a_list",
            "`{{ in.out.word }}` is text, not a list.",
            None,
        ),
        (each(), {"x": ["bad", "bad1"]}, "http_status", "All 2 items failed. The first: bad broke.", 0),
        (
            each({"mode": "parallel"}, flatten={"on_item_error": "fail"}),
            {"x": ["a", "bad1", "c", "bad2"]},
            "http_status",
            "An item failed: bad1 broke.",
            1,
        ),
        (
            flow([("f", "array_flatten", {"value": "{{ in.out.word }}"})], "in>f"),
            {"word": "w"},
            "not_a_list",
            "`{{ in.out.word }}` is text, not a list.",
            None,
        ),
    ],
)
async def test_how_a_list_fails(document, payload, code, message, item):
    outcome, _ = await go(document, payload)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message, outcome.error.item_index) == (code, message, item)


async def test_nodes_between_are_skipped_when_the_list_is_empty():
    _, notebook = await go(each(), {"x": []})
    assert notebook.statuses("a") == {"": "skipped"}


async def test_no_item_begins_after_one_failed_for_a_flatten_that_fails_with_it():
    _, notebook = await go(each(flatten={"on_item_error": "fail"}), {"x": ["bad", "b", "c"]})
    assert notebook.statuses("a") == {"0": "failed"}


async def test_results_stand_in_the_order_of_the_items_whichever_is_ready_first():
    gates = [asyncio.Event() for _ in range(4)]

    async def wait(config, inputs, context):
        here = inputs.values["x"]
        if here + 1 < len(gates):
            await gates[here + 1].wait()
        gates[here].set()
        return here

    catalog = {**WORK, "work": node_type("work", wait)}
    outcome, notebook = await go(each({"mode": "parallel"}), {"x": [0, 1, 2, 3]}, catalog=catalog)
    assert outcome.result["output"]["items"] == [0, 1, 2, 3]
    assert list(notebook.statuses("a")) == ["3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({}, 1),
        ({"mode": "parallel", "max_concurrency": 3}, 3),
        ({"mode": "parallel"}, 10),
        ({"mode": "chunked", "chunk_size": 4}, 4),
    ],
)
async def test_only_so_many_items_run_at_once(config, most):
    running, seen, tasks = 0, [], set()

    async def work(config, inputs, context):
        nonlocal running
        running += 1
        seen.append(running)
        tasks.add(asyncio.current_task())
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1

    catalog = {**WORK, "work": node_type("work", work)}
    await go(each(config), {"x": list(range(20))}, catalog=catalog)
    assert max(seen) == most
    if config.get("mode") != "chunked":
        assert len(tasks) == most, "workers over one iterator, no task per item"


async def test_a_group_begins_when_the_one_before_has_ended():
    log = []

    async def work(config, inputs, context):
        log.append(f"+{inputs.values['x']}")
        await asyncio.sleep(0.001 if inputs.values["x"] == 0 else 0)
        log.append(f"-{inputs.values['x']}")

    catalog = {**WORK, "work": node_type("work", work)}
    await go(each({"mode": "chunked", "chunk_size": 2}), {"x": [0, 1, 2, 3]}, catalog=catalog)
    assert set(log[:4]) == {"+0", "+1", "-0", "-1"}


@pytest.mark.parametrize("mode", ["sequential", "parallel", "chunked"])
async def test_a_question_beside_a_list_keeps_no_item_of_it_from_running(mode):
    asked = asyncio.Event()

    async def ask(config, inputs, context):
        asked.set()
        raise SetAside

    async def work(config, inputs, context):
        await asked.wait()
        return inputs.values["x"]

    nodes = [
        ("ask", "ask", {}),
        ("s", "array_splitter", X, {"mode": mode, "chunk_size": 2}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten"),
        ("o", "api_output", {"list": "{{ f.out }}"}),
    ]
    catalog = {**WORK, "work": node_type("work", work), "ask": node_type("ask", ask)}
    outcome, notebook = await go(flow(nodes, "in>ask in>s s>a a>f f>o ask>o"), {"x": list(range(6))}, catalog=catalog)
    assert outcome.status == "waiting"
    assert notebook.step("f").output == flat(list(range(6)))


@pytest.mark.parametrize(
    ("mode", "asked_at_once"),
    [("sequential", [1] * 5), ("parallel", [5]), ("chunked", [2, 2, 1])],
)
async def test_a_flatten_that_no_question_leads_to_waits_for_items_that_have_not_begun(mode, asked_at_once):
    answered, asked = set(), []

    async def ask(config, inputs, context):
        if inputs.values["x"] in answered:
            return inputs.values["x"]
        asked.append(inputs.values["x"])
        raise SetAside

    nodes = [
        ("s", "array_splitter", X, {"mode": mode, "chunk_size": 2}),
        ("q", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten", {"value": "{{ q.out }}"}),
        ("ask", "ask", {"x": "{{ s.out }}"}),
        ("g", "array_flatten", {"value": "{{ ask.out }}"}),
        ("o", "api_output", {"all": "{{ f.out }}", "asked": "{{ g.out }}"}),
    ]
    document = flow(nodes, "in>s s>q q>f s>ask ask>g f>o g>o")
    catalog = {**WORK, "ask": node_type("ask", ask)}
    kept, times = {}, []
    while True:
        outcome, notebook = await go(document, {"x": list("abcde")}, catalog=catalog, kept=kept)
        if outcome.status != "waiting":
            break
        kept |= notebook.kept()
        answered |= set(asked)
        times.append(len(asked))
        asked.clear()
    assert outcome.result == {"all": flat(list("abcde")), "asked": flat(list("abcde"))}
    assert times == asked_at_once


async def test_another_attempt_runs_only_items_that_were_not_kept():
    document = each()
    _, first = await go(document, {"x": ["a", "b", "c"]})
    kept = first.kept()
    del kept[StepKey("a", (1,))], kept[StepKey("f")]
    outcome, second = await go(document, {"x": ["a", "b", "c"]}, kept=kept)
    assert outcome.result == {"output": flat(["a", "b", "c"])}
    assert notebook_runs(second, "a") == ["1"]


async def test_no_item_runs_when_the_list_itself_was_kept():
    document = each()
    _, first = await go(document, {"x": ["a", "bad"]})
    outcome, second = await go(document, {"x": ["a", "bad"]}, kept=first.kept())
    assert outcome.result == {"output": flat(["a"], 2, [broke(1)])}
    assert notebook_runs(second, "a") == []


async def test_what_was_kept_of_items_does_not_count_for_another_list():
    document = each()
    _, first = await go(document, {"x": ["a", "b"]})
    kept = first.kept()
    del kept[StepKey("in")]
    outcome, second = await go(document, {"x": ["b", "a"]}, kept=kept)
    assert outcome.result == {"output": flat(["b", "a"])}
    assert notebook_runs(second, "a") == ["0", "1"]
    assert (first.forgotten, second.forgotten) == ([], [(["a", "f"], ())])


async def test_items_of_another_list_have_other_idempotency_keys_which_stay_in_later_attempts():
    keys = []

    async def work(config, inputs, context):
        keys.append(context.idempotency_key)
        return inputs.values["x"]

    catalog = {**WORK, "work": node_type("work", work)}
    kept, seen = {}, []
    for items in (["a", "b"], ["b", "a"], ["b", "a"]):
        _, notebook = await go(each(), {"x": items}, catalog=catalog, kept=kept, options=RunOptions("job"))
        kept = {StepKey("s"): notebook.step("s").output}
        seen.append(keys[:])
        keys.clear()
    assert seen[0] == ["job:a:0", "job:a:1"]
    assert seen[1] == seen[2]
    assert not set(seen[0]) & set(seen[1])


def notebook_runs(notebook, node_id):
    return [step.key.index_path for step in notebook.begun if step.key.node_id == node_id]


async def test_a_run_until_a_node_in_a_list_gives_what_it_gave_for_each_item():
    outcome, _ = await go(each(), {"x": ["a", "bad", "c"]}, options=RunOptions(until="a"))
    assert outcome.result == {"output": ["a", None, "c"]}


async def test_the_splitters_time_limit_counts_for_all_items():
    async def work(config, inputs, context):
        if inputs.values["x"] == "slow":
            await asyncio.sleep(60)
        return inputs.values["x"]

    nodes = [
        ("s", "array_splitter", X, {"mode": "parallel"}, {"timeout_seconds": 0.05}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten"),
    ]
    catalog = {**WORK, "work": node_type("work", work)}
    outcome, notebook = await go(flow(nodes, "in>s s>a a>f"), {"x": ["a", "slow", "c"]}, catalog=catalog)
    out = outcome.result["output"]
    assert (out["items"], [error["index"] for error in out["errors"]]) == (["a", "c"], [1])
    assert notebook.statuses("a")["1"] == "cancelled"


async def test_an_item_that_reached_one_flatten_before_the_time_limit_counts_there_once():
    async def slow(config, inputs, context):
        await asyncio.sleep(60)

    nodes = [
        ("s", "array_splitter", X, {"mode": "parallel"}, {"timeout_seconds": 0.05}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("f", "array_flatten"),
        ("b", "slow", {}),
        ("g", "array_flatten", {}, {}, {"on_error": "use_default", "default": None}),
        ("o", "api_output", {"f": "{{ f.out }}", "g": "{{ g.out }}"}),
    ]
    catalog = {**WORK, "slow": node_type("slow", slow)}
    document = flow(nodes, "in>s s>a s>b a>f b>g f>o g>o")
    outcome, _ = await go(document, {"x": ["a", "b", "c"]}, catalog=catalog)
    assert outcome.result == {"f": flat(["a", "b", "c"]), "g": None}


async def test_a_retry_is_made_per_item():
    tries: dict[str, int] = {}

    async def work(config, inputs, context):
        word = inputs.values["x"]
        tries[word] = tries.get(word, 0) + 1
        if word == "b" and tries[word] == 1:
            raise NodeFailed("Not now.", passing=True, retry_after=0)
        return word

    catalog = {**WORK, "work": node_type("work", work)}
    outcome, _ = await go(each(policy={"retries": 1}), {"x": ["a", "b"]}, catalog=catalog)
    assert (outcome.result["output"]["items"], tries) == (["a", "b"], {"a": 1, "b": 2})


async def test_nodes_in_a_list_are_through_when_the_list_is_closed():
    _, notebook = await go(each(), {"x": ["a"]})
    assert notebook.step("f").through == {"a", "f"}
    assert (notebook.step("s").items, notebook.step("a").splitter) == (1, "s")


async def test_a_thousand_items_that_never_wait_leave_the_loop_its_turns():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    outcome, _ = await go(each(), {"x": list(range(3_000))})
    counting.cancel()
    assert outcome.result["output"]["count"] == 3_000
    assert turns > 1


async def test_what_an_item_needed_is_forgotten_when_it_is_through():
    alive, most = weakref.WeakSet(), 0

    class Page(dict):
        __hash__ = object.__hash__
        __eq__ = object.__eq__

    async def work(config, inputs, context):
        nonlocal most
        page = Page(text=inputs.values["x"])
        alive.add(page)
        most = max(most, len(alive))
        await asyncio.sleep(0)
        return page

    class Forgetful(Notebook):
        def started(self, step):
            pass

        def ended(self, step):
            pass

    catalog = {**WORK, "work": node_type("work", work)}
    document = each({"mode": "parallel", "max_concurrency": 5}, bound={"value": "{{ a.out.text }}"})
    outcome, _ = await go(document, {"x": list(range(300))}, catalog=catalog, recorder=Forgetful())
    assert outcome.result["output"]["items"] == list(range(300))
    assert most <= 10, "five items at once, each may begin before the frame of the one before is gone"


async def test_a_failure_that_no_flatten_is_told_of_ends_the_run():
    async def keep(config, inputs, context):
        raise NodeFailed("The row was not kept.")

    nodes = [
        ("s", "array_splitter", X, {"mode": "parallel"}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("sink", "dataset_sink", {"x": "{{ a.out }}"}),
        ("f", "array_flatten"),
        ("o", "api_output", {"all": "{{ f.out.items }}"}),
    ]
    catalog = {**WORK, "dataset_sink": node_type("dataset_sink", keep, ports=())}
    outcome, _ = await go(flow(nodes, "in>s s>a a>sink a>f f>o"), {"x": [1, 2]}, catalog=catalog)
    assert outcome.error is not None
    assert (outcome.error.node_id, outcome.error.message) == ("sink", "The row was not kept.")
