"""Reads JSON request bodies and enforces the limits on them before the body is used.

The limits: 10 MiB, 30 s to arrive, nesting of 64, 10,000 keys (in a batch: in each item), 200,000 values, integers of
signed 64 bits, no NaN or Infinity, no duplicate keys in an object, valid UTF-8. An empty body counts as `{}`. All bodies
that are being received share 128 MiB (`api.http.shared_room`).
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import Struct
from starlette.requests import Request

from api.http.header_fields import split_unquoted
from api.http.parameters import single_header
from api.http.parser_words import json_words
from api.http.problem_json import Compressed, RequestTimeout, UnsupportedMediaType
from api.http.shared_room import GivenUp, RoomPlace, SharedRoom
from engine.core.body_limits import MAX_BODY_BYTES, MAX_VALUES
from engine.core.coroutines import resumed
from engine.core.errors import FieldError, InvalidJson, PayloadInvalid, TooLarge
from engine.core.json_shape import TooDeep, TooManyKeys, TooManyValues, check_shape
from engine.jobs.submit.check_threads import CheckThreads

T = TypeVar("T")

#: What may stand around JSON (RFC 8259), and alone counts as an empty body.
JSON_BLANKS = b" \t\r\n"
MAX_DEPTH = 64
MAX_KEYS = 10_000
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
#: Larger bodies are parsed in a thread, so that the event loop is not blocked, and checked in those of `BodyChecks`.
LARGE = 64 * 1024

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyLimits(Struct, frozen=True):
    """The size limit of a body, its time limit, and what all bodies that are being received have together: half of it those
    of one owner.
    """

    max_bytes: int = MAX_BODY_BYTES
    receive_seconds: float = 30
    bytes_in_flight: int = 128 * 1024 * 1024


class Weighed(NamedTuple):
    """A parsed body, and about how many bytes of memory it needs."""

    value: dict[str, Any]
    weight: int


class Received:
    """A body that has arrived."""

    def __init__(self, bodies: Bodies, place: RoomPlace, data: bytes) -> None:
        self.data = data
        self._bodies = bodies
        self._place = place

    async def read(self, work: Callable[[bytes], T]) -> T:
        """Returns the result of `work` with the bytes. Of a large body it runs in a thread, for each owner one at a time.
        Raises what `work` raises, TooManyConnections and RateLimited.
        """
        if len(self.data) <= LARGE:
            return work(self.data)
        bodies = self._bodies
        try:
            async with self._place.within(bodies.limits.receive_seconds):
                return await bodies.threads.run(self._place.owner, "", work, self.data)
        except (GivenUp, TimeoutError):
            raise bodies.room.refusal() from None


class Bodies:
    """Receives the request bodies of a process; only its event loop may use it.

    A body has a place in `room` from its first byte until it is parsed (in `received`: until the block ends), unless it
    has at most 64 KiB and arrives at once.
    """

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        #: In which large bodies are read.
        self.threads = CheckThreads("body")
        most = limits.bytes_in_flight
        self.room = SharedRoom(
            most,
            most // 2,
            f"The bodies that are being received have {_mebibytes(most)} together, half of it for one caller",
        )

    async def read_json(self, request: Request, owner: str, parse: Callable[[bytes], Weighed] | None = None) -> Weighed:
        """Returns the body as an object, parsed by `parse` or else by `weighed_object`. `owner`: on whose account it is
        received, for example a workspace. Raises UnsupportedMediaType, TooLarge, TooManyConnections, RequestTimeout,
        RateLimited, InvalidJson, PayloadInvalid, ParameterInvalid and ClientDisconnect.
        """
        content_type, encoding = single_header(request, "Content-Type"), request.headers.getlist("content-encoding")
        announced = request.headers.get("content-length", "0") != "0"
        if announced:
            check_media_type(content_type, encoding)
        async with self.received(request, owner) as body:
            if body.data and not announced:  # a chunked body is known to be empty only at its end
                check_media_type(content_type, encoding)
            if not body.data.strip(JSON_BLANKS):
                return Weighed({}, sys.getsizeof({}))
            return await body.read(parse or weighed_object)

    @contextlib.asynccontextmanager
    async def received(self, request: Request, owner: str) -> AsyncIterator[Received]:
        """Context manager with a body, after the limits of time and size are checked; their content is not
        looked at. Raises TooLarge, TooManyConnections, RequestTimeout and ClientDisconnect.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self.limits.max_bytes:
            raise self._too_large()
        data = bytearray()
        with self.room.place(owner) as place:
            running = self._receive(request, data, place)
            try:
                first = running.send(None)
            except StopIteration:
                pass  # it had arrived before, as a small body usually has
            else:
                await self._in_time(running, first, data, place)
            body = Received(self, place, bytes(data))
            data.clear()
            try:
                yield body
            finally:
                body.data = b""  # also for those who still have it

    async def _in_time(
        self, running: Coroutine[Any, Any, None], first: object, data: bytearray, place: RoomPlace
    ) -> None:
        try:
            async with place.within(self.limits.receive_seconds):
                place.take(max(1, len(data)))  # from now on it counts
                await resumed(running, first)
        except GivenUp:
            raise self.room.refusal() from None
        except TimeoutError:
            late = f"Its body did not arrive in full within {self.limits.receive_seconds:g} seconds"
            raise RequestTimeout(late) from None

    async def _receive(self, request: Request, data: bytearray, place: RoomPlace) -> None:
        async for chunk in request.stream():
            data += chunk
            size = len(data)
            if size > self.limits.max_bytes:
                raise self._too_large()
            if place.taken or size > LARGE:
                place.arrived(len(chunk))
                place.take(size)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body may have {_mebibytes(self.limits.max_bytes)}")


def may_be_large(request: Request) -> bool:
    """Tells whether the body is announced as large, or sent without a length."""
    announced = request.headers.get("content-length", "")
    return int(announced) > LARGE if announced.isdigit() else "transfer-encoding" in request.headers


def weighed_object(body: bytes) -> Weighed:
    """Parses the body as a JSON object. Raises as `parse_json`, and PayloadInvalid for any other JSON value."""
    value, weight = weighed_json(body)
    return Weighed(_as_object(value), weight)


def weighed_batch(body: bytes) -> Weighed:
    """Does what `weighed_object` does for the body of a batch: each item may have as many keys as the body of a submit."""
    value, weight = weighed_json(body, most_keys=None)
    value = _as_object(value)
    if body.count(b":") > MAX_KEYS:
        items = value.get("items")
        for position, item in enumerate(items if isinstance(items, list) else ()):
            if (keys := _keys_in(item)) > MAX_KEYS:
                raise InvalidJson(f"The item `/items/{position}` has {keys:,} keys; {MAX_KEYS:,} are allowed")
    return Weighed(value, weight)


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


def parse_json(body: bytes) -> Any:
    """Parses a JSON value within the limits. Raises InvalidJson with a message that quotes no value."""
    return weighed_json(body)[0]


def weighed_json(body: bytes, most_keys: int | None = MAX_KEYS) -> tuple[Any, int]:
    """Does what `parse_json` does, and returns with the value about how many bytes of memory it needs. With `most_keys` None
    its keys are limited only as its values are.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"It is not valid UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise InvalidJson("It begins with a byte order mark (BOM); send it without")
    weight = _check_shape(body, most_keys) + sys.getsizeof(text)
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(body):
            weight += 3 * len(text)  # one character may have four bytes, then all of its text have
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError:
        raise InvalidJson("A \\u escape names half of a character (a lone surrogate)") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{json_words(error.msg)}, at line {error.lineno}, column {error.colno}") from None
    return value, weight


def _check_shape(body: bytes, most_keys: int | None) -> int:
    """Checks nesting and the number of keys and values before anything is parsed. Returns what `check_shape` does."""
    try:
        return check_shape(body, most_values=MAX_VALUES, most_keys=most_keys, max_depth=MAX_DEPTH)
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
        raise InvalidJson("A whole number does not fit in signed 64 bit (-2^63 to 2^63-1)")
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


def check_media_type(content_type: str | None, encodings: Sequence[str]) -> None:
    """Requires JSON in UTF-8 that is not compressed. `encodings`: the values of Content-Encoding. Raises UnsupportedMediaType."""
    said = (content_type or "").lower()
    kind, *parameters = (part.strip() for part in split_unquoted(said, ";") or said.split(";"))
    if not content_type:
        raise UnsupportedMediaType("It came without a Content-Type")
    if kind != "application/json":
        raise UnsupportedMediaType(f"It came as {kind[:100]}" if kind else "Its Content-Type cannot be read")
    if any(
        parameter.startswith("charset=") and parameter[8:].strip('"') not in {"utf-8", "utf8"}
        for parameter in parameters
    ):
        raise UnsupportedMediaType(
            "Only UTF-8 is read", remedy="Send UTF-8, with the header `Content-Type: application/json`"
        )
    refuse_compressed(encodings)


def refuse_compressed(encodings: Sequence[str]) -> None:
    """Requires a body that is not compressed, by all values of Content-Encoding. Raises UnsupportedMediaType."""
    if any(one.strip().lower() not in {"", "identity"} for one in ",".join(encodings).split(",")):
        raise Compressed


def _mebibytes(size: int) -> str:
    return f"{size // (1024 * 1024)} MiB"
