"""Opens the zip archives that office files are: within limits of size, without passwords and document types."""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - made in C

from engine.documents.document import Unreadable

#: The most that all parts together may have when they are unpacked, in bytes, and the number of parts.
_MAX_BYTES = 300 << 20
_MAX_PARTS = 10_000
#: The declaration of a document type stands before the first element, so it is looked for in so many bytes.
_LOOKED_AT = 64 << 10
_XML = (".xml", ".rels")


class Archive:
    """The parts of an office file by name."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, RecursionError) as error:
            raise Unreadable("damaged", detail=_detail(error)) from None
        self.names = frozenset(self._zip.namelist())

    def check(self) -> None:
        """Raises Unreadable for an archive that unpacks to too much, is locked, or declares document types (XXE)."""
        parts = self._zip.infolist()
        size = sum(part.file_size for part in parts)
        if size > _MAX_BYTES or len(parts) > _MAX_PARTS:
            big = f"{size / (1 << 20):,.0f} MiB" if size > _MAX_BYTES else f"{len(parts):,} parts"
            most = f"{_MAX_BYTES >> 20} MiB" if size > _MAX_BYTES else f"{_MAX_PARTS:,} parts"
            raise Unreadable("unpacks", size=big, most=most)
        if any(part.flag_bits & 0x1 for part in parts) or self._is_sealed():
            raise Unreadable("with_password")
        for part in parts:
            if part.filename.lower().endswith(_XML) and _declares_type(self.read(part.filename, _LOOKED_AT)):
                raise Unreadable("unsafe", detail="It declares a document type, which office files never do.")

    def read(self, name: str, most: int = -1) -> bytes:
        """Returns a part, or its first `most` bytes. Raises Unreadable."""
        try:
            with self._zip.open(name) as part:
                return part.read(most)
        except KeyError:
            raise Unreadable("damaged", detail=f"The part {name[:80]} is missing.") from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            NotImplementedError,
            ValueError,
        ) as error:
            raise Unreadable("damaged", detail=_detail(error)) from None

    def tree(self, name: str) -> etree._Element:
        """Returns a part as XML. Raises Unreadable."""
        return xml(self.read(name))

    def title(self) -> str:
        """The title in the properties of an office file; an empty text when there is none."""
        for name, tag in (("docProps/core.xml", "{*}title"), ("meta.xml", ".//{*}title")):
            if name in self.names:
                with contextlib.suppress(Unreadable):  # the document can be read all the same
                    return " ".join((self.tree(name).findtext(tag) or "").split())[:300]
        return ""

    def _is_sealed(self) -> bool:
        """True for a file of OpenDocument with a password: its parts are encrypted, and its list of parts says so."""
        listed = "META-INF/manifest.xml"
        return listed in self.names and b"encryption-data" in self.read(listed, _LOOKED_AT)


def xml(data: bytes) -> etree._Element:
    """Parses XML without entities, document types and network. Raises Unreadable."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable("damaged", detail=_detail(error)) from None


def _declares_type(head: bytes) -> bool:
    plain = head.replace(b"\0", b"").lower()
    return b"<!doctype" in plain or b"<!entity" in plain


def _detail(error: Exception) -> str:
    return f"{str(error).rstrip('.')[:150]}." if str(error) else "Its parts cannot be unpacked."
