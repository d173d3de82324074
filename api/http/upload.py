"""Receives one file of a multipart form (RFC 7578): its bytes go to the disk as they arrive, within limits of size and
time. What breaks off leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from api.http.header_fields import split_unquoted, unquoted
from api.http.json_body import refuse_compressed
from api.http.parameters import single_header
from api.http.parser_words import form_words
from api.http.problem_json import NotMultipart, RequestTimeout
from api.http.shared_room import GivenUp, RoomPlace, SharedRoom
from engine.core.errors import FileTooLarge, InvalidUpload
from engine.files.intake import FileIntake, Incoming
from engine.flow.file_values import MAX_FILE_BYTES, size_in_words
from storage.file_bytes import FileBytes

#: Allowance for boundaries and headers around the file, in bytes.
AROUND_BYTES = 16 * 1024
#: A part that is no file is read so far, to see whether another one follows.
_FIELD_BYTES = 16 * 1024
_HEADER_BYTES = 8 * 1024
_BOUNDARY_BYTES = 200
#: Values of Content-Transfer-Encoding that change no byte. Forms should have none (RFC 7578).
_AS_IT_IS = frozenset({b"", b"7bit", b"8bit", b"binary"})
#: What browsers and curl write for a quote and for line breaks in the name of a file (HTML, "multipart form data").
_ESCAPED = re.compile(r"%22|%0[DA]", re.IGNORECASE)
#: A name in the form of RFC 8187: its charset, a language that does not matter, and its bytes with `%`.
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'(\S+)", re.IGNORECASE)
#: The longest wait between two pieces, and the longest time for the whole file, in seconds.
PIECE_SECONDS, FILE_SECONDS = 30.0, 600.0
#: How many files are received at once. When more are sent, whoever sends most of them gives way.
AT_ONCE = 32


@dataclass
class Uploads:
    """The files that a process is receiving. Belongs to one event loop."""

    most_bytes: int = MAX_FILE_BYTES
    piece_seconds: float = PIECE_SECONDS
    file_seconds: float = FILE_SECONDS
    room: SharedRoom = field(
        default_factory=lambda: SharedRoom(AT_ONCE, AT_ONCE, f"{AT_ONCE} files are being received"), init=False
    )

    @contextlib.asynccontextmanager
    async def receiving(self, request: Request, owner: str, files: FileBytes) -> AsyncIterator[Incoming]:
        """Context manager with the file of a request, which is on disk. Its end removes what was not stored. `owner`: on
        whose account it is received.

        Raises NotMultipart, InvalidUpload, FileTooLarge, RequestTimeout, TooManyConnections, ParameterInvalid,
        StorageUnavailable and ClientDisconnect.
        """
        boundary = _boundary_of(request)
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self.most_bytes + AROUND_BYTES:
            raise FileTooLarge(f"A file may have {size_in_words(self.most_bytes)}")
        with self.room.place(owner) as place:
            place.take(1)
            intake = FileIntake(files, self.most_bytes)
            try:
                form = _OneFile(boundary, intake)
                await self._receive(request, form, place)
                yield await asyncio.to_thread(intake.done, form.name, form.said_type)
            finally:
                intake.discard()

    async def _receive(self, request: Request, form: _OneFile, place: RoomPlace) -> None:
        stream, size = request.stream(), 0
        try:
            async with place.within(self.file_seconds):
                while True:
                    async with asyncio.timeout(self.piece_seconds):
                        piece = await anext(stream, b"")
                    if not piece:
                        break
                    size += len(piece)
                    place.arrived(len(piece))
                    if size > self.most_bytes + AROUND_BYTES:
                        raise FileTooLarge(f"A file may have {size_in_words(self.most_bytes)}")
                    form.feed(piece)
        except GivenUp:
            raise self.room.refusal() from None
        except TimeoutError:
            raise RequestTimeout("The file came too slowly") from None
        form.end()


class _OneFile:
    """Parses a form that has exactly one part, which is a file."""

    def __init__(self, boundary: bytes, intake: FileIntake) -> None:
        self.name = ""
        self.said_type = ""
        self._intake = intake
        #: What stands before the first boundary is passed over; its end is kept to find a boundary in two pieces.
        self._first: bytes | None = b"--" + boundary
        self._before = b"\n"
        #: Blanks may stand behind a boundary (RFC 2046 5.1.1), which the parser takes behind the last one only.
        self._behind_first = True
        self._dropped = 0
        self._parts = 0
        self._no_file = self._no_name = False
        #: The value of `filename*`, which some clients write (.NET) though forms should have none (RFC 7578).
        self._extended: str | None = None
        self._field_bytes = 0
        self._ended = False
        self._field = self._value = b""
        self._disposition: dict[bytes, bytes] = {}
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
            max_header_size=_HEADER_BYTES,
        )

    def feed(self, piece: bytes) -> None:
        """Parses bytes of the form. Raises InvalidUpload, FileTooLarge and StorageUnavailable."""
        if self._first is not None:
            self._before += piece
            at = self._before.find(b"\n" + self._first)
            passed_over = at if at >= 0 else max(0, len(self._before) - len(self._first))
            if self._dropped + passed_over > AROUND_BYTES:
                raise InvalidUpload(
                    f"The boundary that the Content-Type names is not in the first {size_in_words(AROUND_BYTES)} of the form"
                )
            if at < 0:
                self._dropped += passed_over
                self._before = self._before[passed_over:]
                return
            self._parse(self._first)
            piece, self._before, self._first = self._before[at + 1 + len(self._first) :], b"", None
        if self._behind_first:
            piece = piece.lstrip(b" \t")
            self._behind_first = not piece
        self._parse(piece)

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidUpload(form_words(str(error))) from error

    def end(self) -> None:
        """Raises InvalidUpload unless the form came to its end and held a file."""
        if self._first is not None:
            raise _no_boundary()
        if not self._ended:
            raise InvalidUpload("The form is cut off: the boundary at its end is missing")
        if not self._parts:
            raise InvalidUpload("The form holds no file")
        self._require_file()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise InvalidUpload(
                "The form holds more than one part",
                remedy="Send each file with a call of its own, and no other fields.",
            )

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        name = self._field.lower()
        if name == b"content-disposition":
            self._disposition = parse_options_header(self._value)[1]
            self._extended = _parameter(self._value.decode("latin-1"), "filename*")
        elif name == b"content-type":
            self.said_type = self._value.decode("latin-1")
        elif name == b"content-transfer-encoding" and self._value.strip().lower() not in _AS_IT_IS:
            raise InvalidUpload(
                f"Its part came with Content-Transfer-Encoding: {self._value.decode('latin-1')[:100]}",
                remedy="Send the bytes of the file as they are, without that header.",
            )
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        name = self._disposition.get(b"filename")
        if self._extended is not None and (said := _extended_name(self._extended)):
            self.name = said
            return
        if name is None:
            self._no_file = True  # refused when the form ends, unless another part shows that there are too many
            return
        if not name and self._extended is None:
            self._no_file = self._no_name = True
            return
        self.name = _ESCAPED.sub(lambda sign: unquote(sign[0]), name.decode(errors="replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._no_file:
            self._intake.write(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > _FIELD_BYTES:
            self._require_file()

    def _require_file(self) -> None:
        if self._no_name:
            raise InvalidUpload("The part of the form is no file: its `filename` is empty, as nobody chose a file")
        if self._no_file:
            raise InvalidUpload("The part of the form is no file: it has no `filename`")

    def _end(self) -> None:
        self._ended = True


def _parameter(header: str, name: str) -> str | None:
    for parameter in (split_unquoted(header, ";") or [])[1:]:
        said, _, value = parameter.partition("=")
        if said.strip().lower() == name:
            return unquoted(value)
    return None


def _extended_name(value: str) -> str | None:
    """Returns the name that the value of a `filename*` holds; None when it cannot be read."""
    read = _EXTENDED.fullmatch(value)
    if read is None:
        return None
    try:
        return unquote(read[2], read[1], errors="strict")
    except UnicodeDecodeError:
        return None


def _no_boundary() -> InvalidUpload:
    return InvalidUpload("The form is empty, or does not begin with the boundary that the Content-Type names")


def _boundary_of(request: Request) -> bytes:
    content_type = single_header(request, "Content-Type")
    kind, options = parse_options_header(content_type or "")
    if kind != b"multipart/form-data":
        raise NotMultipart(
            "It came without a Content-Type"
            if not content_type
            else f"It came as {kind.decode(errors='replace')[:100]}"
        )
    refuse_compressed(request.headers.getlist("content-encoding"))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InvalidUpload("The Content-Type names no boundary")
    if len(boundary) > _BOUNDARY_BYTES:
        raise InvalidUpload(f"The Content-Type names a boundary of more than {_BOUNDARY_BYTES} characters")
    return boundary
