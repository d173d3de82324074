"""References and bindings (docs/dev/flows.md, Data)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.flow.references import (
    BadReference,
    Missing,
    Reference,
    Scope,
    as_text,
    find_references,
    parse_reference,
    render,
    split_text,
)

READ = {
    "a.out": Reference("a", "out"),
    "  prompt_2 . out . facts ": Reference("prompt_2", "out", ("facts",)),
    "a.out[0].name": Reference("a", "out", (0, "name")),
    'a.out["any key"][12]': Reference("a", "out", ("any key", 12)),
    'a.out["a \\"b\\" \\\\ c"]': Reference("a", "out", ('a "b" \\ c',)),
    'a.out["größe"].x_1': Reference("a", "out", ("größe", "x_1")),
    "split.index": Reference("split", "index"),
    "split.total": Reference("split", "total"),
    "system.timestamp": Reference("system", "timestamp"),
    "system.flow_id": Reference("system", "flow_id"),
    "system.flow_version": Reference("system", "flow_version"),
    "system.job_id": Reference("system", "job_id"),
}
NOT_READ = [
    "", " ", "7*7", "a", "a.", "A.out", "1a.out", "_a.out", "a.in", "a.out.", "a.out x", "a.out | upper", "a.out()",
    "a.out[-1]", "a.out['x']", "a.out[x]", "a.out.größe", "a.out[0", 'a.out["x', "a.out.1", "system.out", "system.env",
    "system.job_id.x", "split.index.x", "split.total[0]", "out.a", "a b.out", "a.out..b", "a" * 64 + ".out",
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_what_a_reference_is(text):
    assert parse_reference(text) == READ[text]
    assert parse_reference(str(READ[text]).removeprefix("{{").removesuffix("}}")) == READ[text]


@pytest.mark.parametrize("text", NOT_READ)
def test_anything_else_in_braces_is_no_reference(text):
    assert parse_reference(text) == BadReference(text.strip())


SCOPE = Scope(
    {"a": {"n": 5, "t": "text", "l": [1, "x"], "none": None, "yes": True, "any key": {"deep": [0.5]}, "odd": "{{ a.out.n }}"}},
    {"job_id": "job_1", "flow_version": 3},
    items={"split": (2, 7)},
)  # fmt: skip


@pytest.mark.parametrize(
    ("binding", "value"),
    [
        # a binding that is a single reference keeps the type of the value
        ("{{ a.out.n }}", 5),
        ("{{a.out.l}}", [1, "x"]),
        ("{{ a.out.yes }}", True),
        ("{{ a.out.none }}", None),
        ('{{ a.out["any key"].deep[0] }}', 0.5),
        ("{{ split.index }}", 2),
        ("{{ system.flow_version }}", 3),
        # with other text around it, including blanks, the result is text
        ("{{ a.out.n }} ", "5 "),
        ("{{ a.out.n }}{{ a.out.n }}", "55"),
        ("[{{ a.out.l }}|{{ a.out.none }}|{{ a.out.yes }}|{{ a.out.t }}]", '[[1,"x"]||true|text]'),
        ("{{ split.index }} of {{ split.total }} in {{ system.job_id }}", "2 of 7 in job_1"),
        # strings nested in a literal are bindings, keys are not
        ({"{{ a.out.t }}": ["{{ a.out.n }}", {"b": "n={{ a.out.n }}"}, 1, None]}, {"{{ a.out.t }}": [5, {"b": "n=5"}, 1, None]}),
        # literals
        (5, 5), ("", ""), (None, None), (False, False), ([], []), ("} { }} {{", "} { }} {{"),
        # the text is rendered once: data are never parsed as a template
        ("{{ a.out.odd }}", "{{ a.out.n }}"),
        ("> {{ a.out.odd }}", "> {{ a.out.n }}"),
    ],
)  # fmt: skip
def test_what_a_binding_gives(binding, value):
    missing: list[Missing] = []
    assert render(binding, SCOPE, missing) == value
    assert missing == []


@pytest.mark.parametrize(
    "reference", ["a.out.m", "a.out.l[2]", "a.out.t.x", "a.out.t[0]", "a.out.l.x", 'a.out["N"]', "b.out", "split_2.index"]
)  # fmt: skip
def test_a_path_that_is_not_there_is_null_alone_and_nothing_in_a_text(reference):
    missing: list[Missing] = []
    assert render([f"{{{{ {reference} }}}}", f"<{{{{ {reference} }}}}>"], SCOPE, missing) == [None, "<>"]
    assert [one.reference for one in missing] == [parse_reference(reference)] * 2


def test_every_reference_has_the_pointer_of_the_text_it_stands_in():
    binding = {"a/b": ["x {{ a.out }} {{ b.out }}", {"c": "{{ 7*7 }}"}], "{{ key.out }}": 1}
    found = [
        (at, str(one) if isinstance(one, Reference) else one.text) for at, one in find_references(binding, "/inputs")
    ]
    assert found == [("/inputs/a~1b/0", "{{ a.out }}"), ("/inputs/a~1b/0", "{{ b.out }}"), ("/inputs/a~1b/1/c", "7*7")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"), ("", ""), (None, ""), (True, "true"), (False, "false"), (5, "5"), (0.5, "0.5"),
        ([1, "x", None], '[1,"x",null]'), ({"größe": {"你": "好"}}, '{"größe":{"你":"好"}}'), ([], "[]"), ({}, "{}"),
    ],
)  # fmt: skip
def test_how_a_value_is_written_as_text(value, text):
    assert as_text(value) == text


@given(st.text(alphabet="{} a.out[0]\"'\\|x", max_size=30))
def test_a_text_is_the_sum_of_its_pieces(text):
    pieces = list(split_text(text))
    assert all(isinstance(piece, str | Reference | BadReference) for piece in pieces)
    if not any(isinstance(piece, Reference) for piece in pieces):
        assert render(text, SCOPE, []).replace(" ", "") == text.replace(" ", "")
