"""Opens the database of a test's data folder: SQLite in the folder, or a PostgreSQL database of the folder's own, which
begins without rows (`tests/postgres_cluster.py`).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import text

from storage.database import Database
from storage.opening import open_database as open_url
from tests.postgres_cluster import POSTGRES, cluster


def open_database(data: Path, **options: Any) -> Database:
    """Opens the database of a data folder as `storage.opening.open_database` does."""
    return open_url(data, url=url_of(data), **options)


def url_of(data: Path) -> str | None:
    """Returns the URL of the folder's database in PostgreSQL, which is made when it is missing; None with SQLite."""
    if not POSTGRES:
        return None
    return cluster().url(cluster().take(_name(data)))


def settings_of(data: Path) -> dict[str, str]:
    """Returns the environment variables with which a server or command uses the database of a data folder; none with
    SQLite.
    """
    url = url_of(data)
    if url is None:
        return {}
    key = data.parent / f"{data.name}.key"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(base64.b64encode(hashlib.sha256(str(data).encode()).digest()).decode())
    return {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": str(key)}


def drop(data: Path) -> None:
    """Gives the folder's database in PostgreSQL back, without rows, for another test."""
    if POSTGRES:
        cluster().give_back(_name(data))


def stored_bytes(database: Database) -> list[bytes]:
    """Returns the bytes of all stored files, sorted."""
    files = database.file_bytes
    if files.in_folder:
        return sorted(path.read_bytes() for path in (files.folder / "sha256").rglob("*") if path.is_file())
    rows = database.read_now(
        lambda session: session.execute(text("select sha256, size from file_bytes where sha256 is not null")).all()
    )
    return sorted(files.read(sha256, size) for sha256, size in rows)


def damage_bytes(database: Database, sha256: str, content: bytes | None) -> None:
    """Puts other bytes in the place of those of a file; None: removes them."""
    files = database.file_bytes
    if files.in_folder:
        files.path_of(sha256).unlink()
        if content is not None:
            files.path_of(sha256).write_bytes(content)
        return
    of_file = "bytes_id in (select id from file_bytes where sha256 = :sha256)"
    change = f"update file_pieces set content = :content where {of_file}"
    if content is None:
        change = "delete from file_bytes where sha256 = :sha256"
    values = {"sha256": sha256, **({} if content is None else {"content": content})}
    database.write_now(lambda session: session.execute(text(change), values))


def _name(data: Path) -> str:
    return hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]
