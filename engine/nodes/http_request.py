"""Use another service on the web.

Choose a method and give the full address. **Query** values are added to the address. **Body** is what is sent along:
**Named values**, like `to` and `text`, which the service gets as JSON, or a **Text**, which it gets as it is. A single chip of a
group or list is sent as JSON, too. Passwords and keys belong into **Secret headers**: they hold the name of
a header and one of your secrets, and the value is never shown or stored with a job. A secret goes only to the hosts that it
names: with another address the step fails before anything is sent.

`body` is the answer as text, `json` the same as data when it is JSON (else null, also with more than 200,000 values), next to `status` and `headers` (their names in
lower case). An answer of 400 or more fails the step with `http_status`; where **Tries again** is more than 0, 408, 425, 429 and
5xx are tried again. Switch off **Fail when the service reports an error** to decide yourself with a Condition.

A POST carries an `Idempotency-Key` that stays the same over all tries of a step, so that a service which knows it does the work
once; one of your own among the headers counts instead. Public addresses are open at the ports 80, 443, 8080 and 8443. Other ports, and addresses inside private networks, are closed
until the owner opens them; such a step fails with `address_not_allowed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from engine.core.body_limits import MAX_VALUES
from engine.core.errors import Problem
from engine.core.json_shape import TooManyValues
from engine.core.lone_surrogates import whole_utf8, without_lone_surrogates
from engine.flow.document import Document, Node
from engine.flow.json_values import is_small, read_strictly
from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Text
from engine.flow.references import as_text
from engine.nodes.web_answers import status_failure

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]


class Config(NodeConfig):
    method: Method = Field(
        "GET", title="Method", description="GET reads; POST sends. PUT, PATCH and DELETE change or remove something."
    )
    secret_headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=20,
        title="Secret headers",
        description="Headers filled from secrets, like Authorization.",
        json_schema_extra={"widget": "secrets", "item": "header"},
    )
    fail_on_status: bool = Field(
        True,
        title="Fail when the service reports an error",
        description="Off: the step goes on, and later steps can look at `status`.",
    )


class Inputs(NodeInputs):
    url: Text = Field(title="Web address", description="The full address, like https://api.example.com/v1/items.")
    headers: dict[str, Any] = Field(
        default_factory=dict,
        title="Headers",
        description="What is sent with the request, but for values that are null. Keys and passwords belong into Secret headers.",
    )
    query: dict[str, Any] = Field(
        default_factory=dict,
        title="Query",
        description="Added to the address, like ?page=2. Values that are null are left out; an empty text is sent as it is.",
    )
    body: Any = Field(
        None,
        title="Body",
        description="What is sent along: a text, or named values.",
        json_schema_extra={"widget": "textarea", "named": True},
    )


def sends_something(node: Node) -> bool:
    """Whether a step asks a service to do something, rather than to give something."""
    return node.type == NODE.type and str(node.config.get("method") or "GET") not in {"GET", "HEAD"}


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Sends one request and follows its redirects."""
    headers = _texts(inputs.headers)
    content, content_type = _body(inputs.body)
    given = {name.lower() for name in (*headers, *config.secret_headers)}
    if content_type and "content-type" not in given:
        headers["Content-Type"] = content_type
    if config.method == "POST" and "idempotency-key" not in given:
        headers["Idempotency-Key"] = context.idempotency_key
    answer = await context.http.request(
        config.method,
        inputs.url,
        headers=headers,
        secret_headers={name: await context.secret(secret_id) for name, secret_id in config.secret_headers.items()},
        query=_texts(inputs.query),
        content=content,
        timeout_seconds=context.timeout_seconds,
    )
    if config.fail_on_status and answer.status >= 400:
        raise status_failure(answer, inputs.url)
    text = answer.text()
    try:
        value = _json(text) if is_small(text) else await context.in_thread(_json, text)
    except TooManyValues:
        value = None
        context.warn(
            f"`json` is empty: the answer has more than {MAX_VALUES:,} values, counting each list and object, which would "
            "take too much memory. Ask the service for less at once, like one page of its list."
        )
    return {
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": text,
        "json": value,
    }


def _texts(values: Mapping[str, Json]) -> dict[str, str]:
    """Returns the values as text, without null: a header or parameter whose data is missing is not sent."""
    return {name: without_lone_surrogates(as_text(value)) for name, value in values.items() if value is not None}


def _body(body: Json) -> tuple[bytes | None, str]:
    if body is None or body == "":
        return None, ""
    content = whole_utf8(as_text(body))
    return content, "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"


def _json(text: str) -> Json:
    """Returns a text as JSON; null when it is no JSON. Raises TooManyValues."""
    try:
        return read_strictly(text)
    except TooManyValues:
        raise
    except ValueError:
        return None


def _check(node: Node, document: Document) -> list[Problem]:
    found: list[Problem] = []
    secrets: JsonValue = node.config.get("secret_headers")
    for name, secret_id in (secrets if isinstance(secrets, dict) else {}).items():
        if not secret_id:
            message = f"Choose the secret for the header `{name}`."
            found.append(Problem("no_secret", message, node.id, "/config/secret_headers", blocks_import=False))
    return found


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "status": {"type": "integer", "title": "Status"},
        "headers": {"type": "object", "title": "Headers", "additionalProperties": {"type": "string"}},
        "body": {"type": "string", "title": "Body"},
        "json": {"title": "Body as data"},
    }
    return {"type": "object", "properties": fields, "required": list(fields)}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    url = inputs.get("url")
    method = str(config.get("method") or "GET")
    return f"{method} {url}"[:60] if isinstance(url, str) and url else method


NODE = NodeType(
    type="http_request",
    title="HTTP Request",
    group="web",
    icon="http",
    synonyms=(
        "api, rest, call, service, fetch, get, post, send, webhook, curl, another program, integration, download, "
        "send mail, send e-mail, send email, mail, e-mail, email, send a message, notify, sms, another system, "
        "other program, tell another program, tell somebody, send to, alarm, alert, call a service, webhook out"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    timeout_seconds=30.0,
    check=_check,
    example=({"method": "GET"}, {"url": "https://practice.flowport.example/prices.json"}),
)
