"""Requirements for every node type: texts, help, a form, a valid example, and clear errors for wrong settings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from engine.actions.knowledge import add_collection
from engine.core.paths import PROJECT
from engine.flow.document import Document
from engine.flow.node_type import GROUPS
from engine.flow.validation import problems
from engine.nodes import CATALOG, NODE_TYPES
from engine.pages.readers import READERS
from tests.engine.jobs.world import World, open_world
from tests.engine.nodes.node_case import GIVEN, Fails, Problem, Services, odd, what_comes
from tests.factories import person
from ui.forms.specs import HINTS, specs_of_model

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


#: The keys of JSON Schema in fields of nodes; anything else is one of HINTS, or misspelt.
JSON_SCHEMA = frozenset(
    {
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "title",
        "type",
    }
)


def fields_of(kind):
    """Returns each field of settings and inputs as JSON Schema, also those of the objects inside them."""
    schemas = [model.model_json_schema() for model in (kind.config, kind.inputs)]
    parts = [part for schema in schemas for part in (schema, *schema.get("$defs", {}).values())]
    return [(name, field) for part in parts for name, field in part.get("properties", {}).items()]


def test_every_file_with_a_node_is_in_the_list():
    files = {
        path.stem for path in (PROJECT / "engine/nodes").glob("*.py") if "\nNODE = NodeType(" in path.read_text("utf-8")
    }
    missing = sorted(files - {kind.run.__module__.rpartition(".")[2] for kind in NODE_TYPES})
    assert missing == [], "import these in `engine/nodes/__init__.py` and put their `NODE` into `NODE_TYPES`"


@pytest.mark.parametrize("kind", NODE_TYPES, ids=lambda kind: kind.type)
class TestEveryNode:
    def test_it_has_words_for_people(self, kind):
        assert len(kind.tooltip) <= 60, "the first line of the docstring stands in the palette"
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

    def test_its_fields_say_only_what_forms_read(self, kind):
        odd = {name: sorted(field.keys() - JSON_SCHEMA - HINTS) for name, field in fields_of(kind)}
        assert {name: keys for name, keys in odd.items() if keys} == {}, f"`json_schema_extra` may say {sorted(HINTS)}"

    def test_every_choice_has_a_word(self, kind):
        """But for methods of HTTP, which are in capitals, and the types of fields (`type_word`)."""
        raw = {
            name: value
            for name, field in fields_of(kind)
            if name not in {"type", "format"}
            for part in (field, *field.get("anyOf", ()))
            for value in part.get("enum", ())
            if str(value) not in field.get("words", {}) and not str(value).isupper()
        }
        assert raw == {}, "give each its label in `words` of `json_schema_extra`"

    def test_its_summary_survives_half_made_settings(self, kind):
        assert isinstance(kind.summary({}, {}), str)


class InOneProcess(Services):
    async def read_apart(self, reader: str, arguments: Any) -> Any:
        return {"value": READERS[reader](**arguments)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A data folder with the collection of knowledge `Kept`."""
    made = open_world(tmp_path_factory.mktemp("halves"))
    made.write(add_collection, person(made.workspace_id), "Kept")
    yield made
    made.database.close()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=f"{kind.type}-{name}")
        for kind in NODE_TYPES
        for name, info in kind.inputs.model_fields.items()
        if info.annotation in {str, Any} and name != kind.source_input
    ],
)
async def test_half_of_a_character_is_no_fault(kind, name, world):
    """JSON may name a lone surrogate, which UTF-8 cannot write: `Text` replaces it, and so must who takes texts out of
    other data (`without_lone_surrogates`).
    """
    config = {**kind.example[0], **({"collection": "Kept"} if "collection" in kind.config.model_fields else {})}
    if kind.type == "approval":
        config["editable"] = []
    inputs = {**dict.fromkeys(kind.required_inputs, "x"), name: GIVEN}
    services = InOneProcess(world)
    comes, _ = await what_comes(
        kind.type, odd("half of a character", None, "Half \ud83d", config=config, inputs=inputs), services
    )
    await services.close()
    assert not isinstance(comes, Problem)
    assert not (isinstance(comes, Fails) and "fault in Flowport" in comes.message), comes


def _extra(info):
    return info.json_schema_extra or {}


def test_types_are_listed_once():
    assert len(CATALOG) == len(NODE_TYPES)
