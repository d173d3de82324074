"""Opens the database of a test's data folder: SQLite in the folder, or a PostgreSQL database of the folder's own, which
is a copy of one with all tables (`tests/postgres_cluster.py`).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from storage.database import Database
from storage.database import open_database as open_url
from tests.postgres_cluster import POSTGRES, cluster


def open_database(data: Path, **options: Any) -> Database:
    """Opens the database of a data folder as `storage.database.open_database` does."""
    return open_url(data, url=url_of(data), **options)


def url_of(data: Path) -> str | None:
    """Returns the URL of the folder's database in PostgreSQL, which is made when it is missing; None with SQLite."""
    if not POSTGRES:
        return None
    name = _name(data)
    cluster().make(name)
    return cluster().url(name)


def settings_of(data: Path) -> dict[str, str]:
    """Returns the environment variables with which a server or command uses the database of a data folder; none with
    SQLite.
    """
    url = url_of(data)
    if url is None:
        return {}
    key = data.parent / f"{data.name}.key"
    if not key.exists():
        key.write_text(base64.b64encode(hashlib.sha256(str(data).encode()).digest()).decode())
    return {"FLOWPORT_DATABASE_URL": url, "FLOWPORT_SECRET_KEY_FILE": str(key)}


def drop(data: Path) -> None:
    """Removes the folder's database from PostgreSQL."""
    if POSTGRES:
        cluster().drop(_name(data))


def _name(data: Path) -> str:
    return f"t_{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]}"
