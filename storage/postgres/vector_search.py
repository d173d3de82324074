"""Search by meaning inside PostgreSQL, when it has the extension `vector` (pgvector).

`knowledge_vectors` stays what is stored; `knowledge_points` holds the same vectors for the extension, a row for each
piece. Every comparison is exact, as in the process (`storage/knowledge_vectors.py`), so both find the same; the extension
spares sending all vectors of a collection over the network. An index for approximate search would be faster still, and
would miss pieces where few of many are asked for.

The extension may come later: each start looks for it, and adds the points that are missing. Searches use the points when
their last index is there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage.postgres.connections import MIGRATE_LOCK, WRITE_LOCK
from storage.statements import Statement

log = logging.getLogger(__name__)

#: The longest vectors of which a row fits into a page; longer ones are compared in the process.
MAX_DIMENSIONS: Final = 4_000
#: How many documents get their points in one transaction.
_SLICE: Final = 20
#: Rows stay whole in their pages: reading a vector from another place takes longer than comparing it.
_TABLE: Final = text(
    """create table if not exists knowledge_points (
           document_id bigint not null references knowledge_vectors (document_id) on delete cascade,
           number bigint not null, collection_id text collate "C" not null, model text collate "C" not null,
           dimensions bigint not null, point halfvec not null, primary key (document_id, number)) with (toast_tuple_target = 8160)"""
)
_READY: Final = "create index ix_knowledge_points_collection on knowledge_points (collection_id, model)"
_STATE: Final = text(
    """
    select to_regclass('ix_knowledge_points_collection') is not null,
           to_regclass('knowledge_points') is not null,
           to_regtype('halfvec') is not null,
           exists (select 1 from pg_extension where extname = 'vector'),
           exists (select 1 from pg_available_extensions where name = 'vector')
    """
)
_MISSING: Final = text(
    """
    select document_id, collection_id, model, dimensions, vectors from knowledge_vectors stored
     where dimensions between 1 and 4000 and not exists (select 1 from knowledge_points where document_id = stored.document_id)
     order by document_id limit :most
    """
)
_ADD: Final = """
    insert into knowledge_points (document_id, number, collection_id, model, dimensions, point)
    values (:document_id, :number, :collection_id, :model, :dimensions, cast(:point as halfvec))
"""
_ADD_TEXT: Final = text(_ADD)
_ADD_STATEMENT = Statement(_ADD)
# The tables may belong to another user than the one that serves.
_MAY_ADD = Statement(
    """
    select coalesce(has_table_privilege(to_regclass('knowledge_points'), 'insert'), false)
       and coalesce(has_table_privilege(to_regclass('knowledge_points'), 'select'), false)
    """
)
#: Whoever may not add points may not search by them either: those of its own documents are missing.
_IS_READY = Statement(f"{_MAY_ADD.sql} and to_regclass('ix_knowledge_points_collection') is not null")
_FIND = Statement(
    """
    select document_id, number, 1 - distance
      from (select document_id, number,
                   case when dimensions = :dimensions then point <=> cast(:question as halfvec) end as distance
              from knowledge_points
             where collection_id = :collection_id and model = :model and dimensions = :dimensions
               and (cast(:source_ids as text[]) is null or document_id in (
                       select id from knowledge_documents where source_id = any(cast(:source_ids as text[]))))
               and (cast(:document_ids as bigint[]) is null or document_id = any(cast(:document_ids as bigint[])))) near
     order by distance, document_id desc, number desc
     limit :most
    """
)
_UNTIL_THEN: Final = "Until then, search by meaning compares the vectors in Flowport's own processes: it finds the same and takes longer."


def prepare_meaning(engine: Engine) -> None:
    """Makes the points ready where that is possible, and logs what is in the way."""
    try:
        if said := _prepare(engine):
            log.info("%s", said)
    except DBAPIError as error:
        log.warning("Search by meaning does without PostgreSQL's extension `vector`: %s", error.orig)


def meaning_trouble(connection: Connection) -> str:
    """Says in sentences why search by meaning does without the extension `vector`, and what to do; "" when it has it."""
    ready, _, has_type, is_on, is_installed = connection.execute(_STATE).one()
    if ready:
        return ""
    if is_on and not has_type:
        said = (
            "The extension `vector` (pgvector) of the database is older than 0.7. Have an administrator run `alter extension"
            " vector update`, and start Flowport again."
        )
    elif is_on:
        said = (
            "The extension `vector` (pgvector) is there and not used yet. Start Flowport again, with a user that may make"
            " tables."
        )
    elif is_installed:
        said = (
            "The extension `vector` (pgvector) is not switched on in the database, and this user may not do it. Have an"
            " administrator run `create extension vector` in it, and start Flowport again."
        )
    else:
        said = "The PostgreSQL server has no extension `vector` (pgvector). Install it there, and start Flowport again."
    return f"{said} {_UNTIL_THEN}"


def add_points(session: Session, document_id: int, collection_id: str, model: str, vectors: Sequence[bytes]) -> None:
    """Adds the points of a document's pieces, when the database can hold them."""
    if vectors and len(vectors[0]) <= MAX_DIMENSIONS and _MAY_ADD.row(session, {})[0]:
        _ADD_STATEMENT.run(session, *_rows(document_id, collection_id, model, vectors))


def has_points(session: Session, dimensions: int) -> bool:
    """True when searches may use the points of vectors of this length."""
    return dimensions <= MAX_DIMENSIONS and _IS_READY.row(session, {})[0]


def find_by_points(
    session: Session,
    collection_id: str,
    model: str,
    question: bytes,
    most: int,
    source_ids: Sequence[str],
    document_ids: AbstractSet[int] | None,
) -> list[tuple[int, int, float]]:
    """Returns (document id, number, cosine) of the nearest pieces. A vector of zeros is near to nothing."""
    wanted = {
        "collection_id": collection_id,
        "model": model,
        "dimensions": len(question),
        "question": _point(question),
        "source_ids": list(source_ids) or None,
        "document_ids": None if document_ids is None else sorted(document_ids),
        "most": most,
    }
    return [tuple(row) for row in _FIND.rows(session, wanted) if row[2] is not None and row[2] == row[2]]


def _prepare(engine: Engine) -> str:
    with engine.connect() as connection:
        ready, _, _, is_on, is_installed = connection.execute(_STATE).one()
        if ready and connection.execute(_MISSING, {"most": 1}).first() is None:
            return ""
        if not is_on and not is_installed:
            return meaning_trouble(connection)
    if not is_on:
        try:
            with engine.begin() as connection:
                connection.execute(text("create extension if not exists vector"))
        except DBAPIError:
            with engine.connect() as connection:
                return meaning_trouble(connection)
    with engine.connect() as connection:
        _, has_table, has_type, _, _ = connection.execute(_STATE).one()
        if not has_type:
            return meaning_trouble(connection)
    with engine.begin() as locked:  # one process does it, the others wait
        locked.execute(text(f"select pg_advisory_xact_lock{MIGRATE_LOCK}"))
        _fill(engine, has_table=has_table)
    return ""


def _fill(engine: Engine, *, has_table: bool) -> None:
    """Creates the table, adds the points that are missing, and says that they are complete."""
    if not has_table:
        with engine.begin() as connection:
            connection.execute(_TABLE)
    while True:
        with engine.begin() as connection:
            connection.execute(text(f"select pg_advisory_xact_lock{WRITE_LOCK}"))
            found = connection.execute(_MISSING, {"most": _SLICE}).all()
            rows = [
                row
                for document_id, collection_id, model, dimensions, vectors in found
                for row in _rows(document_id, collection_id, model, _cut(bytes(vectors), dimensions))
            ]
            if not rows:
                if not connection.execute(_STATE).one()[0]:
                    connection.execute(text(_READY))
                return
            connection.execute(_ADD_TEXT, rows)


def _rows(document_id: int, collection_id: str, model: str, vectors: Sequence[bytes]) -> list[dict[str, Any]]:
    return [
        {
            "document_id": document_id,
            "number": number,
            "collection_id": collection_id,
            "model": model,
            "dimensions": len(vector),
            "point": _point(vector),
        }
        for number, vector in enumerate(vectors)
    ]


def _cut(vectors: bytes, length: int) -> list[bytes]:
    return [vectors[at : at + length] for at in range(0, len(vectors), length)]


def _point(vector: bytes) -> str:
    """Returns a vector of signed bytes as pgvector reads it."""
    return f"[{','.join(map(str, memoryview(vector).cast('b')))}]"
