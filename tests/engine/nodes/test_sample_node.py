"""A new node type needs one file (sample_node.py) and one entry in the list of node types; everything else is
derived.
"""

from __future__ import annotations

from engine.flow.validation import marks, problems
from engine.nodes import NODE_TYPES
from tests.engine.nodes import sample_node, test_every_node
from tests.engine.run.arrange import flow, go
from ui.flow_view.node_views import view_of
from ui.forms.specs import specs_of_model

TYPES = (*NODE_TYPES, sample_node.NODE)  # the entry in the list
CATALOG = {kind.type: kind for kind in TYPES}

FLOW = flow(
    [
        ("a", "say", {"word": "{{ in.out.word }}"}, {"times": 3}),
        ("s", "array_splitter", {"items": "{{ a.out.words }}"}),
        ("t", "text_template", {"template": "{{ s.out | upper }}"}),
        ("f", "array_flatten"),
    ],
    "in>a a>s s>t t>f",
)


def test_palette_and_canvas_show_it():
    view = view_of(sample_node.NODE)
    assert (view["title"], view["ports"], view["tooltip"]) == ("Say", ["out"], "Say a word several times.")
    assert marks(FLOW, CATALOG)["a"].summary == "3 times"


def test_its_form_follows_from_its_settings():
    (times,) = specs_of_model(sample_node.Config)
    assert (times.title, times.kind, times.minimum, times.maximum) == ("Times", "integer", 1, 9)


def test_it_keeps_what_every_node_promises():
    promises = test_every_node.TestEveryNode()
    promises.test_it_has_words_for_people(sample_node.NODE)
    promises.test_every_setting_and_input_has_a_title_and_a_description(sample_node.NODE)
    promises.test_its_summary_survives_half_made_settings(sample_node.NODE)


def test_wrong_settings_inputs_and_references_are_found():
    assert problems(FLOW, CATALOG) == []
    wrong = flow(
        [("a", "say", {"wrod": "x"}, {"times": 10}), ("b", "set_fields", {"x": "{{ a.out.wrods }}"})], "in>a a>b"
    )
    assert sorted((problem.code, problem.pointer) for problem in problems(wrong, CATALOG)) == [
        ("input_missing", "/inputs/word"),
        ("invalid_value", "/config/times"),
        ("unknown_field", "/inputs/x"),
        ("unknown_key", "/inputs/wrod"),
    ]


async def test_it_runs():
    outcome, _ = await go(FLOW, {"word": "hi"}, catalog=CATALOG)
    assert outcome.result["output"]["items"] == ["HI", "HI", "HI"]


async def test_it_fails_in_its_own_words():
    outcome, _ = await go(FLOW, {"word": ""}, catalog=CATALOG)
    assert outcome.error is not None
    assert outcome.error.message == "There is no word to say."
