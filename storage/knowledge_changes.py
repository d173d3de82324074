"""Writes to collections and sources of knowledge, and the turns in which workers read the sources.

A worker owns a source while it reads it; each of its writes names the owner, so that a worker which lost the source
writes nothing (`Lost`). The documents of a source are written by `storage.knowledge_documents`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, exists, false, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from engine.core.clock import DAY, HOUR
from engine.core.ids import new_id
from storage.database import now
from storage.files import drop_uses
from storage.knowledge import Kind, SourceLine, source_line
from storage.tables_knowledge import (
    KnowledgeCollection,
    KnowledgeContent,
    KnowledgeDocument,
    KnowledgeSource,
    KnowledgeWrite,
)

#: How long the receipt of a step's addition is kept, in milliseconds; longer than the step's job may run.
RECEIPT_MS = 4 * DAY
#: The problems of a source that are kept.
MAX_PROBLEMS = 50
#: How often a source is read again -> the time between, in milliseconds.
AGAIN = {"hourly": HOUR, "daily": DAY, "weekly": 7 * DAY, "monthly": 30 * DAY}


class Lost(Exception):
    """The source belongs to another worker, or to none, or was removed."""


class Progress(Struct, frozen=True):
    """What a worker says about the source it reads. `tokens` and `cost_nanos` are added; None: the cost is unknown."""

    done: int
    total: int
    message: str = ""
    tokens: int = 0
    cost_nanos: int | None = 0


class Task(Struct, frozen=True):
    """A source that a worker has claimed, with what it needs of its collection. `leaving`: it is to be removed."""

    source: SourceLine
    workspace_id: str
    model: str
    piece_chars: int
    leaving: bool


def insert_collection(session: Session, workspace_id: str, name: str, piece_chars: int) -> KnowledgeCollection:
    """Adds an empty collection; returns its ORM row."""
    at = now(session)
    row = KnowledgeCollection(
        id=new_id("collection"),
        workspace_id=workspace_id,
        name=name,
        model=None,
        piece_chars=piece_chars,
        created_at=at,
        updated_at=at,
        deleted_at=None,
    )
    session.add(row)
    session.flush()
    return row


def insert_source(
    session: Session,
    collection: KnowledgeCollection,
    kind: Kind,
    name: str,
    settings: Mapping[str, Any],
    created_by: str,
    content: bytes | None = None,
) -> KnowledgeSource:
    """Adds a source that waits to be read; returns its ORM row."""
    at = now(session)
    row = KnowledgeSource(
        id=new_id("source"),
        workspace_id=collection.workspace_id,
        collection_id=collection.id,
        kind=kind,
        name=name,
        settings=dict(settings),
        state="waiting",
        owner=None,
        stop_requested=False,
        done=0,
        total=0,
        message="",
        problems=[],
        document_count=0,
        piece_count=0,
        char_count=0,
        vector_count=0,
        input_tokens=0,
        cost_nanos=0,
        again="",
        next_at=None,
        created_at=at,
        created_by=created_by,
        indexed_at=None,
    )
    session.add(row)
    session.flush()
    if content is not None:
        session.add(KnowledgeContent(source_id=row.id, content=content))
    collection.updated_at = at
    session.flush()
    return row


def wait_again(session: Session, source: KnowledgeSource) -> None:
    """Has a source read again by the next worker that is free, after those that wait already."""
    if source.state != "waiting":
        source.next_at = now(session)
    source.state, source.owner, source.stop_requested = "waiting", None, False
    source.done = source.total = 0
    source.message = ""


def let_go(source: KnowledgeSource) -> None:
    """Hands a source to a worker to be removed; whoever reads it loses it."""
    source.state, source.owner, source.stop_requested, source.next_at = "leaving", None, False, None


def hold_dataset_sources(session: Session, workspace_id: str, dataset_id: str) -> list[KnowledgeSource]:
    """Returns the ORM rows of the sources that hold the rows of a dataset."""
    rows = session.scalars(
        select(KnowledgeSource).where(
            KnowledgeSource.workspace_id == workspace_id,
            KnowledgeSource.kind == "dataset",
            KnowledgeSource.state != "leaving",
        )
    )
    return [row for row in rows if row.settings.get("dataset") == dataset_id]


def rename_chosen_column(session: Session, source: KnowledgeSource, column: str, name: str) -> None:
    """Keeps a source of a dataset at a column that has another name now. A reading that is under way begins anew."""
    chosen: list[str] = source.settings.get("columns") or []
    if column not in chosen:
        return
    source.settings = {**source.settings, "columns": [name if one == column else one for one in chosen]}
    if source.state == "working":
        wait_again(session, source)


# What workers do.


def anything_due(
    session: Session,
    under_way: Collection[str] = (),
    *,
    read: bool = True,
    remove: bool = True,
    sites: bool = True,
) -> bool:
    """True when a source waits for a worker that `claim_next` would give to it."""
    due = _due(session, under_way, read=read, remove=remove, sites=sites)
    return session.scalar(due.with_only_columns(KnowledgeSource.id).limit(1)) is not None


def claim_next(
    session: Session,
    owner: str,
    under_way: Collection[str] = (),
    *,
    read: bool = True,
    remove: bool = True,
    sites: bool = True,
) -> Task | None:
    """Gives the next source that is due to a worker; None when there is none. First come those to remove, then those that
    somebody waits for, then those that are read again by themselves; of each, those of workspaces of which none is being
    read (for a website only websites count, for the others only others), and the one that is due for longest.

    `under_way`: sources that this worker still reads, although they were taken from it. A second reading would have the
    same owner, and the writes of both could not be told apart. `read`, `remove`: what the worker has room for; `sites`: also
    for a website.
    """
    other = aliased(KnowledgeSource)
    # a website may take an hour and has a place of its own, so only other websites wait for it
    is_served = exists().where(
        other.workspace_id == KnowledgeSource.workspace_id,
        other.state == "working",
        (other.kind == "site") == (KnowledgeSource.kind == "site"),
    )
    row = session.scalars(
        _due(session, under_way, read=read, remove=remove, sites=sites)
        .order_by(
            KnowledgeSource.state != "leaving",
            KnowledgeSource.state != "waiting",
            is_served,
            func.coalesce(KnowledgeSource.next_at, KnowledgeSource.created_at),
            KnowledgeSource.created_at,
        )
        .limit(1)
    ).first()
    if row is None:
        return None
    collection = session.get_one(KnowledgeCollection, row.collection_id)
    leaving = row.state == "leaving"
    row.owner = owner
    if not leaving:
        row.state, row.stop_requested = "working", False
        row.done = row.total = 0
        row.message, row.problems = "", []
    session.flush()
    return Task(source_line(row), row.workspace_id, collection.model or "", collection.piece_chars, leaving)


def held_sources(session: Session, owner: str) -> dict[str, bool]:
    """Returns id -> whether it shall be stopped, of the sources that belong to a worker."""
    rows = session.execute(
        select(KnowledgeSource.id, KnowledgeSource.stop_requested).where(
            KnowledgeSource.state.in_(("working", "leaving")), KnowledgeSource.owner == owner
        )
    )
    return {row[0]: row[1] for row in rows}


def source_owners(session: Session) -> set[str]:
    """Returns the boot ids of workers that hold a source."""
    held = select(KnowledgeSource.owner).where(KnowledgeSource.state.in_(("working", "leaving"))).distinct()
    return {owner for owner in session.scalars(held) if owner is not None}


def release_sources(session: Session, owner: str, except_for: Collection[str] = ()) -> None:
    """Gives back what a worker had claimed, because it ends, is gone, or does not read it any more."""
    mine = (KnowledgeSource.owner == owner, KnowledgeSource.id.not_in(except_for))
    session.execute(
        update(KnowledgeSource).where(*mine, KnowledgeSource.state == "working").values(state="waiting", owner=None)
    )
    session.execute(update(KnowledgeSource).where(*mine, KnowledgeSource.state == "leaving").values(owner=None))


def note_progress(session: Session, source_id: str, owner: str, progress: Progress) -> None:
    """Stores how far the reading of a source is."""
    _note(hold_claimed(session, source_id, owner), progress)


def note_sitemap(session: Session, source_id: str, *, tries: int) -> None:
    """Stores with the settings of a website in how many readings its sitemap, which nothing names, may list nothing."""
    source = hold_claimed(session, source_id, None)
    source.settings = {**source.settings, "sitemap_tries": tries}


def end_source(
    session: Session, source_id: str, owner: str | None, state: str, message: str, problems: Sequence[Mapping[str, str]]
) -> None:
    """Says how the reading of a source ended, and when it is read again."""
    source = hold_claimed(session, source_id, owner)
    source.state, source.owner, source.stop_requested = state, None, False
    source.message = message
    source.problems = [dict(one) for one in problems[:MAX_PROBLEMS]]
    source.document_count = (
        session.scalar(
            select(func.count()).select_from(KnowledgeDocument).where(KnowledgeDocument.source_id == source_id)
        )
        or 0
    )
    if state == "ready":
        source.indexed_at = now(session)
    source.next_at = now(session) + AGAIN[source.again] if source.again in AGAIN else None
    session.flush()


def remove_source(session: Session, source_id: str, owner: str | None) -> None:
    """Removes a source whose documents are removed, and its collection when it was deleted and this was its last."""
    source = hold_claimed(session, source_id, owner)
    collection_id = source.collection_id
    session.execute(delete(KnowledgeContent).where(KnowledgeContent.source_id == source_id))
    drop_uses(session, "collection", source_id)
    session.delete(source)
    session.flush()
    remove_empty_collection(session, collection_id)


def remove_empty_collection(session: Session, collection_id: str) -> None:
    """Removes a deleted collection once it has no source."""
    session.flush()
    collection = session.get(KnowledgeCollection, collection_id)
    if collection is None or collection.deleted_at is None:
        return
    left = session.scalar(select(KnowledgeSource.id).where(KnowledgeSource.collection_id == collection_id).limit(1))
    if left is None:
        session.execute(delete(KnowledgeWrite).where(KnowledgeWrite.collection_id == collection_id))
        session.delete(collection)


def find_receipt(session: Session, step: str, collection_id: str) -> dict[str, Any] | None:
    """Returns what this step's addition to this collection gave; None when it has added nothing yet."""
    return session.scalar(
        select(KnowledgeWrite.result).where(KnowledgeWrite.id == step, KnowledgeWrite.collection_id == collection_id)
    )


def add_receipt(session: Session, step: str, collection_id: str, result: Mapping[str, Any]) -> None:
    """Stores what a step's addition gave, and removes old receipts."""
    session.execute(delete(KnowledgeWrite).where(KnowledgeWrite.at < now(session) - RECEIPT_MS))
    session.add(KnowledgeWrite(id=step, collection_id=collection_id, result=dict(result), at=now(session)))
    session.flush()


def find_source_named(session: Session, collection_id: str, kind: Kind, name: str) -> KnowledgeSource | None:
    """Returns the ORM row of the source of this kind and name."""
    return session.scalars(
        select(KnowledgeSource).where(
            KnowledgeSource.collection_id == collection_id,
            KnowledgeSource.kind == kind,
            KnowledgeSource.name == name,
            KnowledgeSource.state != "leaving",
        )
    ).first()


def _due(session: Session, under_way: Collection[str], *, read: bool, remove: bool, sites: bool) -> Any:
    to_remove = (KnowledgeSource.state == "leaving") & KnowledgeSource.owner.is_(None)
    to_read = or_(
        KnowledgeSource.state == "waiting",
        KnowledgeSource.state.in_(("ready", "failed", "stopped")) & (KnowledgeSource.next_at <= now(session)),
    )
    if not sites:
        to_read &= KnowledgeSource.kind != "site"
    wanted = [one for one, has_room in ((to_remove, remove), (to_read, read)) if has_room]
    return select(KnowledgeSource).where(KnowledgeSource.id.not_in(under_way), or_(false(), *wanted))


def hold_claimed(session: Session, source_id: str, owner: str | None) -> KnowledgeSource:
    """Returns the source while this worker owns it; `owner` None: an action, which needs no claim. Raises Lost."""
    row = session.get(KnowledgeSource, source_id)
    if row is None or (owner is not None and row.owner != owner):
        raise Lost(source_id)
    return row


def _note(source: KnowledgeSource, progress: Progress) -> None:
    source.done, source.total = progress.done, max(progress.total, progress.done)
    source.message = progress.message
    source.input_tokens += progress.tokens
    known = source.cost_nanos is not None and progress.cost_nanos is not None
    source.cost_nanos = source.cost_nanos + progress.cost_nanos if known else None  # type: ignore[operator]
