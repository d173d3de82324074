"""Names of files as they arrive, and the media types that content and name show."""

from __future__ import annotations

import pytest

from engine.core.file_names import MAX_FILE_NAME, clean_file_name
from engine.core.media_types import media_type_of

_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a b.pdf", "a b.pdf"),
        ("../../a b.pdf", "a b.pdf"),
        ("..\\..\\windows\\a.pdf", "a.pdf"),
        ("/etc/passwd", "passwd"),
        ("a\0b\n.pdf", "ab.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ('<img src=x onerror="alert(1)">.png', "_img src=x onerror=_alert(1)__.png"),
        ("con.txt", "_con.txt"),
        ("CON .csv", "_CON.csv"),
        ("LPT1 . csv", "_LPT1. csv"),
        ("com¹.csv", "_com¹.csv"),
        ("CONIN$", "_CONIN$"),
        ("conout$.txt", "_conout$.txt"),
        ("con man.csv", "con man.csv"),
        ("a .csv", "a.csv"),
        ("...", "file"),
        ("", "file"),
        ("   ", "file"),
        ("..", "file"),
        (".bashrc", "bashrc"),
        ("Über uns.PDF", "Über uns.PDF"),
        ("u\u0308ber.pdf", "über.pdf"),
        ("\ud800.pdf", "file.pdf"),
        (".csv", "file.csv"),
        ("..csv", "file.csv"),
        ("a/... .txt", "file.txt"),
        (". .bashrc", "bashrc"),
        ("a/.PDF", "file.PDF"),
        (".pdf.", "file.pdf"),
    ],
)
def test_a_name_loses_what_is_dangerous_and_nothing_else(raw: str, clean: str) -> None:
    assert clean_file_name(raw) == clean


@pytest.mark.parametrize("sign", ["a", "ä", "\U0001f600"])
def test_a_long_name_keeps_its_ending(sign: str) -> None:
    name = clean_file_name(sign * 5_000 + ".pdf")
    assert name.endswith(f"{sign}.pdf")
    assert len(name) <= MAX_FILE_NAME
    assert len(name.encode()) <= 255


@pytest.mark.parametrize(
    ("name", "head", "media_type"),
    [
        ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("a.txt", b"%PDF-1.7\n", "application/pdf"),
        ("a.pdf", b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        ("a.png", b"just text", "text/plain"),
        ("a.png", b"\x89PNG\r\n\x1a\n....", "image/png"),
        ("a.jpeg", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a", b"RIFF....WEBPVP8 ", "image/webp"),
        ("a", b"RIFF....WAVEfmt ", "audio/wav"),
        ("a", b"....ftypheic", "image/heic"),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.csv", "ä;ö\n".encode("latin-1"), "text/csv"),
        ("a.csv", "ä;ö\n".encode("utf-16"), "text/csv"),
        ("Business.txt", b"BMW is a maker of cars", "text/plain"),
        ("a.mp3", b"ID3\3\0", "audio/mpeg"),
        ("a.ogg", b"OggS\0\2", "audio/ogg"),
        ("a.csv", b"ID3,b", "text/csv"),
        ("a.csv", b"OggS,b", "text/csv"),
        ("a.csv", b"RIFF,b", "text/csv"),
        ("a.avi", b"RIFF....AVI \0", "application/octet-stream"),
        ("a.eml", b"From: a@example.com\r\n\r\nHi", "message/rfc822"),
        ("a.docx", b"PK\x03\x04", "application/zip"),
        ("a.docx", b"PK\x03\x04....word/document.xml", _DOCX),
        ("a.xlsx", b"PK\x03\x04....word/document.xml", _DOCX),
        ("a.odt", b"PK\x03\x04" + b"." * 26 + b"mimetypeapplication/vnd.oasis.opendocument.textPK", "application/vnd.oasis.opendocument.text"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-excel"),
        ("a.exe", b"MZ\0\0\1\2", "application/octet-stream"),
        ("a.mp3", b"MZ\0\0\1\2", "application/octet-stream"),
        ("a", b"", "text/plain"),
    ],
)  # fmt: skip
def test_content_decides_before_the_name(name: str, head: bytes, media_type: str) -> None:
    assert media_type_of(name, head) == media_type
