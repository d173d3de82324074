"""Branches: one side of a Condition is skipped, and First Value joins both."""

import itertools
import random
from collections import Counter

import pytest

from engine.flow.branch_edits import lead_to_output_ops
from engine.flow.edits import apply_ops, update_node
from engine.flow.flow_warnings import flow_warnings, mending_ops
from engine.flow.validation import deploy_problems
from tests.engine.run.arrange import WORK, flow, go

IS_HI = {"rules": [{"left": "{{ in.out.word }}", "operator": "equals", "right": "hi"}]}
SIDES = [
    ("c", "condition", IS_HI),
    ("y", "work", {"x": "yes: {{ c.out.word }}"}),
    ("n", "work", {"x": "no: {{ c.out.word }}"}),
]
SPLIT = "in>c c.yes>y c.no>n"


@pytest.mark.parametrize(
    ("more", "edges", "result"),
    [
        pytest.param(
            [("j", "first_value", {"values": ["{{ y.out }}", "{{ n.out }}"]})],
            "y>j n>j",
            {"hi": {"output": "yes: hi"}, "ho": {"output": "no: ho"}},
            id="splits and joins again",
        ),
        pytest.param(
            [("j", "first_value")],
            "n>j y>j",
            {"hi": {"output": "yes: hi"}, "ho": {"output": "no: ho"}},
            id="First Value without values takes what is connected",
        ),
        pytest.param(
            [("j", "first_value", {"values": ["{{ y.out }}", "nothing"]})],
            "y>j n>j",
            {"hi": {"output": "yes: hi"}, "ho": {"output": "nothing"}},
            id="a fixed value always counts",
        ),
        pytest.param(
            [("j", "first_value", {"values": [{"said": "{{ y.out }}"}, {"said": "{{ in.out.word }}"}]})],
            "y>j n>j c.no>j",
            {"hi": {"output": {"said": "yes: hi"}}, "ho": {"output": {"said": "ho"}}},
            id="a way without a step gives what was known before",
        ),
        pytest.param(
            [("j", "first_value", {"values": ["{{ y.out }}"]})],
            "y>j n>j",
            {"hi": {"output": "yes: hi"}, "ho": {"output": None}},
            id="none of the values is there",
        ),
        pytest.param(
            [("o", "api_output", {"y": "{{ y.out }}", "n": "{{ n.out }}"})],
            "y>o n>o",
            {"hi": {"y": "yes: hi", "n": None}, "ho": {"y": None, "n": "no: ho"}},
            id="data of a skipped node is null",
        ),
        pytest.param(
            [("d", "work", {"x": "after {{ y.out }}"}), ("o", "api_output", {"d": "{{ d.out }}"})],
            "y>d d>o n>o",
            {"hi": {"d": "after yes: hi"}, "ho": {"d": None}},
            id="what comes after a skipped node is skipped",
        ),
        pytest.param(
            [
                ("s", "array_splitter", {"items": ["{{ y.out }}", 1]}),
                ("i", "work", {"x": "{{ s.out }}!"}),
                ("f", "array_flatten"),
                ("j", "first_value", {"values": ["{{ f.out.items }}", "{{ n.out }}"]}),
            ],
            "y>s s>i i>f f>j n>j",
            {"hi": {"output": ["yes: hi!", "1!"]}, "ho": {"output": "no: ho"}},
            id="one side goes through a list",
        ),
        pytest.param(
            [("e", "work", {"x": "{{ y.out }}"}, {}, {"on_error": "skip"}), ("j", "first_value")],
            "y>e e>j n>j",
            {"hi": {"output": "yes: hi"}, "ho": {"output": "no: ho"}},
            id="a longer side",
        ),
        pytest.param(
            [("d", "work", {"x": "{{ y.out }}{{ n.out }}!"})],
            "y>d n>d",
            {"hi": {"output": "yes: hi!"}, "ho": {"output": "no: ho!"}},
            id="one side is enough to run",
        ),
    ],
)
async def test_each_side_gives_its_value(more, edges, result):
    document = flow([*SIDES, *more], f"{SPLIT} {edges}")
    for word, expected in result.items():
        outcome, notebook = await go(document, {"word": word})
        assert (outcome.error, outcome.result) == (None, expected)
        taken = ("completed", "skipped") if word == "hi" else ("skipped", "completed")
        assert (notebook.step("y").status, notebook.step("n").status) == taken
        assert notebook.step("n" if word == "hi" else "y").duration_ms == 0


async def test_a_skipped_step_says_which_way_was_taken():
    nodes = [*SIDES, ("d", "work", {"x": "after {{ y.out }}"}), ("o", "api_output", {"n": "{{ n.out }}"})]
    _outcome, notebook = await go(flow(nodes, f"{SPLIT} y>d d>o n>o"), {"word": "ho"})
    assert notebook.step("y").warnings == ("Skipped: “c” went to “no”.",)
    assert notebook.step("d").warnings == ("Everything before it was skipped.",)


async def test_api_output_is_never_skipped_and_says_what_was():
    nodes = [*SIDES[:2], ("o", "api_output", {"y": "{{ y.out }}"})]
    outcome, notebook = await go(flow(nodes, "in>c c.yes>y y>o"), {"word": "ho"})
    assert outcome.result == {"y": None}
    assert notebook.step("o").warnings == ("`y` is null: y was skipped.",)


@pytest.mark.parametrize(
    ("match", "rules", "port"),
    [
        ("all", [("hi", "equals", "hi"), (2, "greater", 1)], "yes"),
        ("all", [("hi", "equals", "hi"), (2, "less", 1)], "no"),
        ("any", [("hi", "equals", "ho"), (2, "greater", 1)], "yes"),
        ("any", [("hi", "equals", "ho"), (2, "less", 1)], "no"),
        ("all", [("h1", "matches", "^h[0-9]$")], "yes"),
    ],
)
async def test_a_condition_needs_all_or_any_of_its_rules(match, rules, port):
    inputs = {"rules": [dict(zip(("left", "operator", "right"), rule, strict=True)) for rule in rules], "value": 7}
    nodes = [("c", "condition", inputs, {"match": match}), ("y", "work", {"x": 1}), ("n", "work", {"x": 2})]
    nodes.append(("o", "api_output", {"v": "{{ c.out }}"}))
    outcome, notebook = await go(flow(nodes, "in>c c.yes>y c.no>n y>o n>o"), {})
    assert outcome.result == {"v": 7}
    assert notebook.step("c").log == (f"Went on by {port}.",)
    assert notebook.step("y").status == ("completed" if port == "yes" else "skipped")


@pytest.mark.parametrize(
    ("left", "warned"), [("640.00 EUR", True), ("", False), ("640", False), (640, False), (None, False)]
)
async def test_a_condition_says_that_greater_met_a_text_that_is_no_number(left, warned):
    rule = {"left": left, "operator": "greater", "right": "1,000"}
    nodes = [("c", "condition", {"rules": [rule]}), ("o", "api_output", {"v": 1})]
    _outcome, notebook = await go(flow(nodes, "in>c c.yes>o"), {})
    assert [("is no number" in one) for one in notebook.step("c").warnings] == [True] * warned


@pytest.mark.parametrize(("policy", "value"), [({}, "first"), ({"on_error": "skip"}, "second")])
async def test_a_condition_without_a_value_goes_on_with_what_the_first_node_before_it_gave(policy, value):
    nodes = [
        ("a", "work", {"x": "bad" if policy else "first"}, {}, policy),
        ("b", "work", {"x": "second"}),
        ("c", "condition", {"rules": [{"left": 1, "operator": "equals", "right": 1}]}),
        ("o", "api_output", {"v": "{{ c.out }}"}),
    ]
    outcome, _ = await go(flow(nodes, "in>a in>b a>c b>c c.yes>o"), {})
    assert (outcome.error, outcome.result) == (None, {"v": value})


async def test_a_flow_whose_final_node_was_skipped_gives_null():
    for word, output in (("hi", "yes: hi"), ("ho", None)):
        outcome, _ = await go(flow(SIDES[:2], "in>c c.yes>y"), {"word": word})
        assert (outcome.error, outcome.result) == (None, {"output": output})


async def test_a_default_may_be_null_and_is_no_skipped_node():
    nodes = [
        ("a", "work", {"x": "bad"}, {}, {"on_error": "use_default"}),
        ("j", "first_value", {"values": ["{{ a.out }}", 5]}),
    ]
    outcome, notebook = await go(flow(nodes, "in>a a>j"), {})
    assert (outcome.result, notebook.step("a").status) == ({"output": None}, "completed")
    assert notebook.step("a").warnings == ("It failed, so its default value was used: bad broke.",)


async def test_another_attempt_goes_the_same_way():
    document = flow([*SIDES, ("j", "first_value")], f"{SPLIT} y>j n>j")
    _, first = await go(document, {"word": "ho"})
    kept = {key: value for key, value in first.kept().items() if key.node_id != "j"}
    outcome, second = await go(document, {"word": "ho"}, kept=kept)
    assert outcome.result == {"output": "no: ho"}
    assert [step.key.node_id for step in second.begun] == ["c", "j"]


async def test_a_node_that_failed_and_was_skipped_counts_as_skipped():
    nodes = [
        ("a", "work", {"x": "bad"}, {}, {"on_error": "skip"}),
        ("b", "work", {"x": "b"}),
        ("j", "first_value", {"values": ["{{ a.out }}", "{{ b.out }}"]}),
    ]
    outcome, _ = await go(flow(nodes, "in>a in>b a>j b>j"), {})
    assert outcome.result == {"output": "b"}


@pytest.mark.parametrize(("default", "way"), [({"approved": True}, "yes"), ({"approved": False}, "no"), (None, "no")])
async def test_a_default_value_goes_the_way_that_it_names_also_when_it_was_kept(default, way):
    nodes = [
        ("c", "approval", {"title": "{{ in.out.word }}"}, {}, {"on_error": "use_default", "default": default}),
        ("yes", "work", {"x": "yes"}),
        ("no", "work", {"x": "no"}),
        ("o", "api_output", {"yes": "{{ yes.out }}", "no": "{{ no.out }}"}),
    ]
    document = flow(nodes, "in>c c.approved>yes c.refused>no yes>o no>o")
    expected = {"yes": None, "no": None, way: way}
    outcome, notebook = await go(document, {})  # without a title it fails
    assert outcome.result == expected
    kept = {key: value for key, value in notebook.kept().items() if key.node_id in {"in", "c"}}
    outcome, _ = await go(document, {}, kept=kept)
    assert outcome.result == expected


@pytest.mark.parametrize("refused", ["", " a.refused>o"])
@pytest.mark.parametrize(
    ("word", "approved", "reply"), [("hi", True, "corrected"), ("hi", False, "as it was"), ("ho", True, "ho")]
)
async def test_corrections_arrive_and_without_the_approval_the_value_is_as_it_was(word, approved, reply, refused):
    default = {"approved": approved, "values": {"reply": "corrected" if approved else "as it was"}}
    asked = {"title": "{{ in.out.y }}", "values": {"reply": "{{ w.out }}"}}  # without a title it fails
    nodes = [
        ("w", "work", {"x": "{{ in.out.word }}"}),
        ("c", "condition", IS_HI),
        ("a", "approval", asked, {"editable": ["reply"]}, {"on_error": "use_default", "default": default}),
        ("o", "api_output", {"reply": "{{ w.out }}"}),
    ]
    document = flow(nodes, f"in>w w>c c.yes>a a.approved>o c.no>o{refused}")
    (lost,) = [one.problem for one in flow_warnings(document, WORK) if one.problem.code == "correction_lost"]
    outcome, _ = await go(apply_ops(document, mending_ops(document, WORK, lost)), {"word": word})
    assert outcome.result == {"reply": reply}


@pytest.mark.parametrize("refused", ["", "a.refused>o", "a.refused>note", "a.refused>last last>o"])
@pytest.mark.parametrize("other", ["", "c.no>o", "c.no>note", "c.no>last last>o"])
async def test_without_a_correction_the_caller_gets_the_same_answer_as_before(other, refused):
    nodes = [
        ("w", "work", {"x": "{{ in.out.word }}"}),
        ("c", "condition", IS_HI),
        # it fails without a title, and goes the way that its default names
        ("a", "approval", {"title": "{{ in.out.y }}", "values": {"reply": "{{ w.out }}"}}, {"editable": ["reply"]}),
        ("note", "work", {"x": "tell somebody"}),
        ("last", "work", {"x": "then this"}),
        ("o", "api_output", {"reply": "{{ w.out }}"}),
    ]
    edges = " ".join(dict.fromkeys(f"in>w w>c c.yes>a a.approved>o {other} {refused}".split()))
    for approved in (True, False):
        policy = {"on_error": "use_default", "default": {"approved": approved, "values": {"reply": "hi"}}}
        steps = [(*one, policy) if one[0] == "a" else one for one in nodes]
        document = flow(steps, edges)
        (lost,) = [one.problem for one in flow_warnings(document, WORK) if one.problem.code == "correction_lost"]
        mended = apply_ops(document, mending_ops(document, WORK, lost))
        for word in ("hi", "ho"):
            outcome, _ = await go(mended, {"word": word})
            assert outcome.result == {"reply": word} == (await go(document, {"word": word}))[0].result


@pytest.mark.parametrize("edges", ["c.yes>y y>o", "c.yes>y y>o c.no>n n>o", "c.yes>y y>z z>o c.no>n"])
async def test_words_around_a_value_of_one_side_are_not_said_on_the_other(edges):
    more = [("z", "work", {"x": "then"})] if "z" in edges else []
    document = flow(
        [*(SIDES if "c.no" in edges else SIDES[:2]), *more, ("o", "api_output", {"answer": "Dear you, {{ y.out }}"})],
        f"in>c {edges}",
    )
    (told,) = [one.problem for one in flow_warnings(document, WORK) if "branch" in one.problem.code]
    after = apply_ops(document, mending_ops(document, WORK, told))
    if "c.no" not in edges:
        written = next(node for node in after.nodes if node.label == "Answer for no")
        after = apply_ops(after, [update_node(written, inputs={"template": "no: ho"})])
    for word, answer in (("hi", "Dear you, yes: hi"), ("ho", "no: ho")):
        outcome, _ = await go(after, {"word": word})
        assert (outcome.error, outcome.result) == (None, {"answer": answer})


async def test_words_around_a_value_of_a_side_within_a_side_are_said_on_all_of_the_outer_one():
    inner = ("d", "condition", {"rules": [{"left": "{{ in.out.word }}", "operator": "contains", "right": "!"}]})
    nodes = [("c", "condition", {"rules": [{**IS_HI["rules"][0], "operator": "contains"}]}), inner, *SIDES[1:]]
    document = flow(
        [*nodes, ("e", "work", {"x": 1}), ("o", "api_output", {"answer": "Dear you, {{ y.out }}"})],
        "in>c c.no>n c.yes>d d.yes>y d.no>e y>o e>o n>o",
    )
    told = next(
        one.problem for one in flow_warnings(document, WORK) if "when c goes on by “yes”" in one.problem.message
    )
    after = apply_ops(document, mending_ops(document, WORK, told))
    for word, answer in (("hi!", "Dear you, yes: hi!"), ("hi", "Dear you, "), ("ho", "no: ho")):
        outcome, _ = await go(after, {"word": word})
        assert (outcome.error, outcome.result) == (None, {"answer": answer})


@pytest.mark.parametrize("edges", ["c.yes>o", "c.yes>y y>o"])
@pytest.mark.parametrize("inputs", [{"answer": "Dear {{ b.out }}"}, {"answer": "{{ b.out }}", "more": "x"}])
async def test_what_is_answered_whatever_is_decided_from_a_step_beside_both_ways_is_not_said_on_the_other(
    inputs, edges
):
    nodes = [("b", "work", {"x": "you"}), *(one for one in SIDES if f">{one[0]}" in f"in>c {edges}")]
    document = flow([*nodes, ("o", "api_output", inputs)], f"in>c in>b b>o {edges}")
    (told,) = [one.problem for one in flow_warnings(document, WORK)]
    after = apply_ops(document, mending_ops(document, WORK, told))
    written = next(node for node in after.nodes if node.label == "Answer for no")
    after = apply_ops(after, [update_node(written, inputs={"template": "no: ho"})])
    for word, answer in (("hi", inputs["answer"].replace("{{ b.out }}", "you")), ("ho", "no: ho")):
        outcome, _ = await go(after, {"word": word})
        assert (outcome.error, outcome.result["answer"]) == (None, answer)


@pytest.mark.parametrize("skipped", ["s", "m"])
async def test_where_the_approval_is_skipped_the_value_is_as_it_was(skipped):
    policies = {skipped: {"on_error": "skip"}}
    asked = {"title": "{{ in.out.y }}", "values": {"reply": "{{ w.out }}"}}  # without a title it fails
    nodes = [
        ("w", "work", {"x": "{{ in.out.word }}"}),
        ("s", "work", {"x": "bad" if skipped == "s" else "good"}, {}, policies.get("s", {})),
        ("m", "approval", asked, {"editable": ["reply"]}, policies.get("m", {})),
        ("o", "api_output", {"reply": "{{ w.out }}"}),
    ]
    document = flow(nodes, "in>w w>s s>m m.approved>o")
    (lost,) = [one.problem for one in flow_warnings(document, WORK) if one.problem.code == "correction_lost"]
    outcome, _ = await go(apply_ops(document, mending_ops(document, WORK, lost)), {"word": "hi"})
    assert outcome.result == {"reply": "hi"}


def _any_flow(chance):
    """A random flow whose Conditions are independent of each other, and the letters of the word by which they go yes."""
    nodes, edges, letters = [], [], {}

    def read(one):
        return f"{{{{ {one}.out{'.x' if (one, 'set_fields') in {node[:2] for node in nodes} else ''} }}}}"

    def connect(node_id, at_most):
        ports = {one: ["yes", "no"] if one in letters else ["out"] for one in ["in", *(node[0] for node in nodes)]}
        late = list(ports)[-4:]
        sources = chance.sample(late, min(len(late), chance.randint(1, at_most)))
        edges.extend(f"{source}.{chance.choice(ports[source])}>{node_id}" for source in sources)
        return [source for source in ports if source != "in" and _before(edges, source, node_id)]

    for at in range(chance.randint(3, 7)):
        node_id, kind = f"n{at}", chance.choice(["condition", "condition", "work", "work", "set_fields", "first_value"])
        before = connect(node_id, 3 if kind == "first_value" else chance.choice([1, 1, 2]))
        readable = [read(one) for one in before] or ["some text"]
        if kind == "condition":
            letters[node_id] = chr(ord("a") + len(letters))
            inputs = {
                "value": "{{ in.out.word }}",
                "rules": [{"left": "{{ in.out.word }}", "operator": "contains", "right": letters[node_id]}],
            }
        elif kind == "first_value":
            values = chance.sample(readable, chance.randint(1, len(readable)))
            inputs = chance.choice([{}, {"values": values}, {"values": [*values, "fixed"]}])
        else:
            inputs = {"x": chance.choice(readable)}
        nodes.append((node_id, kind, inputs))
    before = connect("o", 2)
    nodes.append(("o", "api_output", {one: read(one) for one in before if one not in letters}))
    return flow(nodes, " ".join(edges)), letters


def _before(edges, source, node_id):
    waiting = [node_id]
    pairs = [(one.partition(".")[0], one.partition(">")[2]) for one in edges]
    while waiting:
        at = waiting.pop()
        waiting += [one for one, other in pairs if other == at]
        if at == source:
            return True
    return False


async def test_an_open_way_is_told_when_and_only_when_callers_get_an_empty_value_by_it():
    chance, told_of = random.Random(502), {True: 0, False: 0}
    for _ in range(180):
        document, letters = _any_flow(chance)
        if not 0 < len(letters) < 4:
            continue
        runs = {}
        for picks in itertools.product([False, True], repeat=len(letters)):
            yes = frozenset(one for one, pick in zip(letters, picks, strict=True) if pick)
            outcome, notes = await go(document, {"word": " ".join(letters[one] for one in yes)})
            empty = {name for name, value in outcome.result.items() if value is None}
            runs[yes] = empty, {one for one in letters if notes.status_of(one) == "completed"}
        told = {
            one.problem.node_id
            for one in flow_warnings(document, WORK)
            if one.problem.code == "open_branch" and "callers get an empty value" in one.problem.message
        }
        for one in letters:
            left = {"yes", "no"} - {edge.source_port for edge in document.edges if edge.source == one}
            if len(left) == 1:
                here = [yes for yes in runs if (one in yes) == ("yes" in left) and one in runs[yes][1]]
                empties = any(runs[yes][0] - runs[yes ^ {one}][0] for yes in here)
                assert (one in told) == empties, document
                told_of[empties] += 1
    assert min(told_of.values()) > 20, told_of


def test_no_press_makes_a_flow_undeployable():
    chance, pressed = random.Random(7), Counter()
    for _ in range(100):
        document, _letters = _any_flow(chance)
        output = next(node for node in document.nodes if node.id == "o")
        read = list(output.inputs.values())
        if chance.random() < 0.7 and read:
            named = {chance.choice(["answer", "and/or", "a~b"]): f"Dear {', '.join(read)}", "more": chance.choice(read)}
            document = apply_ops(document, [update_node(output, inputs=named)])
        gone = [node.id for node in document.nodes if node.type == "work" and chance.random() < 0.1]
        nodes = [node.model_copy(update={"type": "gone"}) if node.id in gone else node for node in document.nodes]
        document = document.model_copy(update={"nodes": tuple(nodes)})
        presses = [(one.problem.code, one.mend()) for one in flow_warnings(document, WORK) if one.mend]
        presses.append(("lead", lead_to_output_ops(document, WORK, chance.choice(document.nodes).id, None)))
        before = _stopping(document)
        for code, ops in presses:
            pressed[code] += bool(ops)
            assert _stopping(apply_ops(document, ops)) <= before, (code, document)
    assert min(pressed[one] for one in ("open_branch", "one_branch_read", "lead")) > 5, pressed


def _stopping(document):
    """What stops a deployment; a person still has to write the text of a new answer."""
    return {(one.node_id, one.code) for one in deploy_problems(document, WORK) if one.code != "input_missing"}
