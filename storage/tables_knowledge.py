"""The tables of knowledge: collections, their sources, the documents found in a source, and the pieces of a document.

Times are milliseconds, money is nano-dollars, as in `storage.tables`. The index for word search is a table of SQLite's
FTS5 (`storage.knowledge_word_index`), which a migration creates.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from storage.table_base import Base


class KnowledgeCollection(Base):
    """A collection of a workspace. A deleted one has `deleted_at`; its rows are removed in the background.

    `model`: the embedding model `CONNECTION:model-name` for search by meaning; null: word search only. `piece_chars`:
    about how long a piece is.
    """

    __tablename__ = "knowledge_collections"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    model: Mapped[str | None]
    piece_chars: Mapped[int]
    created_at: Mapped[int]
    updated_at: Mapped[int]
    deleted_at: Mapped[int | None]


class KnowledgeSource(Base):
    """Where a collection has its pieces from. `kind`: text, file, site, dataset or flow (steps of flows add to it).

    `state`: waiting, working, ready, failed, stopped or leaving (its rows are being removed). While it is `working`,
    `owner` is the boot id of the worker process, and `done` of `total` documents are read (0: not known yet).
    """

    __tablename__ = "knowledge_sources"
    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(index=True)
    collection_id: Mapped[str] = mapped_column(ForeignKey("knowledge_collections.id"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    #: What to read: the address and limits of a site and how long a sitemap that nothing names is waited for, the dataset
    #: and its columns.
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str]
    owner: Mapped[str | None]
    stop_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    done: Mapped[int]
    total: Mapped[int]
    #: What happened last, in words; for a failed source why.
    message: Mapped[str] = mapped_column(Text)
    #: `{"name", "message"}` for each document that could not be read.
    problems: Mapped[list[Any]] = mapped_column(JSON)
    document_count: Mapped[int]
    piece_count: Mapped[int]
    char_count: Mapped[int]
    #: How many of its pieces can be found by meaning.
    vector_count: Mapped[int]
    #: What the embedding model was sent for this source, ever; the cost is null when a price is unknown.
    input_tokens: Mapped[int]
    cost_nanos: Mapped[int | None]
    #: How often it is read again: empty, `hourly`, `daily`, `weekly` or `monthly`; and when next. While it waits to be read
    #: again, `next_at` is since when.
    again: Mapped[str]
    next_at: Mapped[int | None]
    created_at: Mapped[int]
    created_by: Mapped[str]
    indexed_at: Mapped[int | None]
    __table_args__ = (Index("ix_knowledge_sources_due", "state", "next_at"),)


class KnowledgeContent(Base):
    """A text that was given to a source, as UTF-8, to read it again. Files are kept by `storage.files`."""

    __tablename__ = "knowledge_contents"
    source_id: Mapped[str] = mapped_column(ForeignKey("knowledge_sources.id"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class KnowledgeDocument(Base):
    """A page, file or row of a source. `key` tells it from the others of its source; `address` is empty without one.

    `hash` is that of its text and of how it is cut; `model` that which made its vectors (empty: it has none). While its
    pieces are being written `hash` is empty.
    """

    __tablename__ = "knowledge_documents"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("knowledge_sources.id"))
    collection_id: Mapped[str]
    key: Mapped[str]
    name: Mapped[str]
    address: Mapped[str]
    hash: Mapped[str]
    model: Mapped[str]
    piece_count: Mapped[int]
    char_count: Mapped[int]
    updated_at: Mapped[int]
    #: The text that a step of a flow added, to index it again; null for documents that can be read again.
    kept: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (Index("ix_knowledge_documents_key", "source_id", "key", unique=True),)


class KnowledgePiece(Base):
    """A piece of a document, `number` from 0. `heading`: the headings above it; `place`: like `page 3`."""

    __tablename__ = "knowledge_pieces"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("knowledge_documents.id"))
    number: Mapped[int]
    heading: Mapped[str]
    place: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("ix_knowledge_pieces_place", "document_id", "number", unique=True),)


class KnowledgeVectors(Base):
    """The vectors of a document's pieces in order: `dimensions` signed bytes for each."""

    __tablename__ = "knowledge_vectors"
    document_id: Mapped[int] = mapped_column(
        ForeignKey("knowledge_documents.id"), primary_key=True, autoincrement=False
    )
    collection_id: Mapped[str] = mapped_column(index=True)
    model: Mapped[str]
    dimensions: Mapped[int]
    vectors: Mapped[bytes] = mapped_column(LargeBinary)


class KnowledgeWrite(Base):
    """A receipt that this step (`job:node:0/12`) has added to this collection, so that a repeated try adds nothing."""

    __tablename__ = "knowledge_writes"
    id: Mapped[str] = mapped_column(primary_key=True)
    collection_id: Mapped[str] = mapped_column(primary_key=True)
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[int] = mapped_column(index=True)
