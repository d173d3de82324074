"""Property test: random flows with lists, branches and failures give the same result as a recursive model of
docs/dev/flows.md.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.flow.node_context import NodeFailed
from tests.engine.run.arrange import WORK, flow, go, node_type

# ---------- flows as a small language ----------


@dataclass(frozen=True)
class Work:
    """Passes its value on; fails for values that start with "bad"."""

    on_error: str = "fail"


@dataclass(frozen=True)
class Branch:
    """Takes one branch for lists and the other for other values, and joins them."""

    yes: tuple[Any, ...]
    no: tuple[Any, ...]


@dataclass(frozen=True)
class ForEach:
    """Nested lists with one body per level, which one Flatten closes. The innermost body has one or two paths to it."""

    bodies: tuple[tuple[Any, ...], ...]
    second: tuple[Any, ...] | None
    on_item_error: str
    mode: str
    nested: bool


# ---------- the model ----------


class Skipped(Exception):
    pass


class Failed(Exception):
    pass


def evaluate(statements, value):
    for statement in statements:
        match statement:
            case Work(on_error):
                if isinstance(value, str) and value.startswith("bad"):
                    if on_error == "skip":
                        raise Skipped
                    if on_error == "fail":
                        raise Failed(f"{value} broke.")
                    value = "instead"
            case Branch(yes, no):
                value = evaluate(yes if value in ([], "", None) else no, value)
            case ForEach():
                value = evaluate_list(statement, value)
    return value


def expected(program, x):
    """Returns the result and None, or None and the reason why the run fails."""
    try:
        return {"output": {"r": evaluate(program, x)}}, None
    except Skipped:
        return {"output": None}, None
    except Failed as failure:
        return None, str(failure)


def evaluate_list(statement, value):
    entries, errors, total = [], [], 0

    def go_through(level, items, path):
        nonlocal total
        if not isinstance(items, list):
            raise Failed("no list")
        for number, item in enumerate(items):
            here = [*path, number]
            if level + 1 < len(statement.bodies):
                try:
                    inner = evaluate(statement.bodies[level], item)
                    go_through(level + 1, inner, here)
                except Skipped:
                    pass
                except Failed as failure:
                    total += 1
                    errors.append((here, str(failure)))
                    if statement.on_item_error == "include_null":
                        entries.append(None)
                continue
            total += 1
            problem = None
            for way in [statement.bodies[level], *([statement.second] if statement.second is not None else [])]:
                try:
                    entries.append(evaluate(way, item))
                except Skipped:
                    pass
                except Failed as failure:
                    problem = problem or str(failure)
                    if statement.on_item_error == "include_null":
                        entries.append(None)
            if problem:
                errors.append((here, problem))

    go_through(0, value, [])
    if errors and statement.on_item_error == "fail":
        raise Failed(f"An item failed: {errors[0][1]}")
    if errors and len(errors) == total and statement.on_item_error != "include_null" and not entries:
        text = f"All {total} items failed. The first" if total > 1 else "The only item failed"
        raise Failed(f"{text}: {errors[0][1]}")
    return entries


# ---------- the same flow as a document ----------


def out_of(node_id):
    return f"{{{{ {node_id}.out }}}}"


class Drawing:
    def __init__(self):
        self.nodes, self.edges = [], []

    def add(self, kind, inputs, config=None, policy=None, after=()):
        node_id = f"n{len(self.nodes)}"
        self.nodes.append((node_id, kind, inputs, config or {}, policy or {}))
        self.edges += [f"{source}>{node_id}" for source in after]
        return node_id

    def draw(self, statements, source, data):
        """Adds nodes; returns the last node (with its port) and a reference to the value."""
        for statement in statements:
            match statement:
                case Work(on_error):
                    policy = {"on_error": on_error, **({"default": "instead"} if on_error == "use_default" else {})}
                    source = self.add("work", {"x": data}, policy=policy, after=[source])
                    data = out_of(source)
                case Branch(yes, no):
                    rules = [{"left": data, "operator": "is_empty"}]
                    choice = self.add("condition", {"rules": rules, "value": data}, after=[source])
                    ends = [
                        self.draw(side, f"{choice}.{port}", out_of(choice)) for port, side in (("yes", yes), ("no", no))
                    ]
                    source = self.add(
                        "first_value", {"values": [end[1] for end in ends]}, after=[end[0] for end in ends]
                    )
                    data = out_of(source)
                case ForEach():
                    source, data = self.draw_list(statement, source, data)
        return source, data

    def draw_list(self, statement, source, data):
        config = {"mode": statement.mode, "max_concurrency": 3, "chunk_size": 2}
        for body in statement.bodies:
            splitter = self.add("array_splitter", {"items": data}, config, after=[source])
            source, data = self.draw(body, splitter, out_of(splitter))
        ends = [source]
        inputs = {"value": data}
        if statement.second is not None:
            ends.append(self.draw((*statement.second, Work()), splitter, out_of(splitter))[0])
            inputs = {}
        levels = "all" if statement.nested else 1
        flatten = self.add(
            "array_flatten", inputs, {"on_item_error": statement.on_item_error, "levels": levels}, after=ends
        )
        return flatten, f"{{{{ {flatten}.out.items }}}}"


# ---------- random flows ----------

work = st.builds(Work, st.sampled_from(["fail", "fail", "skip", "use_default"]))


def bodies(statement):
    return st.lists(statement, min_size=1, max_size=2).map(tuple)


def longer(statement):
    body = st.builds(lambda first, rest: (first, *rest), work, st.lists(statement, max_size=1))
    closing = {
        "on_item_error": st.sampled_from(["exclude", "exclude", "include_null", "fail"]),
        "mode": st.sampled_from(["sequential", "parallel", "chunked"]),
    }
    # The body of a flow ends in a Work, so that a Flatten without a bound value collects the same value as the model.
    ended = body.map(lambda one: (*one, Work()))
    single = st.builds(
        ForEach,
        st.tuples(ended),
        st.one_of(st.none(), ended),
        nested=st.just(False),
        **closing,  # type: ignore[arg-type]
    )
    return st.one_of(work, st.builds(Branch, body, body), single)


statements = st.recursive(work, longer, max_leaves=5)
# Only the outermost list closes several levels at once: inside another list, the Flatten would close that one too.
outermost = st.builds(
    ForEach,
    st.lists(bodies(work), min_size=1, max_size=3).map(tuple),
    st.none(),
    on_item_error=st.sampled_from(["exclude", "include_null", "fail"]),
    mode=st.sampled_from(["sequential", "parallel", "chunked"]),
    nested=st.just(True),
)
flows = st.lists(st.one_of(statements, outermost), min_size=1, max_size=3).map(tuple)
words = st.sampled_from(["a", "b", "", "bad", "bad2", None, 1])
values = st.recursive(words, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@given(program=flows, x=st.lists(values, max_size=4), pauses=st.lists(st.integers(0, 3), min_size=1, max_size=7))
@settings(max_examples=150, deadline=None)
def test_every_flow_gives_what_the_model_gives(program, x, pauses):
    drawing = Drawing()
    last, data = drawing.draw(program, "in", "{{ in.out.x }}")
    drawing.add("set_fields", {"r": data}, after=[last])
    calls = 0

    async def do(config, inputs, context):
        nonlocal calls
        calls += 1
        for _ in range(pauses[calls % len(pauses)]):  # lets parallel steps run in a random order
            await asyncio.sleep(0)
        value = inputs.values.get("x")
        if isinstance(value, str) and value.startswith("bad"):
            raise NodeFailed(f"{value} broke.")
        return value

    document = flow(drawing.nodes, " ".join(drawing.edges))
    outcome, notebook = asyncio.run(go(document, {"x": x}, catalog={**WORK, "work": node_type("work", do)}))
    result, message = expected(program, x)
    if message is not None:
        assert outcome.error is not None
        assert outcome.error.message == message or outcome.error.message.endswith("not a list.")
        return
    assert (outcome.error, outcome.result) == (None, result)
    assert len({step.key for step in notebook.over}) == len(notebook.over), "no step twice"
