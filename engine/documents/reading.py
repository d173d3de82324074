"""Reads a document in an evaluator process, for nodes and for whoever else holds a file.

    read = await read_document(content, pages="1-3", as_="text", apart=context.read_file_apart)
    read["text"], read["pages"][0]["text"], read["tables"][0]["rows"], read["title"], read["notes"]

No library that reads files is imported here: this runs in the server and in the worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from engine.core.error_codes import JobErrorCode
from engine.documents.sentences import sentence
from engine.flow.node_context import NodeFailed

Json = Any
As = Literal["text", "markdown", "tables"]
#: Family, reader, arguments and file -> `{"value"}` or `{"wrong", "facts"}`, and pictures (`Sandbox.read_file`).
Apart = Callable[[str, str, Mapping[str, Json], bytes], Awaitable[tuple[dict[str, Json], bytes]]]

#: Bytes that programs put before the beginning of a PDF.
_BEFORE_PDF: Final = b"\xef\xbb\xbf\0 \t\r\n"
#: What is read as CSV, whatever its name.
_CSV_TYPES: Final = frozenset({"text/csv", "text/tab-separated-values"})
#: The largest file that is read, in bytes.
LARGEST: Final = 64 << 20
#: The time limit and the memory of the process, as sentences name them.
_LIMITS: Final = {"seconds": "10", "most_memory": "1 GB"}

#: Keys of sentences that say nothing about the file: another file would fail in the same way.
_NOT_ABOUT_THE_FILE: Final = frozenset({"bad_pages", "stopping"})


class Content(Protocol):
    """A file with its bytes (`FileContent`)."""

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def content(self) -> bytes: ...


async def read_document(content: Content, *, pages: str = "", as_: As = "text", apart: Apart) -> dict[str, Json]:
    """Reads a file. Raises NodeFailed with a sentence for the flow's designer, and the code `file_not_taken` when the file
    is the reason.

    Returns `text`; `markdown` (with `as_="markdown"`); `layout` (PDF: text with its columns side by side); `pages`, a
    list of `{"number", "text"}`; `tables` (with `as_="tables"`), a list of `{"title", "page", "columns", "rows"}` with
    rows as objects; `title`; `media_type`; `page_count`, the pages of the whole document; `notes`, sentences about what
    was left out; `truncated`, true when the file has more than is read. `pages` chooses pages, slides or sheets: `1-3, 5`.
    """
    value, _ = await _ask("document", content, {"pages": pages, "as": as_}, apart)
    read = _checked(value, content.name)
    if as_ == "tables" and not read["tables"]:
        raise failure_of("no_table", content.name, {})
    parts = read["pages"]
    return {
        "text": _joined(parts, "text"),
        "markdown": _joined(parts, "markdown") if as_ == "markdown" else "",
        "layout": _joined(parts, "layout"),
        "pages": [{"number": part["number"], "text": part["text"]} for part in parts],
        "tables": read["tables"],
        "title": read["title"],
        "media_type": read["media_type"],
        "page_count": read["total"],
        "notes": read["notes"][:20],
        "truncated": read["truncated"],
    }


class PageImages(Struct, frozen=True):
    """Pages of a PDF as PNG pictures, by their numbers. `notes`: sentences about the pages that are missing."""

    pictures: dict[int, bytes]
    notes: tuple[str, ...] = ()


async def page_images(content: Content, *, pages: str = "", width: int = 1_200, apart: Apart) -> PageImages:
    """Returns pages of a PDF as pictures, `width` pixels wide, at most 20. Raises NodeFailed."""
    arguments = {"pages": pages, "width": max(100, min(width, 3_000))}
    value, drawn = await _ask("pictures", content, arguments, apart)
    pictures: dict[int, bytes] = {}
    at = 0
    if not _has(value, {"pictures": list, "notes": list}) or not all(isinstance(one, str) for one in value["notes"]):
        raise failure_of("ended", content.name, {})
    for one in value["pictures"]:
        told = _has(one, {"page": int, "size": int}) and one["size"] > 0
        picture = drawn[at : at + one["size"]] if told else b""
        if not picture.startswith(b"\x89PNG\r\n\x1a\n"):
            raise failure_of("ended", content.name, {})
        pictures[one["page"]] = picture
        at += len(picture)
    return PageImages(pictures, tuple(value["notes"][:20]))


def family_of(content: Content) -> str:
    """Returns the key of `engine.documents.readers.FAMILIES` for a file, by its first bytes, and for text by its
    name.
    """
    head = content.content[:1024]
    said = content.name.lower().endswith(".pdf") or content.media_type.startswith("application/pdf")
    if head.lstrip(_BEFORE_PDF).startswith(b"%PDF-") or (said and b"%PDF-" in head):
        return "pdf"
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "ole"
    kind = content.media_type.partition(";")[0].strip().lower()
    is_csv = content.name.lower().endswith((".csv", ".tsv")) or kind in _CSV_TYPES
    return "csv" if is_csv else "text"


async def _ask(reader: str, content: Content, arguments: Mapping[str, Json], apart: Apart) -> tuple[Any, bytes]:
    size = len(content.content)
    if not size:
        raise failure_of("empty", content.name, {})
    if size > LARGEST:
        raise failure_of(
            "too_large", content.name, {"size": f"it has {size / (1 << 20):,.0f} MiB", "most": f"{LARGEST >> 20} MiB"}
        )
    about = {"name": content.name[:300], "media_type": content.media_type[:200], **arguments}
    answer, drawn = await apart(family_of(content), reader, about, content.content)
    if "wrong" in answer:
        raise failure_of(answer["wrong"], content.name, answer["facts"])
    return answer["value"], drawn


def failure_of(key: str, name: str, facts: Mapping[str, Json]) -> NodeFailed:
    """Returns a sentence of `engine.documents.sentences` as a failure."""
    told = sentence(key, {**_LIMITS, **facts, "name": name[:80] or "The file"})
    code = JobErrorCode.NODE_FAILED if key in _NOT_ABOUT_THE_FILE else JobErrorCode.FILE_NOT_TAKEN
    return NodeFailed(told.message, code=code, why=told.why, remedy=told.remedy)


def _joined(parts: list[dict[str, Json]], key: str) -> str:
    return "\n\n".join(part[key] for part in parts if part[key])


def _checked(value: Json, name: str) -> dict[str, Any]:
    """Returns the answer of the process, which is not trusted, when it has the shape of a document."""
    shapes = {"media_type": str, "title": str, "total": int, "pages": list, "tables": list, "notes": list}
    shapes |= {"truncated": bool}
    page = {"number": int, "text": str, "markdown": str, "layout": str}
    table = {"title": str, "page": int, "columns": list, "rows": list}
    if (
        _has(value, shapes)
        and all(_has(one, page) for one in value["pages"])
        and all(_has(one, table) for one in value["tables"])
        and all(isinstance(one, str) for one in value["notes"])
    ):
        return value
    raise failure_of("ended", name, {})


def _has(value: Json, shape: Mapping[str, type]) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(key), kind) for key, kind in shape.items())
