"""Statements sent to PostgreSQL by libpq, several in one round trip.

psycopg's cursors look for placeholders, ask for the adapter of each value and describe each answer anew: for the short
statements of `storage.statements` that takes longer than the statement. Here a statement is translated once in a process
and prepared at its second use on a connection. The connection is one of psycopg, and may be used through psycopg, too.
"""

from __future__ import annotations

import functools
import re
import select
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

#: How many prepared statements a connection keeps: more than the hot path has.
_MAX_PREPARED: Final = 400
_OK: Final = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY})
_SYNC: Final = pq.ExecStatus.PIPELINE_SYNC
#: Oids of types, and the formats of values.
_ANY, _BOOL, _BYTES, _BIGINT, _DOUBLE, _NUMERIC, _TEXTS = 0, 16, 17, 20, 701, 1700, 1009
_LISTS: Final[dict[type[object], int]] = {bool: 1000, int: 1016, float: 1022, bytes: 1001}
_TEXT_FORMAT, _BINARY_FORMAT = 0, 1

#: A value as it is sent: bytes, type, format.
Sent = tuple[bytes | None, int, int]

_NAMED: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)(\s+is\s+(?:not\s+)?null\b)?|\?")
_LONE: Final = re.compile("[\ud800-\udfff]")
#: The first words of statements that have a plan.
_PLANNED: Final = frozenset({"select", "insert", "update", "delete", "with"})


class Translated(NamedTuple):
    """A statement with numbered parameters, the names of its parameters in their order, whether it only reads, and whether
    it is worth preparing: BEGIN and COMMIT are not.
    """

    query: bytes
    names: tuple[str, ...]
    reads: bool
    has_plan: bool


@functools.lru_cache(maxsize=2_000)
def translated(sql: str) -> Translated:
    """Translates a statement with `:name` or `?` parameters.

    Each place of a name is a parameter of its own, whose type follows from its place; one that is only compared with
    null gets a type.
    """
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        names.append(found[1] or "")
        number = f"${len(names)}"
        return f"{number}::text{found[2]}" if found[2] else number

    query = _NAMED.sub(place, sql).encode()
    verb = sql.split(maxsplit=1)[0].lower()
    return Translated(query, tuple(name for name in names if name), verb == "select", verb in _PLANNED)


def text_of(value: str) -> bytes:
    """Returns a text as PostgreSQL stores it: without NUL and halves of a surrogate pair, which both become the
    replacement character.
    """
    if "\x00" in value:
        value = value.replace("\x00", "\ufffd")
    try:
        return value.encode()
    except UnicodeEncodeError:
        return _LONE.sub("\ufffd", value).encode()


def _sent_text(value: str) -> Sent:
    return text_of(value), _ANY, _TEXT_FORMAT


def _sent_int(value: int) -> Sent:
    # by the size of the value, the same parameter would have several types
    return b"%d" % value, _BIGINT if -(2**63) <= value < 2**63 else _NUMERIC, _TEXT_FORMAT


def _sent_list(value: list[object]) -> Sent:
    first = next((item for item in value if item is not None), "")
    return text_of(array_of(value)), _LISTS.get(type(first), _TEXTS), _TEXT_FORMAT


_SENT: Final[dict[type, Callable[[Any], Sent]]] = {
    str: _sent_text,
    int: _sent_int,
    bool: lambda value: (b"t" if value else b"f", _BOOL, _TEXT_FORMAT),
    type(None): lambda _: (None, _ANY, _TEXT_FORMAT),
    bytes: lambda value: (value, _BYTES, _BINARY_FORMAT),
    bytearray: lambda value: (bytes(value), _BYTES, _BINARY_FORMAT),
    memoryview: lambda value: (bytes(value), _BYTES, _BINARY_FORMAT),
    float: lambda value: (repr(value).encode(), _DOUBLE, _TEXT_FORMAT),
    list: _sent_list,
    tuple: lambda value: _sent_list(list(value)),
}


def _how_to_send(kind: type) -> Callable[[Any], Sent]:
    """Finds out how a subclass is sent: as its base."""
    for base in kind.__mro__:
        if base in _SENT:
            _SENT[kind] = _SENT[base]
            return _SENT[base]
    raise TypeError(f"a value of the type {kind.__name__} cannot be stored")


def array_of(values: Sequence[object]) -> str:
    """Returns texts, numbers and bytes, with None, as the literal of an array."""
    return f"{{{','.join([_QUOTED.get(type(value), _quoted_other)(value) for value in values])}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_QUOTED: Final[dict[type, Callable[[Any], str]]] = {
    str: _quoted,
    int: str,
    bool: lambda value: "t" if value else "f",
    type(None): lambda _: "NULL",
    float: repr,
    bytes: lambda value: f'"\\\\x{value.hex()}"',
}


def _quoted_other(value: object) -> str:
    kind = next((base for base in type(value).__mro__ if base in _QUOTED), None)
    if kind is None:
        raise TypeError(f"a value of the type {type(value).__name__} cannot be stored")
    return _QUOTED[kind](value)


class Asked:
    """A statement with its values, and its answer once it was sent."""

    __slots__ = ("formats", "has_plan", "oids", "query", "reads", "result", "sql", "values", "wire")

    def __init__(self, wire: Wire, sql: str, translation: Translated, values: Sequence[object]) -> None:
        self.wire = wire
        self.sql = sql
        self.query, _, self.reads, self.has_plan = translation
        self.result: pq.abc.PGresult | None = None
        if values:
            found = [(_SENT.get(type(value)) or _how_to_send(type(value)))(value) for value in values]
            self.values, self.oids, self.formats = zip(*found, strict=True)
        else:
            self.values, self.oids, self.formats = (), (), ()

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        assert self.result is not None
        return self.result.command_tuples or 0

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Returns all rows; none of a statement that returns nothing."""
        assert self.result is not None
        return self.wire.rows(self.result)


class Wire:
    """Sends statements on a connection of psycopg. One thread at a time uses it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        # else psycopg would remove all prepared statements, these too, when a transaction is rolled back
        connection.prepare_threshold = None
        self._pgconn = connection.pgconn
        self._loading = Transformer(connection)
        #: The number of each statement with the types of its values; 0: it was used once and is not prepared.
        self._known: dict[tuple[bytes, tuple[int, ...]], int] = {}
        self._prepared = 0
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._poll_both = select.poll()
        self._poll_both.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)

    def ask(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> Asked:
        """Returns a statement with `:name` or `?` parameters, which is not sent yet."""
        translation = translated(sql)
        found = [values[name] for name in translation.names] if isinstance(values, Mapping) else values
        return Asked(self, sql, translation, found)

    def send(self, asked: Sequence[Asked]) -> None:
        """Sends statements in one round trip; each gets its answer. When one fails, those behind it are not run, and it is
        raised as an error of psycopg.
        """
        pgconn = self._pgconn
        fresh: list[tuple[bytes, tuple[int, ...]]] = []
        try:
            pgconn.enter_pipeline_mode()
            expected: list[Asked | None] = []
            for one in asked:
                self._give(one, expected, fresh)
            pgconn.pipeline_sync()
            self._flush()
            failed = self._receive(expected)
            pgconn.exit_pipeline_mode()
        except BaseException:
            if pgconn.status == pq.ConnStatus.OK:
                pgconn.finish()  # it stands in the middle of an answer
            raise
        if failed is not None:
            for key in fresh:
                self._known.pop(key, None)
            raise self._error_of(failed)

    def rows(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        """Returns the rows of an answer."""
        if not result.ntuples:
            return []
        self._loading.set_pgresult(result)
        return self._loading.load_rows(0, result.ntuples, tuple)

    def _give(self, one: Asked, expected: list[Asked | None], fresh: list[tuple[bytes, tuple[int, ...]]]) -> None:
        """Hands a statement to libpq; prepared, when it was used before."""
        pgconn = self._pgconn
        key = one.query, one.oids
        number = self._known.get(key)
        if not one.has_plan:
            pass
        elif number is None and len(self._known) < 10 * _MAX_PREPARED:
            self._known[key] = 0
        elif number == 0 and self._prepared < _MAX_PREPARED:
            self._prepared += 1
            number = self._known[key] = self._prepared
            fresh.append(key)
            pgconn.send_prepare(b"flowport_%d" % number, one.query, one.oids)
            expected.append(None)
        if number:
            pgconn.send_query_prepared(b"flowport_%d" % number, one.values, one.formats)
        else:
            pgconn.send_query_params(one.query, one.values, one.oids, one.formats)
        expected.append(one)

    def _flush(self) -> None:
        while self._pgconn.flush():
            if self._poll_both.poll()[0][1] & ~select.POLLOUT:
                self._pgconn.consume_input()

    def _receive(self, expected: Sequence[Asked | None]) -> pq.abc.PGresult | None:
        """Gives each statement its answer, and reads on to the end. Returns the answer of the first that failed."""
        failed: pq.abc.PGresult | None = None
        try:
            for one in expected:
                result = self._next()
                if result is None:
                    break
                self._next()  # the end of its answer
                if result.status not in _OK:
                    failed = failed or result
                elif one is not None:
                    one.result = result
            while (result := self._next()) is None or result.status != _SYNC:
                if self._pgconn.status != pq.ConnStatus.OK:
                    raise self._error_of(failed)
        except psycopg.Error as error:
            if failed is None:
                raise
            raise self._error_of(failed) from error  # what the server said before it went away
        return failed

    def _next(self) -> pq.abc.PGresult | None:
        pgconn = self._pgconn
        while pgconn.is_busy():
            self._poll.poll()
            pgconn.consume_input()
        return pgconn.get_result()

    def _error_of(self, failed: pq.abc.PGresult | None) -> psycopg.Error:
        if failed is None or failed.error_field(pq.DiagnosticField.SQLSTATE) is None:
            said = self._pgconn.get_error_message() if failed is None else failed.get_error_message()
            return psycopg.OperationalError(said or "the connection was lost")
        return psycopg.errors.error_from_result(failed)


def wire_of(connection: psycopg.Connection[Any]) -> Wire:
    """Returns the wire of a connection, which knows what is prepared there."""
    kept: dict[str, Any] = vars(connection)
    found = kept.get("flowport_wire")
    if found is None:
        found = kept["flowport_wire"] = Wire(connection)
    return found
