"""The example on the page of each error is what the server sends."""

from __future__ import annotations

import ast
import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import api_document
from api.docs.job_error_texts import JOB_ERROR_EXAMPLES
from api.http.json_body import BodyLimits
from api.http.problem_json import PROBLEM_TYPE, PUBLISHED, RequestTimeout, problem_body, problem_example
from api.http.request_rate import WITHOUT_A_KEY
from api.http.upload import PIECE_SECONDS
from engine.core.error_codes import JobErrorCode, RefusalCode
from engine.jobs.job_views import published_code
from engine.outbound.client import OutboundClient, OutboundFailed, OutboundRefused
from tests.api.arrange import House
from tests.factories import asks_person
from tests.stand_ins.network import Names, RecordedNetwork

ROOT = Path(__file__).parents[3]
EXAMPLES = {kind.code: problem_example(kind) for kind in dict.fromkeys(PUBLISHED)}
#: Refusals that a call in process does not get: the file that has the sentence of the example. None: there is no sentence
#: but that of the class.
ELSEWHERE: dict[str, str | None] = {
    RefusalCode.ADDRESS_TOO_LONG: None,
    RefusalCode.FILE_SPACE_FULL: "engine/files/intake.py",
    RefusalCode.HEADERS_TOO_LARGE: None,
    RefusalCode.HOOK_PAUSED: None,
    RefusalCode.IDEMPOTENCY_IN_PROGRESS: None,
    RefusalCode.INTERNAL: None,
    RefusalCode.MALFORMED_REQUEST: "api/http/parser_words.py",
    RefusalCode.MONTHLY_QUOTA_EXCEEDED: "engine/jobs/submit/limits.py",
    RefusalCode.REQUEST_TIMEOUT: "api/http/json_body.py",
    RefusalCode.SHUTTING_DOWN: None,
    RefusalCode.SIGNATURE_INVALID: "engine/triggers/signatures.py",
    RefusalCode.STORAGE_UNAVAILABLE: "storage/engines.py",
    RefusalCode.TOO_MANY_CONNECTIONS: None,
}
#: Code of a failed job -> the file that has the sentence of its example.
OF_JOBS = {
    JobErrorCode.TIMEOUT: "engine/run/retry_policy.py",
    JobErrorCode.WORKER_LOST: "engine/jobs/transitions.py",
    JobErrorCode.BUDGET_EXCEEDED: "engine/nodes/agent_loop.py",
    JobErrorCode.RESULT_TOO_LARGE: "engine/jobs/worker/runs.py",
    JobErrorCode.HTTP_STATUS: "engine/nodes/web_answers.py",
    JobErrorCode.PAGE_NOT_FOUND: "engine/nodes/web_answers.py",
    JobErrorCode.PAGE_BLOCKED_BY_ROBOTS: "engine/nodes/web_answers.py",
    JobErrorCode.PAGE_NEEDS_BROWSER: "engine/nodes/page_scraper.py",
    JobErrorCode.RESPONSE_TOO_LARGE: "engine/outbound/error_messages.py",
    JobErrorCode.NOT_A_LIST: "engine/flow/lists.py",
    JobErrorCode.FILE_NOT_FOUND: "engine/nodes/sent_files.py",
    JobErrorCode.FILE_NOT_TAKEN: "engine/flow/file_values.py",
    JobErrorCode.FILE_NOT_STORED: "engine/jobs/worker/job_files.py",
    JobErrorCode.INPUT_MISSING: "engine/run/step.py",
    JobErrorCode.REFERENCE_MISSING: "engine/run/step.py",
    JobErrorCode.TEMPLATE_ERROR: "engine/flow/template_filters.py",
    JobErrorCode.MODEL_UNREACHABLE: "engine/models/errors.py",
    JobErrorCode.MODEL_KEY_MISSING: "engine/models/errors.py",
    JobErrorCode.MODEL_KEY_REFUSED: "engine/models/errors.py",
    JobErrorCode.MODEL_RATE_LIMITED: "engine/models/errors.py",
    JobErrorCode.OUTPUT_INVALID: "engine/models/errors.py",
}
#: Code of a failed job -> the address whose request fails with its example.
BY_REQUEST = {
    JobErrorCode.ADDRESS_NOT_ALLOWED: "https://10.0.0.1/",
    JobErrorCode.NODE_FAILED: "https://shop.example/",
}


def same(text: str) -> str:
    """Returns a text with numbers, ids and names of keys all alike."""
    text = re.sub(r"\b(job|flow|file|batch|ask|req)_\w+", "ID", text)
    return re.sub(r"\d[\d,.]*", "0", re.sub(r"“[^”]*”|API key \w+", "NAME", text))


def sentences(file: str) -> Iterator[str]:
    """Yields the texts of a file as patterns: what is filled in may be anything."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.escape(node.value)


def stands_in(file: str, text: str) -> bool:
    """Tells whether a text begins with a sentence of the file, of which a part is no filled in value."""
    found = (one for one in sentences(file) if len(one.replace(".+", "")) > 12)
    return any(re.match(f"{one}(\\.|$)" if not one.endswith("\\.") else one, text) for one in found)


async def refusals(house: House) -> dict[str, httpx.Response]:
    """Makes each refusal that a call in process gets, as in the examples."""
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    flow = f"/flows/execute/{house.flow_id}"
    found: dict[str, httpx.Response] = {}

    def keep(response: httpx.Response) -> None:
        found[response.json()["code"]] = response

    keep(await house.post(flow, content=b'{"url": "https://a.exam" 1}', headers={"Content-Type": "application/json"}))
    keep(await house.post(flow, content=b"x", headers={"Content-Type": "text/plain"}))
    keep(await house.get("/jobs/job_1?wait=x"))
    keep(await house.get("/jobs/" + "job_" + "x" * 22))
    keep(await house.get("/flows", key="fp_live_none"))
    keep(await house.post(flow, {"url": "https://a.example"}, house.new_key(flow_ids=[house.new_flow("Other")]).key))
    keep(await house.post(f"/flows/execute/{house.new_flow(deployed=False)}", {}))
    keep(await house._call("PUT", "/jobs", None))
    keep(await house.get("/flows", headers={"Accept": "text/html"}))
    keep(await house.post("/files", content=part + b"a", headers=form))
    keep(await house.post("/files", content=b"", headers={**form, "Content-Length": str(60 << 20)}))
    keep(
        await house.post(flow, content=b"", headers={"Content-Type": "application/json", "Content-Length": "99999999"})
    )
    stored = await house.post("/files", content=part + b"ab\r\n--x--\r\n", headers=form)
    keep(await house.get(f"/files/{stored.json()['file_id']}", headers={"Range": "bytes=9-"}))
    keep(await house.post(flow, {"url": "https://a.example", "max_pages": "5"}))
    job = (await house.submit(headers={"Idempotency-Key": "k"})).json()["job_id"]
    keep(await house.submit({"url": "https://b.example"}, headers={"Idempotency-Key": "k"}))
    house.finish(job)
    keep(await house.post(f"/jobs/{job}/cancel"))
    gone = (await house.submit()).json()["job_id"]
    house.finish(gone, result=None)
    keep(await house.get(f"/jobs/{gone}"))
    batch = (await house.post(f"{flow}/batch", {"items": [{"url": "https://a.example"}]})).json()
    house.finish(batch["job_ids"][0])
    keep(await house.post(f"/batches/{batch['batch_id']}/cancel"))
    asked = asks_person(house.database, (await house.submit()).json()["job_id"], {})
    keep(await house._call("DELETE", f"/jobs/{asked.job_id}/data", None))
    for _ in range(2):
        answer = await house.post(f"/jobs/{asked.job_id}/questions/{asked.id}/answer", {"approved": True})
    keep(answer)
    for _ in range(5):
        full = await house.submit()
    keep(full)
    house.api.state.context.rates.clock = lambda: 0.0
    for _ in range(60):
        fast = await house.get("/flows")
    keep(fast)
    return found


async def test_the_example_of_a_refusal_is_the_answer_of_the_server(house: House):
    found = await refusals(house)

    assert found.keys() == EXAMPLES.keys() - ELSEWHERE.keys()
    for code, response in found.items():
        told = {name: value for name, value in response.json().items() if name != "request_id"}
        example = {name: value for name, value in EXAMPLES[code].items() if name != "request_id"}
        assert comparable(told) == comparable(example)


async def late(begin: bytes) -> AsyncIterator[bytes]:
    """The body of a request of which only the begin arrives."""
    yield begin
    await asyncio.sleep(60)


async def test_the_examples_of_each_call_in_the_document_are_its_answers(house: House):
    house.api.state.context.rates.clock = itertools.count().__next__
    job = (await house.submit()).json()["job_id"]
    flow = f"/flows/execute/{house.flow_id}"
    form = {"Content-Type": "multipart/form-data; boundary=x", "Idempotency-Key": "k"}
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%d\r\n--x--\r\n'
    await house.post("/files", content=part % 1, headers=form)
    bodies: dict[str, Any] = {
        "run_flow": {"json": {"url": "https://a.example"}},
        "run_flow_batch": {"json": {"items": [{"url": "https://a.example"}]}},
        "answer_question": {"json": {"approved": True}},
    }
    wrong = {"url": "https://a.example", "max_pages": "5"}
    own = {
        "run_flow_batch": [await house.post(f"{flow}/batch", {"items": [{"url": "https://a.example"}, wrong]})],
        "answer_question": [await house.post(f"/jobs/{job}/questions/ask_1/answer", {"approved": "yes"})],
        "upload_file": [
            await house.post("/files", content=part % 2, headers=form),
            await house.post("/files", content=b"a", headers={"Content-Type": "text/plain"}),
        ],
    }
    context = house.api.state.context
    context.uploads.piece_seconds, context.bodies.limits = 0.01, BodyLimits(receive_seconds=0.01)
    late_file = await house.post("/files", content=late(part % 1), headers=form)
    late_body = await house.submit_stream(late(b"{"))
    late_head = httpx.Response(408, json=problem_body(RequestTimeout(), ""))  # `BoundedHttp.look` refuses so
    context.uploads.piece_seconds, context.bodies.limits = PIECE_SECONDS, BodyLimits()
    for path, calls in api_document()["paths"].items():
        at = path.removeprefix("/public/v1").replace("{job_id}/questions/{", f"{job}/questions/{{")
        at = re.sub(r"\{(\w+)_id\}", r"\1_1", at).replace("question_1", "ask_1")
        for method, call in calls.items():
            name = call["operationId"]
            examples = {
                code: example["value"]
                for answer in call["responses"].values()
                for code, example in answer.get("content", {}).get(PROBLEM_TYPE, {}).get("examples", {}).items()
            }
            assert all(code == example["code"] for code, example in examples.items()), name
            query = "wait=x" if any(one["name"] == "wait" for one in call["parameters"]) else "page=2"
            answers = [
                *own.get(name, ()),
                await house._call("PUT", at, None),
                await house._call(method.upper(), f"{at}?{query}", None, **bodies.get(name, {})),
            ]
            answers.append(late_file if name == "upload_file" else late_body if "requestBody" in call else late_head)
            if "not_acceptable" in examples:
                answers.append(await house._call(method.upper(), at, None, headers={"Accept": "image/png"}))
            if "not_found" in examples:
                answers.append(await house._call(method.upper(), at, None, **bodies.get(name, {})))
            for answer in answers:
                told, example = answer.json(), examples[answer.json()["code"]]
                assert comparable(told | {"request_id": ""}) == comparable(example | {"request_id": ""}), name


async def test_the_example_of_too_many_requests_without_a_key_names_none(house: House):
    house.api.state.context.rates.clock = lambda: 0.0
    for _ in range(WITHOUT_A_KEY + 1):
        answer = await house.get("/openapi.json", key="none")
    (call,) = (
        call for calls in api_document()["paths"].values() for call in calls.values() if call.get("security") == []
    )
    example = call["responses"]["429"]["content"][PROBLEM_TYPE]["examples"]["rate_limited"]["value"]

    assert comparable(answer.json() | {"request_id": ""}) == comparable(example | {"request_id": ""})


def comparable(problem: dict[str, Any]) -> dict[str, Any]:
    return problem | {"detail": same(problem["detail"])}


@pytest.mark.parametrize("code", [code for code, file in ELSEWHERE.items() if file])
def test_the_example_of_another_refusal_has_the_sentence_of_the_code_that_raises_it(code: str):
    assert stands_in(str(ELSEWHERE[code]), EXAMPLES[code]["detail"])


def test_the_examples_of_failed_jobs_have_the_sentences_of_the_code_that_raises_them():
    assert OF_JOBS.keys() | BY_REQUEST.keys() == JOB_ERROR_EXAMPLES.keys()
    for code, file in OF_JOBS.items():
        message = JOB_ERROR_EXAMPLES[code][0]
        of_file = re.match(r"`\w+`: ", message)  # the field is named by API Input
        assert stands_in(file, message[of_file.end() :] if of_file else message), code


async def test_the_examples_of_requests_are_what_the_client_says():
    outbound = OutboundClient(None, Names(), RecordedNetwork())
    for code, url in BY_REQUEST.items():
        with pytest.raises((OutboundFailed, OutboundRefused)) as refused:
            await outbound.request("GET", url)
        assert (published_code(refused.value.code), refused.value.message) == (code, JOB_ERROR_EXAMPLES[code][0])
    await outbound.aclose()
