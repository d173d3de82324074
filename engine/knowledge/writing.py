"""Writes a document: cuts its text, asks for vectors where the collection has a model, and stores both in slices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.knowledge.chunking import clean, cut_parts, storable
from engine.knowledge.documents import Found
from storage.knowledge_documents import (
    SLICE,
    NewPiece,
    begin_document,
    clear_some,
    find_document,
    finish_document,
    write_pieces,
)
from storage.knowledge_terms import composed

#: Changes when texts are cut in another way, so that every document counts as changed, and gets its vectors anew.
CUT_VERSION = 2


class CutDocument(Struct, frozen=True):
    """A document with its pieces. `hash` tells whether it changed; `stored_hash` is that of `Found`."""

    key: str
    name: str
    address: str
    hash: str
    pieces: tuple[NewPiece, ...]
    stored_hash: str | None = None


def cut_document(found: Found, piece_chars: int) -> CutDocument:
    """Returns a document in pieces."""
    name = composed(found.name)
    digest = hashlib.sha256(f"{CUT_VERSION}\n{piece_chars}\n{name}\n{found.address}".encode(errors="replace"))
    for place, text in found.parts:
        digest.update(f"\n\0{place}\n{composed(text)}".encode(errors="replace"))
    pieces = tuple(cut_parts(found.parts, piece_chars))
    return CutDocument(
        storable(found.key), clean(name), storable(found.address), digest.hexdigest(), pieces, found.stored_hash
    )


def embedded_text(document: CutDocument, piece: NewPiece) -> str:
    """Returns what the embedding model reads of a piece: it needs to know what the piece is about."""
    return "\n".join(filter(None, (document.name, piece.heading, piece.text)))


def write_document(
    session: Session,
    source_id: str,
    owner: str | None,
    document: CutDocument,
    known_id: int | None,
    model: str = "",
    vectors: Sequence[bytes] = (),
    kept: str | None = None,
) -> None:
    """Stores a document in one transaction, so it has at most SLICE pieces. `known_id`: the stored document that it
    replaces. `vectors`: one of `model` for each piece. `kept`: its text, when it cannot be read again.
    """
    while known_id is not None and not clear_some(session, source_id, owner, known_id):
        pass
    document_id = begin_document(session, source_id, owner, document.key, document.name, document.address, kept)
    for first in range(0, len(document.pieces), SLICE):
        write_pieces(session, source_id, owner, document_id, first, document.pieces[first : first + SLICE])
    finish_document(session, source_id, owner, document_id, document.hash, model, vectors)


def write_kept(
    session: Session, source_id: str, owner: str, document: CutDocument, model: str, vectors: Sequence[bytes]
) -> None:
    """Cuts the text of a step anew, in one write as the step stores it; does nothing when a step has replaced the text
    since it was read.
    """
    stored = find_document(session, source_id, document.key)
    if stored is not None and stored.hash == document.stored_hash:
        write_document(session, source_id, owner, document, stored.id, model, vectors)
