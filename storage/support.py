"""Queries for the support file: row counts and the last error codes, without any value of users."""

from __future__ import annotations

from collections.abc import Mapping
from sqlite3 import sqlite_version
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from storage.statements import is_sqlite
from storage.tables import (
    ApiKey,
    Base,
    Connection,
    Dataset,
    DatasetRow,
    Flow,
    FlowVersion,
    Job,
    Secret,
    User,
    Workspace,
)
from storage.tables_knowledge import KnowledgeCollection, KnowledgePiece, KnowledgeSource

_COUNTED: tuple[type[Base], ...] = (
    Workspace,
    User,
    Flow,
    FlowVersion,
    ApiKey,
    Connection,
    Secret,
    Dataset,
    DatasetRow,
    KnowledgeCollection,
    KnowledgeSource,
    KnowledgePiece,
    Job,
)
#: The number of newest failed jobs that are examined.
MAX_ERRORS = 200


def count_everything(session: Session) -> dict[str, int]:
    """Returns table -> number of rows, over all workspaces."""
    counts = {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in _COUNTED}
    live = session.scalar(select(func.count()).select_from(Flow).where(Flow.live_version.is_not(None))) or 0
    return {**counts, "live flows": live}


def list_last_errors(session: Session) -> list[tuple[str, int, int]]:
    """Returns (code, how often among the newest failed jobs, when last), newest first, without messages, which may
    contain values.
    """
    rows = session.execute(
        select(Job.error, Job.completed_at)
        .where(Job.status == "failed", Job.completed_at.is_not(None))
        .order_by(Job.completed_at.desc())
        .limit(MAX_ERRORS)
    )
    found: dict[str, tuple[int, int]] = {}
    for error, at in rows:
        code = _code(error)
        count, last = found.get(code, (0, at or 0))
        found[code] = (count + 1, last)
    return [(code, count, last) for code, (count, last) in found.items()]


def _code(error: Mapping[str, Any] | None) -> str:
    return str(error.get("code", "unknown")) if isinstance(error, Mapping) else "unknown"


def database_version(session: Session) -> tuple[str, str]:
    """Returns the name and version of the database: `("SQLite", "3.46.1")`."""
    if is_sqlite(session):
        return "SQLite", sqlite_version
    return "PostgreSQL", str(session.scalar(text("select current_setting('server_version')")))
