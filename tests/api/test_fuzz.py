"""Any request gets a published response and never an internal error (rule L10)."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx

from api.http.schemas import ProblemDetails
from engine.actions.limits import set_plan
from tests.api.arrange import House

ROUNDS = 400
WORDS = [
    "",
    "0",
    "-1",
    "x" * 300,
    "é",
    "\\u0000",
    "'; drop table jobs; --",
    "{{ 7*7 }}",
    "%00",
    "null",
    "1e999",
    "wait=9",
]
HEADERS = ["Accept", "Prefer", "Idempotency-Key", "Cancel-After", "X-Flow-Version", "X-Webhook-Url", "If-None-Match"]
HEADERS += ["Last-Event-ID", "X-Request-Id", "traceparent", "Content-Type", "Content-Encoding"]
NAMES = ["wait", "limit", "cursor", "status", "flow_id", "created_after", "other"]


def any_value(dice: random.Random, depth: int = 0) -> Any:
    kinds = [None, True, -(2**63), 2**70, 1.5, "text", "\x00", "🎈", "\ud800"]
    if depth < 4 and dice.random() < 0.4:
        if dice.random() < 0.5:
            return [any_value(dice, depth + 1) for _ in range(dice.randrange(4))]
        return {
            dice.choice(["url", "tags", "items", "max_pages", "", "é"]): any_value(dice, depth + 1) for _ in range(3)
        }
    return dice.choice(kinds)


def any_body(dice: random.Random) -> bytes:
    content = json.dumps(any_value(dice)).encode()
    match dice.randrange(5):
        case 0:
            return dice.randbytes(dice.randrange(50))
        case 1:
            at = dice.randrange(len(content))
            return content[:at] + dice.randbytes(2) + content[at:]
        case 2:
            return json.dumps({"url": "https://example.com", "tags": any_value(dice)}).encode()
    return content


def any_request(dice: random.Random, house: House, known: list[str]) -> httpx.Request:
    thing = dice.choice(
        [house.flow_id, *known, *[httpx.URL("http://x/", params={"a": word}).query.decode()[2:] for word in WORDS]]
    )
    path = dice.choice(
        [
            f"/flows/execute/{house.flow_id}",
            f"/flows/execute/{house.flow_id}/batch",
            f"/flows/execute/{thing}",
            f"/jobs/{thing}",
            f"/jobs/{thing}/cancel",
            f"/batches/{thing}",
            "/jobs",
            "/flows",
            f"/flows/{thing}/openapi.json",
        ]
    )
    headers = {"Authorization": f"Bearer {house.key}", "Content-Type": "application/json"}
    for _ in range(dice.randrange(3)):
        headers[dice.choice(HEADERS)] = dice.choice(WORDS).encode("latin-1", "replace").decode("latin-1")
    query = {name: dice.choice(WORDS) for name in dice.sample(NAMES, dice.randrange(3)) if name != "wait"}
    method = dice.choice(["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS"])
    return house.client.build_request(
        method,
        f"/public/v1{path}",
        params=query,
        headers={name: value.encode("latin-1") for name, value in headers.items()},
        content=any_body(dice) if method in {"POST", "PUT"} else None,
    )


async def test_no_request_brings_the_api_down(house: House):
    dice = random.Random(17)
    house.database.write_now(set_plan, house.principal, "enterprise")
    known = [(await house.submit()).json()["job_id"]]
    house.finish(known[0])
    for _ in range(ROUNDS):
        request = any_request(dice, house, known)
        request.headers["Prefer"] = "wait=0"
        response = await house.client.send(request)
        assert response.status_code < 500, (request.method, request.url, response.text)
        if response.status_code >= 400 and request.method != "HEAD":
            assert response.headers["content-type"] == "application/problem+json"
            ProblemDetails.model_validate(response.json())
