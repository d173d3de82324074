"""The OpenAPI documents of the templates and of unusual flows are valid, and their schemas accept what the API accepts."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
import re2
from jsonschema import Draft202012Validator
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.openapi import GeneratorData
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.validation.keywords import OpenAPIV31SchemaValidator

from api.app import api_document
from api.docs.openapi import contract_of, flow_document, served_at
from api.docs.portable_schema import portable, reads_everywhere
from engine.core.paths import ASSETS
from engine.flow.contract import example_payload, input_fields
from engine.flow.document import Document
from engine.flow.file_values import takes_files
from engine.flow.flow_file import parse_flow_file
from engine.flow.payload_check import EMAIL_RULES, WEB_ADDRESS, check_payload, fits_format
from engine.nodes.model_answers import object_schema
from tests.api.docs.odd_flows import ODD_FLOWS

SERVER = "https://flows.example.com"
TEMPLATES = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ASSETS / "templates").glob("*.json"))
}
FLOWS = {**TEMPLATES, **{name: file for name, (file, _) in ODD_FLOWS.items()}}


#: The generator does not know JSON Lines; this setting makes it return text.
CLIENT = Config.from_sources(
    ConfigFile(content_type_overrides={"application/x-ndjson": "text/plain"}, post_hooks=[]),
    MetaType.NONE,
    document_source=SERVER,
    file_encoding="utf-8",
    overwrite=False,
    output_path=None,
)


def document_of(file: dict[str, Any]) -> Document:
    found, problems = parse_flow_file(json.dumps(file))
    assert found is not None, problems
    return found.document


def openapi_of(file: dict[str, Any]) -> dict[str, Any]:
    told = {"title": file["title"], "description": file["description"]}
    contract = contract_of(document_of(file), flow_id="flow_1", version=1, **told)
    return json.loads(json.dumps(flow_document(api_document(), contract, SERVER)))


class SchemasOnce(OpenAPIV31SchemaValidator):
    """Checks a schema that many documents have against the rules of schemas once; three quarters of the time are that."""

    _valid: ClassVar[set[str]] = set()

    def _validate_schema_meta(self, schema: Any, schema_value: Any) -> Any:
        text = json.dumps(schema_value)
        if text in self._valid:
            return None
        wrong = super()._validate_schema_meta(schema, schema_value)
        if wrong is None:
            self._valid.add(text)
        return wrong


class DocumentValidator(OpenAPIV31SpecValidator):
    keyword_validators: ClassVar[dict[str, Any]] = {
        **OpenAPIV31SpecValidator.keyword_validators,
        "schema": SchemasOnce,
    }


def test_a_schema_that_breaks_the_rules_is_found_in_every_document():
    document = openapi_of(next(iter(FLOWS.values())))
    document["components"]["schemas"]["Payload"] = {"type": "nothing"}
    for _ in range(2):
        assert [error.message for error in DocumentValidator(document).iter_errors()] != []


@pytest.mark.parametrize("name", ODD_FLOWS)
def test_a_client_generator_understands_the_whole_document_of_a_flow(name: str):
    understood = GeneratorData.from_dict(openapi_of(FLOWS[name]), config=CLIENT)

    assert isinstance(understood, GeneratorData)
    calls = understood.endpoint_collections_by_tag.values()
    wrong = [*understood.errors, *(error for one in calls for error in one.parse_errors)]
    assert [(error.header, error.detail) for error in wrong] == []


def test_there_are_twenty_flows_and_more():
    assert len(FLOWS) >= 20


def test_the_document_of_the_whole_api_is_valid():
    whole = json.loads(json.dumps(served_at(api_document(), SERVER)))
    assert [error.message for error in DocumentValidator(whole).iter_errors()] == []


@pytest.mark.parametrize("name", FLOWS)
def test_the_document_of_a_flow_is_valid(name: str):
    assert [error.message for error in DocumentValidator(openapi_of(FLOWS[name])).iter_errors()] == []


def test_the_document_of_a_flow_leaves_that_of_the_whole_api_as_it_was():
    before = json.dumps(api_document())
    for file in FLOWS.values():
        openapi_of(file)
    assert json.dumps(api_document()) == before


@pytest.mark.parametrize("name", ODD_FLOWS)
def test_the_schema_takes_the_payloads_that_the_api_takes(name: str):
    file, payload = ODD_FLOWS[name]
    document = document_of(file)
    openapi = openapi_of(file)
    schema = {"$ref": "#/components/schemas/Payload", "components": openapi["components"]}
    for one in (payload, example_payload(document)):
        assert one is not None
        assert check_payload(input_fields(document), one)[1] == []
        assert [error.message for error in Draft202012Validator(schema).iter_errors(one)] == []


@pytest.mark.parametrize("name", ODD_FLOWS)
def test_the_schema_of_the_result_takes_what_comes_back(name: str):
    file, payload = ODD_FLOWS[name]
    fields = input_fields(document_of(file))
    sent, _ = check_payload(fields, payload)
    result = openapi_of(file)["components"]["schemas"]["Result"]
    if "sent" in result["properties"] and not takes_files(fields):  # files that were sent become stored ones
        assert [error.message for error in Draft202012Validator(result["properties"]["sent"]).iter_errors(sent)] == []


def test_objects_of_a_result_may_get_fields_though_a_model_is_asked_for_closed_ones():
    word = {"name": "additionalProperties", "type": "string", "required": True}
    group = {"name": "group", "type": "object", "fields": [word]}
    listed = {"name": "listed", "type": "array", "items": {"type": "object", "fields": [group]}}
    fields = [group, listed, {"name": "free", "type": "object"}]
    nodes = [
        {"id": "in", "type": "api_input"},
        {"id": "p", "type": "prompt", "config": {"prompt": "Hello", "model": "simulated", "output_fields": fields}},
        {"id": "o", "type": "api_output", "inputs": {"all": "{{ p.out }}", "listed": ["{{ p.out.listed }}"]}},
    ]
    edges = [{"id": "1", "source": "in", "target": "p"}, {"id": "2", "source": "p", "target": "o"}]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    contract = contract_of(document, flow_id="flow_1", title="Read", description="", version=1)
    result = flow_document(api_document(), contract, SERVER)["components"]["schemas"]["Result"]

    assert '"additionalProperties": false' not in json.dumps(result)
    found = result["properties"]["all"]["properties"]
    assert found["free"]["additionalProperties"] is True
    assert found["group"]["properties"] == {"additionalProperties": {"type": "string"}}
    assert found["group"]["required"] == ["additionalProperties"]
    asked = json.dumps(object_schema(fields))
    assert asked.count('"additionalProperties": false') == 4


@pytest.mark.parametrize(
    "pattern",
    ["", "^[A-Z]{2}-[0-9]{3}$", r"\d\w\s?", "^['\"\\\\/]*$", "(a|b)+", "(?:ab)*?", r"^[\w.+-]+@x$", r"\u00e4|ä", "[a&b]", "日本+", "[-]", r"[\d-]", "a{2,}?"],
)  # fmt: skip
def test_a_pattern_that_everybody_reads_stays(pattern: str):
    assert reads_everywhere(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(?i)a", r"\p{L}", r"\Aab\z", "(?P<n>a)", "[[:alpha:]]", r"\Qa\E", r"\a", "[]a]", "a]", "a}", "[a&&b]", r"[\d-x]", r"\-", r"\u{41}", "(?:a*)*{2}", "^*", r"\b+", "(a"],
)  # fmt: skip
def test_a_pattern_that_only_re2_reads_is_told_in_words(pattern: str):
    assert portable({"type": "string", "pattern": pattern}) == {
        "type": "string",
        "description": f"Must match the pattern `{pattern}` (RE2).",
    }


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "string", "default": "a"}, True),
        ({"type": "array", "items": {"type": "integer"}, "default": [1]}, True),
        ({"type": "string", "enum": ["a", "b"], "default": "a"}, False),
        ({"type": "string", "format": "uri", "default": "https://example.com"}, False),
        ({"type": "array", "items": {"type": "string", "enum": ["a"]}, "default": ["a"]}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "default": {"a": "ü"}}, False),
        ({"type": ["object", "null"], "additionalProperties": True, "default": {"a": [1]}}, False),
        ({"type": "array", "items": {"type": "object", "additionalProperties": True}, "default": [{}]}, False),
    ],
)
def test_a_default_that_no_generated_client_can_write_is_told_in_words(schema: dict[str, Any], kept: bool):
    found = portable({"description": "What it is.", **schema})
    said = f"What it is.\n\nDefault: `{json.dumps(schema['default'], ensure_ascii=False)}`."
    assert ("default" in found) == kept
    assert found["description"] == ("What it is." if kept else said)
    assert "default" not in portable(schema, of_answer=True)


@pytest.mark.parametrize("pattern", ["", r"\.pdf$"])
def test_a_web_address_says_which_schemes_are_taken(pattern: str):
    rule = {"type": "string", "format": "uri"} | ({"pattern": pattern} if pattern else {})
    found = portable(rule)

    assert found["pattern"] == (pattern or WEB_ADDRESS)
    assert reads_everywhere(found["pattern"])
    assert ("http://" in found.get("description", "")) == bool(pattern)
    assert portable(rule, of_answer=True) == rule


@pytest.mark.parametrize("own", [{}, {"pattern": r"\.de$", "maxLength": 20}, {"maxLength": 1_000}])
def test_an_e_mail_address_says_what_is_taken(own: dict[str, Any]):
    rule = {"type": "string", "format": "email"} | own
    found = portable(rule)

    assert found["pattern"] == own.get("pattern", EMAIL_RULES["pattern"])
    assert found["maxLength"] == min(own.get("maxLength", 254), 254)
    assert reads_everywhere(found["pattern"])
    assert ("one `@`" in found.get("description", "")) == ("pattern" in own)
    assert portable(rule, of_answer=True) == rule


def test_what_an_e_mail_address_says_is_what_the_server_checks():
    local, host = "a" * 65, "b" * 250
    texts = (
        'a@b.de|a.b+c@b.co.uk|a..b@c.de|ä@bücher.example|mailto:a@b.de|"a"@b.de|a\x01@b.de|a\ufeff@b.de|😀@😀.de|a@b.d|a@1.2'
        "|a@localhost|a@b..c|a@.b.de|a@b.de.|a@.|a b@c.d|a@b c.d| a@b.de|a@b.de |a\t@b.de|a\xa0@b.de|a\u1680@b.de|a@b\u2000c.de|a\u2003@b.de|a@b.\u200ade|a\u202f@b.de|a@\u205fb.de|a\u3000@b.de|a\u200b@b.de|a\x85@b.de|a\x1c@b.de|a@b@c.de|@b.de"
        f"|a@|@|a|a\n@b.de|{local[1:]}@b.de|{local}@b.de|{'😀' * 64}@b.de|a@{host[1:]}.de|a@{host}.de"
    ).split("|")
    taken = [text for text in texts if fits_format("email", text)]
    validator = Draft202012Validator(portable({"type": "string", "format": "email"}))

    assert [text for text in texts if validator.is_valid(text)] == taken
    assert [text for text in texts if re2.search(EMAIL_RULES["pattern"], text) and len(text) <= 254] == taken
    assert validator.is_valid("a\u2028@b.de"), "no regular expression in the source of JavaScript may hold it"
    assert not fits_format("email", "a\u2028@b.de")


@pytest.mark.parametrize(
    ("allowed", "kept"),
    [(["a", "b"], True), ([1, 2, None], True), ([0.5, 1], False), ([True, None], False), (["a b", "A-B"], False)],
)
def test_allowed_values_that_no_generated_client_can_enumerate_are_told_in_words(allowed: list[Any], kept: bool):
    found = portable({"enum": allowed})
    assert ("enum" in found) == kept
    assert ("description" in found) == (not kept)
    assert all(Draft202012Validator(found).is_valid(value) for value in allowed)
    assert not Draft202012Validator(found).is_valid("another")


def test_fields_with_long_names_have_short_titles_of_their_own():
    names = ["ü" * 100 + end for end in "ab"]
    fields = {name: {"type": "array", "items": {"type": "object", "properties": {}}} for name in names}
    found = portable({"type": "object", "properties": {**fields, "short": {"type": "string"}}})["properties"]

    titles = [found[name]["title"] for name in names] + [found[name]["items"]["title"] for name in names]
    assert len(set(titles)) == 4
    assert max(len(title.encode()) for title in titles) <= 50
    assert "title" not in found["short"]
