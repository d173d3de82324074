"""Finds the media type of a file from its content and its name. What a sender says is not trusted.

Only the first and last bytes are looked at and nothing is parsed, so this runs in any process. Content decides where it
has a signature; the name's ending decides between formats that share one (ZIP, OLE2, plain text).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: How many bytes of the beginning and of the end `media_type_of` looks at.
HEAD_BYTES: Final = 16_384
TAIL_BYTES: Final = 65_536

UNKNOWN: Final = "application/octet-stream"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OPEN: Final = "application/vnd.oasis.opendocument."

#: Ending of a file name -> media type. The first ending of a media type is the one that new names get.
_ENDINGS: Final[Mapping[str, str]] = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".heic": "image/heic",
    ".heif": "image/heic",
    ".avif": "image/avif",
    ".svg": "image/svg+xml",
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".pptx": f"{_OFFICE}presentationml.presentation",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".doc": "application/msword",
    ".ppt": "application/vnd.ms-powerpoint",
    ".xls": "application/vnd.ms-excel",
    ".msg": "application/vnd.ms-outlook",
    ".odt": f"{_OPEN}text",
    ".odp": f"{_OPEN}presentation",
    ".ods": f"{_OPEN}spreadsheet",
    ".epub": "application/epub+zip",
    ".rtf": "application/rtf",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xml": "application/xml",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".eml": "message/rfc822",
    ".ics": "text/calendar",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".zip": "application/zip",
    ".gz": "application/gzip",
}
#: Other names of media types, as they stand in data URLs and headers.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "text/xml": "application/xml",
    "application/x-pdf": "application/pdf",
    "text/x-markdown": "text/markdown",
    "application/csv": "text/csv",
}
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "application/rtf"),
    *((b"ID3" + version, "audio/mpeg") for version in (b"\2", b"\3", b"\4")),  # three letters begin many texts
    (b"OggS\0", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"\x1f\x8b", "application/gzip"),
)
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: The name of a part that only one format has. Names stand in the directory at the end of a ZIP file, unpacked.
_ZIP_PARTS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"word/document", _ENDINGS[".docx"]),
    (b"xl/workbook", _ENDINGS[".xlsx"]),
    (b"ppt/presentation", _ENDINGS[".pptx"]),
)
_OLE_TYPES: Final = frozenset(_ENDINGS[ending] for ending in (".doc", ".xls", ".ppt", ".msg"))
_TEXT_TYPES: Final = frozenset(
    _ENDINGS[ending]
    for ending in (".csv", ".tsv", ".txt", ".md", ".html", ".xml", ".json", ".yaml", ".eml", ".ics", ".svg", ".rtf")
)
#: Types whose content has a signature: a name alone does not make a file one of these.
_SIGNED: Final = (
    frozenset(kind for _, kind in _BEGINNINGS)
    | frozenset(kind for _, kind in _ZIP_PARTS)
    | _OLE_TYPES
    | frozenset(
        _ENDINGS[ending] for ending in (".webp", ".heic", ".avif", ".odt", ".odp", ".ods", ".epub", ".zip", ".wav")
    )
    | frozenset(_ENDINGS[ending] for ending in (".mp4", ".mov", ".m4a"))
)
_BRANDS: Final[Mapping[bytes, str]] = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"avif": "image/avif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}


def ending_of(name: str) -> str:
    """Returns the ending of a file name in small letters, for example `.pdf`; empty when it has none."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if dot and stem else ""


def ending_for(media_type: str) -> str:
    """Returns the usual ending for files of a media type, for example `.pdf`; empty for an unknown type."""
    return next((ending for ending, kind in _ENDINGS.items() if kind == media_type), "")


def is_known_ending(text: str) -> bool:
    """Tells whether a text is an ending with its dot, for example `.pdf`, in small or capital letters."""
    return text.lower() in _ENDINGS


def plain_media_type(said: str) -> str:
    """Returns a media type without parameters, in small letters and under its usual name."""
    kind = said.partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(kind, kind)


def media_type_of(name: str, head: bytes, tail: bytes = b"", said: str = "") -> str:
    """Returns the media type of a file: `head` holds its first bytes and `tail` its last ones.

    `said`: the type that came with it, which takes the place of the ending of a name that has none.
    """
    ending = ending_of(name)
    named = _ENDINGS.get(ending, "") if ending or not said else plain_media_type(said)
    named = named if ending_for(named) else ""
    if (found := _by_signature(head, tail, named)) is not None:
        return found
    if _is_text(head):
        return _text_type(head, named)
    return named if named and named not in _SIGNED and named not in _TEXT_TYPES else UNKNOWN


def _by_signature(head: bytes, tail: bytes, named: str) -> str | None:
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning) and (beginning != b"BM" or named == kind):  # two letters begin many texts
            return kind
    if head.startswith(_ZIP):
        return _zip_type(head, tail)
    if head.startswith(_OLE):
        return named if named in _OLE_TYPES else UNKNOWN
    if b"%PDF-" in head[:1024]:  # the standard lets other bytes stand before it
        return "application/pdf"
    return _media_by_signature(head)


def _media_by_signature(head: bytes) -> str | None:
    if head.startswith(b"RIFF"):
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], UNKNOWN if b"\0" in head else None)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:2] in {b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"}:
        return "audio/mpeg"
    return "audio/aac" if head[:2] in {b"\xff\xf1", b"\xff\xf9"} else None


def _zip_type(head: bytes, tail: bytes) -> str:
    if head[30:38] == b"mimetype":
        said = head[38:120]
        for ending in (".odt", ".odp", ".ods", ".epub"):
            if said.startswith(_ENDINGS[ending].encode()):
                return _ENDINGS[ending]
    both = head + tail
    return next((kind for part, kind in _ZIP_PARTS if part in both), "application/zip")


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not only the last character, which the limit cut
            controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
            return controls == 0  # an older charset
    return True


def _text_type(head: bytes, named: str) -> str:
    begins = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    if begins.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if named in _TEXT_TYPES and named != _ENDINGS[".rtf"]:
        return named
    return "application/xml" if begins.startswith(b"<?xml") else "text/plain"
