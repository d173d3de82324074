"""A file as a value in a flow: `{"name", "media_type", "size", "file_id"}`. The bytes are stored under the id
(`engine/files`); flows pass the value on and nodes read it through their context.

A caller may send a file in three other forms: its `file_id` as text, a base64 data URL, or an https address. API Input
turns each of them into the value (`engine/nodes/api_input.py`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, Literal
from urllib.parse import unquote

from msgspec import Struct
from pydantic import JsonValue

from engine.core.ids import FILE_ID
from engine.core.media_types import HEAD_BYTES, TAIL_BYTES, media_type_of, plain_media_type
from engine.core.web_addresses import HOST_NAME, IPV6, LENIENT_PORT, has_good_port, is_encoded_number, split_url
from engine.flow.references import Json

#: The value as JSON Schema.
FILE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "format": "file",
    "properties": {
        "name": {"type": "string", "description": "The name of the file"},
        "media_type": {"type": "string", "description": "What the file is, for example application/pdf"},
        "size": {"type": "integer", "description": "Its size in bytes"},
        "file_id": {"type": "string", "description": "The id under which it is stored"},
    },
    "required": ["name", "media_type", "size", "file_id"],
}
#: An id as text.
SENT_ID: Final = rf"^{FILE_ID.pattern}$"
#: An https address without user and password. Blanks at its end do not count.
_ADDRESS: Final = rf"[Hh][Tt][Tt][Pp][Ss]://({IPV6}|{HOST_NAME}){LENIENT_PORT}([/?#][^\x00-\x1f\x7f\\]*)?\s*"
_DATA_URL_BASE64: Final = r"[Dd][Aa][Tt][Aa]:[\s\S]*;\s*[Bb][Aa][Ss][Ee]64\s*,[A-Za-z0-9+/]*=*"
#: What callers may send as text: an id, a data URL with base64, or an https address.
SENT_AS_TEXT: Final = rf"^({FILE_ID.pattern}|{_DATA_URL_BASE64}|{_ADDRESS})$"

#: The most bytes that a file may have anywhere in Flowport.
MAX_FILE_BYTES: Final = 50 << 20
MIB: Final = 1 << 20

FileKind = Literal["pdf", "image", "document", "spreadsheet", "presentation", "text", "email", "audio", "video"]
#: Kind -> its name on screen.
KIND_WORDS: Final[Mapping[str, str]] = {
    "pdf": "PDF",
    "image": "Picture",
    "document": "Text document (Word)",
    "spreadsheet": "Table (Excel, CSV)",
    "presentation": "Slides (PowerPoint)",
    "text": "Plain text or web page",
    "email": "E-mail",
    "audio": "Sound",
    "video": "Video",
}
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OPEN: Final = "application/vnd.oasis.opendocument."
#: Kind -> media types; one that ends with `/` stands for all that begin with it.
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "pdf": ("application/pdf",),
    "image": ("image/",),
    "document": (
        f"{_OFFICE}wordprocessingml.document",
        "application/msword",
        f"{_OPEN}text",
        "application/rtf",
        "application/epub+zip",
    ),
    "spreadsheet": (
        f"{_OFFICE}spreadsheetml.sheet",
        "application/vnd.ms-excel",
        f"{_OPEN}spreadsheet",
        "text/csv",
        "text/tab-separated-values",
    ),
    "presentation": (
        f"{_OFFICE}presentationml.presentation",
        "application/vnd.ms-powerpoint",
        f"{_OPEN}presentation",
    ),
    "text": ("text/", "application/json", "application/xml", "application/yaml"),
    "email": ("message/rfc822", "application/vnd.ms-outlook"),
    "audio": ("audio/",),
    "video": ("video/",),
}
#: Kind -> the endings that a file dialog offers.
KIND_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "pdf": (".pdf",),
    "image": (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".svg"),
    "document": (".docx", ".doc", ".odt", ".rtf", ".epub"),
    "spreadsheet": (".xlsx", ".xls", ".ods", ".csv", ".tsv"),
    "presentation": (".pptx", ".ppt", ".odp"),
    "text": (".txt", ".md", ".html", ".htm", ".json", ".xml", ".yaml", ".log", ".csv", ".tsv"),
    "email": (".eml", ".msg"),
    "audio": (".mp3", ".wav", ".m4a", ".ogg", ".flac", ".aac"),
    "video": (".mp4", ".mov", ".webm"),
}
#: Media type -> its name on screen, for types that the kind alone does not name well.
_SHORT_WORDS: Final[Mapping[str, str]] = {
    "application/pdf": "PDF",
    "image/png": "PNG picture",
    "image/jpeg": "JPEG picture",
    "image/gif": "GIF picture",
    "image/webp": "WebP picture",
    "image/svg+xml": "SVG picture",
    "text/csv": "CSV table",
    "text/html": "web page",
    "text/markdown": "Markdown text",
    "text/plain": "plain text",
    "application/json": "JSON",
    "application/xml": "XML",
    "application/zip": "ZIP archive",
    "message/rfc822": "e-mail",
    f"{_OFFICE}wordprocessingml.document": "Word document",
    f"{_OFFICE}spreadsheetml.sheet": "Excel table",
    f"{_OFFICE}presentationml.presentation": "PowerPoint slides",
    "application/octet-stream": "unknown kind",
}


class StoredFile(Struct, frozen=True):
    """What is known of a stored file. `size` is in bytes; `media_type` was found from content and name."""

    name: str
    media_type: str
    size: int


@dataclass(frozen=True)
class FileContent:
    """A file with its bytes. `size` is their number; `media_type` was found from content and name."""

    name: str
    media_type: str
    size: int
    content: bytes = dataclass_field(repr=False)


def is_file_value(value: JsonValue) -> bool:
    """True for the value of a stored file: an object with its id, name, media type and size."""
    return (
        isinstance(value, Mapping)
        and isinstance(file_id := value.get("file_id"), str)
        and FILE_ID.fullmatch(file_id) is not None
        and isinstance(value.get("name"), str)
        and isinstance(value.get("media_type"), str)
        and isinstance(size := value.get("size"), int)
        and not isinstance(size, bool)
        and value.keys() <= {"name", "media_type", "size", "file_id"}
    )


def file_value(file_id: str, name: str, media_type: str, size: int) -> dict[str, Json]:
    """Returns the value of a stored file."""
    return {"name": name, "media_type": media_type, "size": size, "file_id": file_id}


def sent_file_id(value: JsonValue) -> str | None:
    """Returns the id when a value names a stored file: the id as text, or an object with `file_id`; else None."""
    if isinstance(value, Mapping):
        value = value.get("file_id")
    return value if isinstance(value, str) and FILE_ID.fullmatch(value) else None


def has_kind(media_type: str, kinds: Sequence[str] | None) -> bool:
    """True when a media type belongs to one of these kinds; always without kinds."""
    if not kinds:
        return True
    return any(
        media_type.startswith(one) if one.endswith("/") else media_type == one
        for kind in kinds
        for one in _KINDS.get(kind, ())
    )


def kinds_in_words(kinds: Sequence[str]) -> str:
    """Returns for example `PDF or Picture`."""
    words = [KIND_WORDS.get(kind, kind) for kind in kinds]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def media_type_in_words(media_type: str) -> str:
    """Returns a media type for people, for example `PDF` or `Excel table`."""
    if (words := _SHORT_WORDS.get(media_type)) is not None:
        return words
    kind = next((kind for kind in _KINDS if has_kind(media_type, [kind])), None)
    return KIND_WORDS[kind] if kind else media_type


def size_in_words(size: int) -> str:
    """Returns for example `3.4 MiB`, with units of 1,024."""
    if size < 1_024:
        return f"{size} byte" if size == 1 else f"{size} bytes"
    amount, unit = size / 1_024, "KiB"
    for larger in ("MiB", "GiB"):
        if amount < 1_000:
            break
        amount, unit = amount / 1_024, larger
    return f"{amount:.0f} {unit}" if amount >= 10 or amount == int(amount) else f"{amount:.1f} {unit}"


def largest_bytes(field: Mapping[str, Any]) -> int:
    """Returns how many bytes a file for this field may have."""
    most = field.get("max_file_mb")
    if isinstance(most, bool) or not isinstance(most, int | float) or most <= 0:
        return MAX_FILE_BYTES
    return min(MAX_FILE_BYTES, round(most * MIB))


def why_not_taken(field: Mapping[str, Any], name: str, media_type: str, size: int) -> tuple[str, str] | None:
    """Returns why a field does not take a file, as (code, text that follows the name of the field); else None. `name` may
    be empty.
    """
    said = f"`{name}`" if name else "the file"
    kinds = field.get("file_kinds")
    if not has_kind(media_type, kinds):
        return "file_kind", f"must be a file of this kind: {kinds_in_words(kinds or ())}; {said} is {media_type}"
    most = largest_bytes(field)
    if size > most:
        return "file_size", f"may have at most {size_in_words(most)}; {said} has {size_in_words(size)}"
    return None


class DataUrl(Struct, frozen=True):
    """A data URL with base64. `media_type` is what it says; `data` is the base64 text."""

    media_type: str
    name: str
    data: str

    @property
    def size(self) -> int:
        """The bytes that it holds."""
        return len(self.data) // 4 * 3 - (self.data[-2:].count("=") if len(self.data) >= 2 else 0)

    def found_type(self) -> str:
        """Returns the media type that content and name show, as for a stored file. Raises ValueError when its beginning is
        not base64.
        """
        head = base64.b64decode(self.data[: HEAD_BYTES // 3 * 4], validate=True)
        tail = base64.b64decode(self.data[-(TAIL_BYTES // 3 * 4) :], validate=True)
        return media_type_of(self.name, head, tail, self.media_type)

    def content(self) -> bytes:
        """Returns the bytes. Raises ValueError when the text is not base64."""
        return base64.b64decode(self.data, validate=True)


_DATA_URL = re.compile(r"data:([^,;]*)", re.IGNORECASE)
#: A name, and a value in quotes or without them. What is in quotes may hold semicolons and commas.
_PARAMETER = re.compile(r';\s*([^=,;]*)(?:=("(?:[^"\\]|\\.)*+"(?=\s*[;,])|[^,;]*))?\s*')


def read_data_url(text: str) -> DataUrl | None:
    """Returns the parts of a base64 data URL (RFC 2397), or None. A parameter `name` or `filename`, with or without quotes,
    gives the file its name.
    """
    head = text[:2_000]
    found = _DATA_URL.match(head)
    if found is None:
        return None
    media_type, at, last = plain_media_type(unquote(found[1])) or "text/plain", found.end(), ""
    parameters: dict[str, str] = {}
    while (parameter := _PARAMETER.match(head, at)) is not None:
        last, value, at = parameter[1].strip().lower(), parameter[2], parameter.end()
        if value is not None:
            parameters[last], last = value, ""
    if last != "base64" or head[at : at + 1] != ",":
        return None
    data = text[at + 1 :]
    if len(data) % 4:
        data += "=" * (-len(data) % 4)
    return DataUrl(media_type, _unquoted(parameters.get("name", parameters.get("filename", ""))), data)


def _unquoted(value: str) -> str:
    """Returns the value of a parameter without its quotes and escapes."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return unquote(value)


def looks_like_file(value: JsonValue) -> bool:
    """True for what only a file is sent as: a file value, an id, or a base64 data URL."""
    if isinstance(value, Mapping):
        return sent_file_id(value) is not None and value.keys() <= {*FILE_SCHEMA["properties"], *_UPLOADED}
    return isinstance(value, str) and (sent_file_id(value) is not None or read_data_url(value) is not None)


#: What else an upload answers with.
_UPLOADED: Final = frozenset({"created_at", "kept_until", "url"})


def is_web_file(value: str) -> bool:
    """True for an https address."""
    return value[:8].lower() == "https://" and len(value) > 8


def check_sent_file(field: Mapping[str, Any], value: Json) -> tuple[str, str] | None:
    """Checks the form of a file that was sent, and what can be known of it without reading it.

    Returns (code, text that follows the name of the field) when it does not fit; else None.
    """
    if sent_file_id(value) is not None:
        if is_file_value(value):
            return why_not_taken(field, value["name"], value["media_type"], value["size"])
        return None
    if isinstance(value, Mapping):
        return "format", "is no file: an object for a file holds its `file_id`, as POST /public/v1/files answers"
    if not isinstance(value, str):
        return "type_error", "expected a file: its `file_id`, an https address, or a data URL"
    return _check_address(value) if is_web_file(value) else _check_data_url(field, value)


_WEB_FILE: Final = re.compile(_ADDRESS)
#: The most characters of an address that is opened.
_LONGEST_ADDRESS: Final = 8_192


def _check_address(value: str) -> tuple[str, str] | None:
    """Checks what an https address shows without being called."""
    value = value.rstrip()
    if re.search(r"[\x00-\x1f\x7f\\]", value):
        return "format", "is no address of a file: it has a backslash or a control character in it"
    if len(value) > _LONGEST_ADDRESS:
        return "format", f"is an address with more than {_LONGEST_ADDRESS:,} characters, and such a file is not fetched"
    try:
        parts = split_url(value)  # raises when the brackets do not contain an IPv6 address
    except ValueError:
        return "format", _NO_HOST
    if "@" in parts.netloc:
        why = "is an address with a user name or password, and such a file is not fetched"
        return "format", f"{why}: send an address that opens without, or upload the file"
    if not parts.hostname:
        return "format", "is no address of a file: it has no host"
    if not has_good_port(parts):
        return "format", "is no address of a file: its port does not exist; ports are numbers from 1 to 65535"
    if is_encoded_number(parts.hostname):
        return "format", "is no address of a file: its host ends in a number and is no IP address in its usual form"
    return None if _WEB_FILE.fullmatch(value) else ("format", _NO_HOST)


_NO_HOST: Final = "is no address of a file: its host is neither an IP address nor a name that can be looked up"


def _check_data_url(field: Mapping[str, Any], value: str) -> tuple[str, str] | None:
    if value[:5].lower() != "data:":
        return (
            "format",
            "is no file: send its `file_id`, an https address, or a data URL like data:application/pdf;base64,...",
        )
    parts = read_data_url(value)
    if parts is None:
        return "format", "is no data URL with base64: it begins like data:application/pdf;base64,"
    try:
        found = parts.found_type()
    except (ValueError, binascii.Error):
        if re.search(r"\s", parts.data):
            return "format", "is a data URL with a line break or a blank in its base64: send it in one piece, without"
        return "format", "is a data URL whose base64 cannot be read"
    return why_not_taken(field, parts.name, found, parts.size)


def map_files(
    fields: Sequence[Mapping[str, Any]],
    value: Mapping[str, Json],
    change: Callable[[str, Json], Json],
) -> dict[str, Json]:
    """Returns a payload in which each file is replaced by `change(pointer, value)`. Other values stay."""
    changed = dict(value)
    copies: set[int] = set()  # of the lists and groups in `changed`, each of which is copied once
    for _, at, file in _files(fields, value, ()):
        target: Any = changed
        for part in at[:-1]:
            inner: Mapping[str, Json] | Sequence[Json] = target[part]
            if id(inner) not in copies:
                inner = target[part] = dict(inner) if isinstance(inner, Mapping) else list(inner)
                copies.add(id(inner))
            target = inner
        target[at[-1]] = change(pointer_of(at), file)
    return changed


def sent_files(
    fields: Sequence[Mapping[str, Any]], value: Mapping[str, Json]
) -> Iterator[tuple[Mapping[str, Any], str, Json]]:
    """Yields (field, JSON pointer, value) of each file in a payload that fits the fields."""
    return ((field, pointer_of(at), file) for field, at, file in _files(fields, value, ()))


def takes_files(fields: Sequence[Mapping[str, JsonValue] | JsonValue]) -> bool:
    """True when a field, at any level, is a file or a list of files."""
    return any(
        field.get("type") == "file"
        or (isinstance(items := field.get("items"), Mapping) and takes_files([items]))
        or (isinstance(inner := field.get("fields"), list | tuple) and takes_files(inner))
        for field in fields
        if isinstance(field, Mapping)
    )


def pointer_of(at: Sequence[str | int]) -> str:
    """Returns a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in at)


_At = tuple[str | int, ...]


def _files(
    fields: Sequence[Mapping[str, Any]], value: Mapping[str, Json], at: _At
) -> Iterator[tuple[Mapping[str, Any], _At, Json]]:
    for field in fields:
        name = str(field.get("name"))
        if value.get(name) is not None:
            yield from _files_of(field, value[name], (*at, name))


def _files_of(field: Mapping[str, Any], value: JsonValue, at: _At) -> Iterator[tuple[Mapping[str, Any], _At, Json]]:
    match field.get("type"):
        case "file":
            yield field, at, value
        case "array" if isinstance(value, list) and isinstance(field.get("items"), Mapping):
            for position, item in enumerate(value):
                yield from _files_of(field["items"], item, (*at, position))
        case "object" if isinstance(value, Mapping) and isinstance(field.get("fields"), list | tuple):
            yield from _files(field["fields"], value, at)
        case _:
            pass
