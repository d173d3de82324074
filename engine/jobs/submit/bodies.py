"""What accepting a job needs of a version of a flow, and a body that was checked against its fields."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cachetools import LRUCache, cached
from msgspec import Struct
from pydantic import JsonValue
from sqlalchemy.orm import Session

from engine.core.errors import NotFound, WrongFields
from engine.flow.contract import input_fields, result_schema
from engine.flow.document import Document, load_document
from engine.flow.node_context import JsonSchema
from engine.flow.payload_check import has_patterns
from engine.flow.validation import without_parked
from engine.nodes import CATALOG
from storage.flows import find_document


class SubmitOptions(Struct, frozen=True):
    """What a request asks for beside its payload. `route` is part of the scope of the Idempotency-Key."""

    version: int | None = None
    cancel_after_seconds: float | None = None
    webhook_url: str | None = None
    idempotency_key: str | None = None
    request_id: str = ""
    #: The caller's trace, as `engine.core.trace_context.TraceContext.dumps` writes it.
    trace: str | None = None
    route: str = ""
    #: What starts the job without a call: `schedule:` or `hook:` and an id.
    trigger: str | None = None


class Version(Struct, frozen=True):
    """The data of a version that accepting a job needs."""

    fields: tuple[Mapping[str, Any], ...]
    #: Whether checking a small body may take longer than a moment.
    has_patterns: bool
    steps: int
    #: The JSON Schema of a job's result.
    result: JsonSchema


#: Applies the defaults of a version's fields to a body; returns the body and the errors found in it.
WithDefaults = Callable[[Sequence[Mapping[str, Any]], Mapping[str, Any]], tuple[Any, WrongFields]]


class NotChecked(Exception):  # an expected event: the caller checks the body and comes again
    """A body was not checked before the transaction, for the version that counts in it. In a transaction nothing is held
    against patterns.
    """


#: How often a body is checked again because another version went live meanwhile, or something else has changed.
MAX_CHECKS: Final = 4


class CheckedBody(Struct, frozen=True):
    """A body with the defaults of a version, or the errors in it. `fingerprint` is empty when the request has no
    Idempotency-Key.
    """

    flow_version: int
    clean: Any
    errors: WrongFields
    fingerprint: str


def body_for(
    session: Session,
    flow_id: str,
    number: int,
    body: Mapping[str, Any],
    options: SubmitOptions,
    with_defaults: WithDefaults,
    checked: CheckedBody | None = None,
) -> CheckedBody:
    """Returns the body with the defaults of this version: `checked` when it was made for the same version. Raises
    NotChecked when a flow with patterns needs a check.
    """
    if checked is not None and checked.flow_version == number:
        return checked
    version = read_version(session, flow_id, number)
    if version.has_patterns:
        raise NotChecked
    return checked_body(number, version.fields, body, options, with_defaults)


def checked_body(
    number: int,
    fields: Sequence[Mapping[str, Any]],
    body: Mapping[str, Any],
    options: SubmitOptions,
    with_defaults: WithDefaults,
) -> CheckedBody:
    """Returns the body with the defaults of these fields, those of version `number`."""
    clean, errors = with_defaults(fields, body)
    needed = options.idempotency_key is not None and not errors
    return CheckedBody(number, clean, errors, fingerprint_of(clean, options) if needed else "")


#: Cached data of versions. A version never changes, so an entry stays valid.
_KEPT_VERSIONS = 512


@cached(LRUCache(_KEPT_VERSIONS), key=lambda *arguments: arguments[1:], lock=threading.Lock())
def read_version(session: Session, flow_id: str, number: int) -> Version:
    """Returns the fields, the number of steps and the schema of the result of a version. Raises NotFound."""
    text = find_document(session, flow_id, number)
    if text is None:
        raise NotFound(f"Version {number} of this flow does not exist")
    document = load_document(text)
    fields = tuple(input_fields(document))
    return Version(fields, has_patterns(fields), steps_of(document), result_schema(document, CATALOG))


def steps_of(document: Document) -> int:
    """Returns how many steps a run has when no node runs per item."""
    return len(without_parked(document).nodes)


def fingerprint_of(body: Any, options: SubmitOptions | None) -> str:
    """Returns a SHA-256 that is equal for equal bodies (in any order of keys) and options; without `options`, of the
    body alone.
    """
    asked = None if options is None else [options.version, options.cancel_after_seconds, options.webhook_url]
    said = body if options is None else [_comparable(body), asked]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _comparable(value: JsonValue | tuple[JsonValue, ...]) -> JsonValue:
    """Returns the value with equal numbers in the same form: `1.0` becomes `1`."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {name: _comparable(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_comparable(inner) for inner in value]
        case _:
            return value
