"""Requirements for every node type: texts, help, a form, a valid example, and clear errors for wrong settings."""

from itertools import pairwise

import pytest

from engine.flow.document import Document
from engine.flow.node_type import GROUPS
from engine.flow.validation import problems
from engine.nodes import CATALOG, NODE_TYPES
from ui.forms.specs import specs_of_model

BEFORE = [
    {
        "id": "api_input",
        "type": "api_input",
        "config": {"fields": [{"name": "url", "type": "string", "format": "uri"}, {"name": "file", "type": "file"}]},
    },
    {"id": "page_scraper", "type": "page_scraper", "inputs": {"url": "{{ api_input.out.url }}"}},
]


def example_flow(kind):
    """A flow with the node's example after an API Input and a Page Scraper, as a designer would use it."""
    config, inputs = kind.example
    node = {"id": kind.type, "type": kind.type, "type_version": kind.version, "config": config, "inputs": inputs}
    if kind.type in {"api_input", "page_scraper"}:
        rest = [BEFORE[1]] if kind.type == "api_input" else [BEFORE[0]]
        nodes = [node, *rest] if kind.type == "api_input" else [*rest, node]
    else:
        nodes = [*BEFORE, node]
    if kind.type == "array_splitter":
        nodes.append({"id": "array_flatten", "type": "array_flatten"})  # every list must be closed by a Flatten
    edges = [
        {"id": f"e{number}", "source": left["id"], "target": right["id"]}
        for number, (left, right) in enumerate(pairwise(nodes))
    ]
    return Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})


@pytest.mark.parametrize("kind", NODE_TYPES, ids=lambda kind: kind.type)
class TestEveryNode:
    def test_it_has_words_for_people(self, kind):
        assert kind.title
        assert kind.group in GROUPS
        assert kind.tooltip.endswith((".", "?"))
        assert len(kind.help) > 60, "the help page says what the node does and when to use it"

    def test_every_setting_and_input_has_a_title_and_a_description(self, kind):
        for model in (kind.config, kind.inputs):
            for name, info in model.model_fields.items():
                assert info.title, name
                assert info.description, name

    def test_its_example_has_no_problem(self, kind):
        assert [problem.message for problem in problems(example_flow(kind), CATALOG)] == []

    def test_unknown_settings_are_named(self, kind):
        document = example_flow(kind)
        node = document.node(kind.type)
        assert node is not None
        wrong = node.model_copy(update={"config": {**node.config, "no_such_setting": 1}})
        changed = document.model_copy(
            update={"nodes": tuple(wrong if one.id == node.id else one for one in document.nodes)}
        )
        assert ("unknown_key", "/config/no_such_setting") in [
            (problem.code, problem.pointer) for problem in problems(changed, CATALOG)
        ]

    def test_it_has_a_form(self, kind):
        hidden = {name for name, info in kind.config.model_fields.items() if _extra(info).get("widget") == "hidden"}
        specs = specs_of_model(kind.config)
        assert [spec.name for spec in specs] == [name for name in kind.config.model_fields if name not in hidden]
        assert [spec.name for spec in specs if not (spec.title and spec.help)] == []
        choices = [spec for spec in specs if spec.kind == "select"]
        assert [spec.name for spec in choices if len(spec.choices) < 2] == []

    def test_its_summary_survives_half_made_settings(self, kind):
        assert isinstance(kind.summary({}, {}), str)


def _extra(info):
    return info.json_schema_extra or {}


def test_types_are_listed_once():
    assert len(CATALOG) == len(NODE_TYPES)
