"""Encrypts a stream of bytes into a file in authenticated chunks, with a passphrase (scrypt, RFC 7914) or the server's
own key.

Layout: the line `FLOWPORT BACKUP 1`; one line of JSON, the header (key derivation parameters, a check value of the key,
metadata); then the chunks. A chunk is its length (4 bytes, big-endian) and the AES-256-GCM ciphertext of a
zlib-compressed piece of at most 1 MiB. The nonce contains the chunk's number and whether it is the last one; the header line is the
associated data. A wrong passphrase, a truncated file and a modified file can thus be distinguished. Memory use is a few
MiB.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from engine.core.errors import BackupUnreadable, PassphraseWrong

MAGIC = b"FLOWPORT BACKUP 1\n"
PIECE = 1 << 20
#: scrypt parameters: each guess needs 128 MiB of memory and about half a second.
SCRYPT = {"n": 1 << 17, "r": 8, "p": 1}
_MAX_MEMORY = 1 << 30
_HEAD_MOST = 4_096
_CHUNK_MOST = 2 * PIECE
_LENGTH = struct.Struct(">I")

SealedWith = Literal["passphrase", "server key"]


class Head(Struct, frozen=True):
    """The header of an encrypted file, which is readable without the key. `line` is its exact JSON text."""

    sealed_with: SealedWith
    made: dict[str, Any]
    line: bytes


def seal(
    pieces: Iterable[bytes], target: IO[bytes], *, passphrase: str = "", server_key: bytes = b"", made: dict[str, Any]
) -> None:
    """Encrypts the pieces (each at most 1 MiB) into `target`.

    `made` is stored unencrypted in the header: time and program version.
    """
    salt = secrets.token_bytes(16)
    how: dict[str, Any] = {"sealed_with": "passphrase", **SCRYPT} if passphrase else {"sealed_with": "server key"}
    key, check = _keys({**how, "salt": _text(salt)}, passphrase, server_key)
    head = {**how, "salt": _text(salt), "check": _text(check), "made": made}
    line = json.dumps(head, ensure_ascii=True).encode() + b"\n"
    target.write(MAGIC + line)
    cipher = AESGCM(key)
    number = 0
    held = b""
    for piece in pieces:
        if held:
            _put(target, cipher, line, number, held, last=False)
            number += 1
        held = piece
    _put(target, cipher, line, number, held, last=True)


def is_other_file(path: Path) -> bool:
    """True when a file is there that holds something, and it does not begin like a backup."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(len(MAGIC))
    return not MAGIC.startswith(begins)


def read_head(source: IO[bytes]) -> Head:
    """Reads the header of an encrypted file and leaves `source` at its first chunk. Raises BackupUnreadable."""
    begins = source.read(len(MAGIC))
    if begins != MAGIC:
        if begins and MAGIC.startswith(begins):
            raise _cut_off()
        raise BackupUnreadable(
            "It does not begin like a Flowport backup", remedy="Name the file a backup was written to."
        )
    line = source.readline(_HEAD_MOST)
    try:
        head = json.loads(line)
        sealed_with, made = head["sealed_with"], dict(head["made"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged() if line.endswith(b"\n") else _cut_off() from error
    if sealed_with not in {"passphrase", "server key"}:
        raise _damaged()
    return Head(sealed_with, made, line)


def unseal(
    source: IO[bytes],
    head: Head,
    *,
    passphrase: str = "",
    server_key: bytes = b"",
) -> Iterator[bytes]:
    """Yields the pieces that were given to `seal`.

    Raises PassphraseWrong, or for another key BackupUnreadable, before the first piece, and BackupUnreadable where the file is
    truncated or modified.
    """
    how = json.loads(head.line)
    try:
        key, check = _keys(how, passphrase, server_key)
        expected = base64.b64decode(how["check"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged() from error
    if not hmac.compare_digest(check, expected):
        if head.sealed_with == "passphrase":
            raise PassphraseWrong
        raise BackupUnreadable(
            "The key is not the one of the server that wrote it",
            remedy="Name the `secret.key` of that server with --key FILE. Nothing was changed.",
        )
    cipher = AESGCM(key)
    number = 0
    while True:
        sealed, last = _next(source)
        piece = _open(cipher, head.line, number, sealed, last=last)
        if piece is None and not last:
            piece = _open(cipher, head.line, number, sealed, last=True)
            if piece is not None:
                raise BackupUnreadable("Something was added at its end", remedy=_REMEDY)
        if piece is None:
            if last and _open(cipher, head.line, number, sealed, last=False) is not None:
                raise _cut_off()
            raise _damaged()
        yield piece
        if last:
            return
        number += 1


def _next(source: IO[bytes]) -> tuple[bytes, bool]:
    """Reads one encrypted chunk, and tells whether it is at the end of the file. Raises BackupUnreadable."""
    length = source.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        raise _cut_off()
    (count,) = _LENGTH.unpack(length)
    if not 16 <= count <= _CHUNK_MOST:
        raise _damaged()
    sealed = source.read(count)
    if len(sealed) < count:
        raise _cut_off()
    more = source.peek(1) if hasattr(source, "peek") else _peek(source)  # type: ignore[attr-defined]
    return sealed, not more


def _peek(source: IO[bytes]) -> bytes:
    at = source.tell()
    more = source.read(1)
    source.seek(at, os.SEEK_SET)
    return more


def _put(target: IO[bytes], cipher: AESGCM, line: bytes, number: int, piece: bytes, *, last: bool) -> None:
    sealed = cipher.encrypt(_nonce(number, last=last), zlib.compress(piece, 1), line)
    target.write(_LENGTH.pack(len(sealed)) + sealed)


def _open(cipher: AESGCM, line: bytes, number: int, sealed: bytes, *, last: bool) -> bytes | None:
    try:
        deflated = cipher.decrypt(_nonce(number, last=last), sealed, line)
    except InvalidTag:
        return None
    inflating = zlib.decompressobj()
    try:
        piece = inflating.decompress(deflated, PIECE)
    except zlib.error as error:
        raise _damaged() from error
    if not inflating.eof:  # incomplete, or longer than any piece that `seal` writes
        raise _damaged()
    return piece


def _nonce(number: int, *, last: bool) -> bytes:
    """Builds the nonce of a chunk. A counter is sufficient because each key encrypts only one file."""
    return b"\0\0\0" + bytes([last]) + number.to_bytes(8, "big")


def _keys(how: dict[str, Any], passphrase: str, server_key: bytes) -> tuple[bytes, bytes]:
    """Derives the key of the chunks and a check value that identifies a wrong key.

    Raises KeyError, TypeError and ValueError.
    """
    salt = base64.b64decode(how["salt"], validate=True)
    if how["sealed_with"] == "passphrase":
        if how["n"] > SCRYPT["n"] * 4 or how["r"] > SCRYPT["r"] or how["p"] > 4:
            raise ValueError("asks for more work than any backup of ours")
        both = hashlib.scrypt(
            passphrase.encode(), salt=salt, n=how["n"], r=how["r"], p=how["p"], maxmem=_MAX_MEMORY, dklen=64
        )
    else:
        both = hashlib.sha512(b"flowport backup\0" + salt + server_key).digest()
    return both[:32], hashlib.sha256(b"check" + both[32:]).digest()[:16]


_REMEDY = "Take another copy of it, or an older backup. Nothing was changed."


def _cut_off() -> BackupUnreadable:
    return BackupUnreadable(
        "It is cut off: its end is missing, so it was not copied or downloaded completely", remedy=_REMEDY
    )


def _damaged() -> BackupUnreadable:
    return BackupUnreadable("It is damaged: something in it was changed after it was written", remedy=_REMEDY)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
