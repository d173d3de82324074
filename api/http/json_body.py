"""Reads JSON request bodies and enforces the limits on them before the body is used.

The limits: 10 MiB, 30 s to arrive, nesting of 64, 10,000 keys (in a batch: in each item), 200,000 values, integers of
at most 64 bits, no NaN or Infinity, no duplicate keys in an object, valid UTF-8. An empty body counts as `{}`. All large
bodies together may have 128 MiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from api.http.parameters import single_header
from api.http.parser_words import json_words
from api.http.problem_json import Compressed, RequestTimeout, UnsupportedMediaType
from engine.core.body_limits import MAX_BODY_BYTES, MAX_VALUES
from engine.core.coroutines import resumed
from engine.core.errors import FieldError, InvalidJson, PayloadInvalid, TooLarge, TooManyConnections
from engine.core.json_shape import TooDeep, TooManyKeys, TooManyValues, check_shape

T = TypeVar("T")

MAX_DEPTH = 64
MAX_KEYS = 10_000
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
#: Larger bodies are parsed in a thread, so that the event loop is not blocked.
_IN_THREAD = 64 * 1024

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class BodyLimits:
    """The size limit of a body, its time limit, and the limit of all large bodies together."""

    max_bytes: int = MAX_BODY_BYTES
    receive_seconds: float = 30
    bytes_in_flight: int = 128 * 1024 * 1024


@dataclass
class _Body:
    """A body that is being received. `counted`: how many of its bytes count towards `bytes_in_flight`."""

    data: bytearray = field(default_factory=bytearray)
    counted: int = 0

    def taken(self) -> bytes:
        """Returns the bytes, of which nothing is kept here."""
        whole = bytes(self.data)
        self.data.clear()
        return whole


class Bodies:
    """Receives the request bodies of a process; only its event loop may use it.

    Bodies above 64 KiB count towards `bytes_in_flight` until they are parsed (in `received` and `read_and_held`: until the
    block ends). Smaller ones do not count and are never refused for it.
    """

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        self._in_flight = 0
        #: Workspace -> the bytes of its large bodies that wait.
        self._waiting: dict[str, int] = {}

    async def read_json(
        self, request: Request, parse: Callable[[bytes], dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Returns the body as an object, parsed by `parse` or else by `parse_object`. Raises UnsupportedMediaType,
        TooLarge, TooManyConnections, RequestTimeout, InvalidJson, PayloadInvalid, ParameterInvalid and
        ClientDisconnect.
        """
        _check_media_type_of(request)
        async with self._received(request) as body:
            return await _beside(parse or parse_object, body) if body.strip() else {}

    @contextlib.asynccontextmanager
    async def read_and_held(
        self, request: Request, workspace_id: str, parse: Callable[[bytes], dict[str, Any]]
    ) -> AsyncIterator[dict[str, Any]]:
        """Context manager with what `read_json` returns. The body counts until the block ends, in which it may wait for its
        check. Raises what `read_json` and `waiting` raise.
        """
        _check_media_type_of(request)
        async with self._received(request) as body:
            size = len(body)
            value = await _beside(parse, body) if body.strip() else {}
            del body
            with self.waiting(workspace_id, size):
                yield value

    @contextlib.contextmanager
    def waiting(self, workspace_id: str, size: int) -> Iterator[None]:
        """Context manager in which a body that has arrived waits. Raises TooManyConnections when other large bodies of this
        workspace wait and have with it more than a quarter of `bytes_in_flight`.
        """
        if size <= _IN_THREAD:
            yield
            return
        before, most = self._waiting.get(workspace_id, 0), self.limits.bytes_in_flight // 4
        if before and before + size > most:
            raise TooManyConnections(
                f"The large bodies of this workspace that are being checked have {_mebibytes(most)} together",
                remedy="Send the request again in a few seconds, or a smaller one.",
            )
        self._waiting[workspace_id] = before + size
        try:
            yield
        finally:
            self._waiting[workspace_id] -= size
            if not self._waiting[workspace_id]:
                del self._waiting[workspace_id]

    @contextlib.asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """Context manager with the bytes of a body, after the limits of time and size are checked; their content is not
        looked at. The body counts towards `bytes_in_flight` until the block ends. Raises TooLarge, TooManyConnections,
        RequestTimeout and ClientDisconnect.
        """
        async with self._received(request) as body:
            yield body

    @contextlib.asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[bytes]:
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self.limits.max_bytes:
            raise self._too_large()
        body = _Body()
        try:
            running = self._receive(request, body)
            try:
                first = running.send(None)
            except StopIteration:
                pass  # it had arrived before, as a small body usually has
            else:
                await self._in_time(running, first)
            yield body.taken()
        finally:
            self._in_flight -= body.counted

    async def _in_time(self, running: Coroutine[Any, Any, None], first: object) -> None:
        try:
            async with asyncio.timeout(self.limits.receive_seconds):
                await resumed(running, first)
        except TimeoutError:
            late = f"Its body did not arrive in full within {self.limits.receive_seconds:g} seconds"
            raise RequestTimeout(late) from None

    async def _receive(self, request: Request, body: _Body) -> None:
        async for chunk in request.stream():
            body.data += chunk
            size = len(body.data)
            if size > self.limits.max_bytes:
                raise self._too_large()
            if size > _IN_THREAD:
                self._in_flight += size - body.counted
                body.counted = size
                if self._in_flight > self.limits.bytes_in_flight:
                    most = _mebibytes(self.limits.bytes_in_flight)
                    raise TooManyConnections(
                        f"The large bodies that are being received have {most} together",
                        remedy="Send the request again in a few seconds, or a smaller one.",
                    )

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body may have {_mebibytes(self.limits.max_bytes)}")


def _check_media_type_of(request: Request) -> None:
    content_type = single_header(request, "Content-Type")
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        check_media_type(content_type, request.headers.get("content-encoding"))


async def _beside(work: Callable[[bytes], T], body: bytes) -> T:
    """Returns the result of `work`, which runs in a thread for a large body."""
    return await asyncio.to_thread(work, body) if len(body) > _IN_THREAD else work(body)


async def parsed_json(body: bytes) -> Any:
    """Returns what `parse_json` does, and raises the same. A large body is parsed in a thread."""
    return await _beside(parse_json, body)


def may_be_large(request: Request) -> bool:
    """Tells whether the body is announced as large, or sent without a length."""
    announced = request.headers.get("content-length", "")
    return int(announced) > _IN_THREAD if announced.isdigit() else "transfer-encoding" in request.headers


def parse_object(body: bytes) -> dict[str, Any]:
    """Parses the body as a JSON object. Raises as `parse_json`, and PayloadInvalid for any other JSON value."""
    return _as_object(parse_json(body))


def parse_batch(body: bytes) -> dict[str, Any]:
    """Does what `parse_object` does for the body of a batch: each item may have as many keys as the body of a submit."""
    value = _as_object(parse_json(body, most_keys=None))
    if body.count(b":") <= MAX_KEYS:
        return value
    items = value.get("items")
    for position, item in enumerate(items if isinstance(items, list) else ()):
        if (keys := _keys_in(item)) > MAX_KEYS:
            raise InvalidJson(f"The item `/items/{position}` has {keys:,} keys; {MAX_KEYS:,} are allowed")
    return value


def _keys_in(value: Any) -> int:
    """Returns how many keys a value has at all levels."""
    count, waiting = 0, [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            count += len(inner)
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner
    return count


def _as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}.get(type(value), "a number")
        wrong = FieldError("", "type_error", f"expected an object, got {kind}")
        raise PayloadInvalid("The body must be a JSON object", errors=(wrong,))
    return value


def parse_json(body: bytes, most_keys: int | None = MAX_KEYS) -> Any:
    """Parses a JSON value within the limits; with `most_keys` None its keys are limited only as its values are. Raises
    InvalidJson with a message that quotes no value.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"It is not valid UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise InvalidJson("It begins with a byte order mark (BOM); send it without")
    _check_shape(body, most_keys)
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError:
        raise InvalidJson("A \\u escape names half of a character (a lone surrogate)") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{json_words(error.msg)}, at line {error.lineno}, column {error.colno}") from None
    return value


def _check_shape(body: bytes, most_keys: int | None) -> None:
    """Checks nesting and the number of keys and values before anything is parsed."""
    try:
        check_shape(body, most_values=MAX_VALUES, most_keys=most_keys, max_depth=MAX_DEPTH)
    except TooManyValues:
        raise _too_many_values() from None
    except TooManyKeys as error:
        raise InvalidJson(f"It has {error.keys:,} keys; {most_keys:,} are allowed") from None
    except TooDeep:
        raise _too_deep() from None


def _too_many_values() -> InvalidJson:
    return InvalidJson(
        f"It has more than {MAX_VALUES:,} values, counting each list and object: they would take too much memory",
        remedy="Split the request, or send an address of the data instead of the data.",
    )


def _too_deep() -> InvalidJson:
    return InvalidJson(f"It nests lists and objects more than {MAX_DEPTH} levels deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise InvalidJson(f"The key {json.dumps(twice[:100])} stands twice in one object")
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or not _LOWEST <= (value := int(digits)) <= _HIGHEST:
        raise InvalidJson("A whole number does not fit in 64 bit")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidJson("A number is too large")
    return value


def _no_constant(name: str) -> None:
    raise InvalidJson(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole_number, parse_float=_number, parse_constant=_no_constant
)


def check_media_type(content_type: str | None, encoding: str | None) -> None:
    """Requires JSON in UTF-8 that is not compressed. Raises UnsupportedMediaType."""
    kind, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    if not content_type:
        raise UnsupportedMediaType("It came without a Content-Type")
    if kind != "application/json":
        raise UnsupportedMediaType(f"It came as {kind[:100]}" if kind else "Its Content-Type cannot be read")
    if any(parameter.startswith("charset=") and parameter[8:].strip('"') != "utf-8" for parameter in parameters):
        raise UnsupportedMediaType(
            "Only UTF-8 is read", remedy="Send UTF-8, with the header `Content-Type: application/json`"
        )
    if encoding and encoding.strip().lower() != "identity":
        raise Compressed


def _mebibytes(size: int) -> str:
    return f"{size // (1024 * 1024)} MiB"
