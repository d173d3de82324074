from __future__ import annotations

import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from api.app import api_document
from api.docs.openapi import FlowContract, contract_of, flow_document, slug_of
from api.docs.portable_schema import portable
from engine.core.paths import ASSETS
from engine.core.trace_context import TraceContext
from engine.flow.document import Document
from engine.flow.file_values import FILE_SCHEMA
from engine.secrets.webhook_signing import signed_headers
from tests.api.docs.snapshot import SERVER, SNAPSHOT, changes, whole

CONTRACT = FlowContract(
    flow_id="flow_1",
    title="Summarise a page",
    description="Reads a page and writes a summary.",
    version=7,
    request={
        "type": "object",
        "properties": {"url": {"type": "string", "format": "uri"}},
        "required": ["url"],
        "additionalProperties": False,
    },
    result={"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]},
    sample={"url": "https://example.com"},
)


WHOLE = whole()
OF_THE_FLOW = flow_document(api_document(), CONTRACT, SERVER)


def references(value: Any) -> set[str]:
    text = json.dumps(value)
    return set(re.findall(r'"\$ref": "#/([^"]+)"', text))


def test_the_document_is_the_published_one():
    """Every change of the document may break callers."""
    changed = list(changes(json.loads(SNAPSHOT.read_text(encoding="utf-8")), WHOLE))
    assert changed == [], (
        "when each is meant: `make openapi` writes the snapshot anew; CHANGELOG.md and assets/help/api-changes.md tell it,"
        " both under Unreleased"
    )


@pytest.mark.parametrize("document", [WHOLE, OF_THE_FLOW], ids=["api", "flow"])
def test_every_reference_of_a_document_leads_somewhere(document: dict[str, Any]):
    for reference in references(document):
        part: Any = document
        for step in reference.split("/"):
            part = part[step]


@pytest.mark.parametrize("document", [WHOLE, OF_THE_FLOW], ids=["api", "flow"])
def test_every_call_has_an_id_of_its_own_and_both_ways_to_send_a_key(document: dict[str, Any]):
    calls = [call for path in document["paths"].values() for call in path.values()]
    ids = [call["operationId"] for call in calls]

    assert len(set(ids)) == len(ids)
    assert document["openapi"] == "3.1.0"
    assert document["security"] == [{"ApiKey": []}, {"ApiKeyHeader": []}]
    schemes = document["components"]["securitySchemes"]
    assert (schemes["ApiKey"]["scheme"], schemes["ApiKeyHeader"]["name"]) == ("bearer", "X-API-Key")


def test_every_error_a_submit_can_have_is_told():
    responses = WHOLE["paths"]["/public/v1/flows/execute/{flow_id}"]["post"]["responses"]
    codes = {
        code
        for status, response in responses.items()
        if int(status) >= 400
        for code in response["content"]["application/problem+json"]["examples"]
    }

    always = {"400", "401", "405", "406", "408", "414", "429", "431", "500", "503"}
    assert always | {"200", "202", "403", "404", "409", "413", "415", "422"} == set(responses)
    assert codes >= {
        "validation_failed",
        "invalid_json",
        "invalid_parameter",
        "flow_not_deployed",
        "concurrency_limit_exceeded",
        "monthly_quota_exceeded",
    }


def test_the_document_of_a_flow_has_its_concrete_path_and_its_own_schemas():
    document = OF_THE_FLOW
    call = document["paths"]["/public/v1/flows/execute/flow_1"]["post"]

    assert call["operationId"] == "run_summarise_a_page"
    assert (call["parameters"][0]["in"], call["parameters"][0]["name"]) == ("query", "wait")
    assert document["components"]["schemas"]["Payload"] == {
        **portable(CONTRACT.request),
        "title": "Payload",
        "examples": [{"url": "https://example.com"}],
    }
    assert document["components"]["schemas"]["Result"] == {**CONTRACT.result, "title": "Result"}
    assert {"$ref": "#/components/schemas/Result"} in document["components"]["schemas"]["Job"]["properties"]["result"][
        "anyOf"
    ]
    assert document["info"] == {
        "title": "Summarise a page",
        "description": "Reads a page and writes a summary.",
        "version": "7",
        "license": {"name": "MIT", "identifier": "MIT"},
        "contact": {"name": "The people who run this server", "url": f"{SERVER}/docs"},
    }


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Summarise a page", "summarise_a_page"),
        ("  Über-Größe! 2 ", "uber_groe_2"),
        ("Invoices—paid – and “sent”", "invoices_paid_and_sent"),
        ("Ask…then don’t→stop 🙂now", "ask_then_don_t_stop_now"),
        ("Café au\u00adtomat", "cafe_automat"),
        ("日本—語", "flow_ab"),
        ("日本語", "flow_ab"),
        ("", "flow_ab"),
    ],
)
def test_a_title_becomes_a_name_for_programs(title: str, slug: str):
    assert slug_of(title, "flow_aB") == slug


def test_every_operation_is_described():
    for path in WHOLE["paths"].values():
        for operation in path.values():
            assert operation["description"], operation
            assert operation["summary"], operation
            assert not operation["summary"].endswith("."), operation


@pytest.mark.parametrize("document", [WHOLE, OF_THE_FLOW], ids=["api", "flow"])
def test_a_document_holds_no_component_that_nothing_refers_to(document: dict[str, Any]):
    used = references(document)
    for kind in ("schemas", "headers"):
        assert {name for name in document["components"][kind] if f"components/{kind}/{name}" not in used} == set()


@pytest.mark.parametrize("document", [WHOLE, OF_THE_FLOW], ids=["api", "flow"])
def test_every_tag_of_a_call_is_described(document: dict[str, Any]):
    told = {tag["name"] for tag in document["tags"] if tag["description"]}
    places = [*document["paths"].values(), *document["webhooks"].values()]
    assert {tag for place in places for call in place.values() for tag in call["tags"]} == told


@pytest.mark.parametrize("document", [WHOLE, OF_THE_FLOW], ids=["api", "flow"])
def test_the_webhooks_are_told_with_their_bodies_and_headers(document: dict[str, Any]):
    schemas = document["components"]["schemas"]
    sent = {}
    for name, place in document["webhooks"].items():
        body = place["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        type_of = schemas[body]["properties"]["type"]
        assert name in type_of.get("enum", [type_of.get("const")])
        needed = {one["name"]: one["required"] for one in place["post"]["parameters"]}
        traced = TraceContext("", "", "").headers()
        assert needed == dict.fromkeys(signed_headers([], "1", 1, b""), True) | dict.fromkeys(traced, False)
        sent[name] = schemas[body]["properties"]["data"]["$ref"].rpartition("/")[2]
    assert sent == {"batch.completed": "BatchSummary", "step.waiting": "QuestionOfJob"} | {
        f"job.{status}": "Job" for status in ("completed", "failed", "cancelled")
    }


def test_the_events_of_a_stream_are_told():
    media = WHOLE["paths"]["/public/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    assert "$ref" not in json.dumps(media["x-itemSchema"]), "tools do not follow a reference in an extension"
    names = media["x-itemSchema"]["properties"]["event"]
    guide = (ASSETS / "help" / "streaming.md").read_text(encoding="utf-8")
    assert "enum" not in names, "more names may come, which a generated client would refuse"
    assert set(names["examples"]) == set(re.findall(r"^\| `((?:job|step)\.\w+)`", guide, re.MULTILINE))
    assert [name for name in names["examples"] if f"`{name}`" not in names["description"]] == []
    failed = re.findall(r"^\| `(step\.\w+)`.*`code`", guide, re.MULTILINE)
    assert failed == ["step.completed", "step.failed", "step.skipped"]
    told = names["description"].partition("Steps have")[2]
    assert [name for name in failed if not re.search(rf"`{name}` \([^)]*(`code`|both)", told)] == []


def test_a_list_of_anything_says_so():
    anything = {"type": "object", "properties": {"of": {"type": ["array", "null"]}}}
    listed = {"type": "object", "properties": {"all": {"type": "array", "items": anything}, "one": {"type": "array"}}}
    document = flow_document(api_document(), replace(CONTRACT, request=listed, result=listed), SERVER)

    for name in ("Payload", "Result"):
        fields = document["components"]["schemas"][name]["properties"]
        assert fields["one"] == {"type": "array", "items": {}}
        assert fields["all"]["items"]["properties"]["of"]["items"] == {}


def test_answers_may_get_fields_and_what_is_sent_may_not():
    closed = {name for name, one in WHOLE["components"]["schemas"].items() if one.get("additionalProperties") is False}
    assert closed == {"BatchPayload", "QuestionAnswer"}
    assert "enum" not in WHOLE["components"]["schemas"]["WrongField"]["properties"]["code"]


def test_the_document_of_a_flow_has_every_call_for_its_jobs_and_batches():
    ids = {call["operationId"] for path in OF_THE_FLOW["paths"].values() for call in path.values()}
    own = {"run_summarise_a_page", "run_summarise_a_page_batch"}
    of_jobs = {"get_job", "cancel_job", "erase_job_data", "stream_job_events", "list_job_questions", "answer_question"}
    assert ids == own | of_jobs | {"get_batch", "get_batch_results", "cancel_batch"}
    left_out = {call["operationId"] for path in WHOLE["paths"].values() for call in path.values()} - ids
    of_files = {"upload_file", "download_file"}
    documents = {"get_openapi", "get_flow_openapi"}
    assert left_out - of_files - documents == {
        "run_flow",
        "run_flow_batch",
        "list_flows",
        "list_jobs",
        "list_batches",
    }, "a call is in the document of a flow (`flow_document`), or it stands here and in assets/help/versions.md"


@pytest.mark.parametrize(("part", "call"), [("request", "upload_file"), ("result", "download_file")])
def test_the_document_of_a_flow_with_files_has_the_call_for_them(part: str, call: str):
    files = {"type": "object", "properties": {"papers": {"type": "array", "items": FILE_SCHEMA}}}
    document = flow_document(api_document(), replace(CONTRACT, **{part: files}), SERVER)

    ids = {one["operationId"] for path in document["paths"].values() for one in path.values()}
    assert ids & {"upload_file", "download_file"} == {call}


def test_only_a_flow_with_required_fields_needs_a_body():
    """An empty body counts as `{}`, which a batch never is."""
    path = "/public/v1/flows/execute"
    optional = replace(CONTRACT, request={name: part for name, part in CONTRACT.request.items() if name != "required"})
    without = flow_document(api_document(), optional, SERVER)

    assert "required" not in WHOLE["paths"][f"{path}/{{flow_id}}"]["post"]["requestBody"]
    assert "required" not in without["paths"][f"{path}/flow_1"]["post"]["requestBody"]
    assert OF_THE_FLOW["paths"][f"{path}/flow_1"]["post"]["requestBody"]["required"] is True
    for document, flow in ((WHOLE, "{flow_id}"), (without, "flow_1"), (OF_THE_FLOW, "flow_1")):
        assert document["paths"][f"{path}/{flow}/batch"]["post"]["requestBody"]["required"] is True


def test_every_call_declares_the_request_id_that_it_takes_over():
    for path, operations in WHOLE["paths"].items():
        for operation in operations.values():
            names = [one["name"] for one in operation["parameters"]]
            assert names.count("X-Request-Id") == 1, path


def test_the_headers_of_answers_are_told():
    def headers(path: str, method: str, status: str) -> set[str]:
        return set(WHOLE["paths"][f"/public/v1{path}"][method]["responses"][status]["headers"])

    always = {"Cache-Control", "X-Content-Type-Options", "X-Request-Id"}
    told = {"Location", "RateLimit", "RateLimit-Policy", "Idempotent-Replayed", *always}
    assert headers("/flows/execute/{flow_id}", "post", "202") == told | {"Retry-After"}
    assert headers("/flows/execute/{flow_id}", "post", "200") == told | {"ETag", "Preference-Applied"}
    assert headers("/jobs/{job_id}", "get", "200") == {"ETag", "Retry-After", "Preference-Applied", *always}
    assert headers("/jobs/{job_id}", "get", "405") == {"Allow", *always}
    assert headers("/jobs", "get", "429") == {"RateLimit", "RateLimit-Policy", "Retry-After", *always}
    assert headers("/jobs", "get", "401") == {"WWW-Authenticate", *always}


def test_the_document_of_a_flow_says_that_it_asks_a_person():
    document = flow_document(api_document(), replace(CONTRACT, asks_person=True), SERVER)
    (call,) = document["paths"]["/public/v1/flows/execute/flow_1"].values()
    for said in (document["info"]["description"], call["description"]):
        assert said.startswith("Reads a page and writes a summary.\n\nIt asks a person:")
    assert "It asks a person" not in json.dumps(OF_THE_FLOW)


@pytest.mark.parametrize(("kind", "asks"), [("approval", True), ("http_request", False)])
def test_the_contract_of_a_flow_tells_whether_it_asks(kind: str, asks: bool):
    document = Document.model_validate({"format": 1, "nodes": [{"id": "a", "type": kind}]}, strict=False)
    assert contract_of(document, flow_id="flow_1", title="", description="", version=1).asks_person is asks
