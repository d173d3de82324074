"""Fixtures: databases in the PostgreSQL of this run that have no tables, and one behind a proxy that can cut its
connections.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import url_of
from tests.postgres_cluster import cluster
from tests.postgres_proxy import Proxy


@pytest.fixture
def proxy(new_data: Path) -> Iterator[Proxy]:
    url = url_of(new_data)
    assert url is not None
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:  # a short path: those of sockets are limited
        made = Proxy(url, Path(folder))
        yield made
        made.close()


@pytest.fixture
def new_database() -> Iterator[Callable[[], str]]:
    """Returns a function that makes a database without tables and returns its URL."""
    made: list[str] = []

    def make() -> str:
        name = f"t_{secrets.token_hex(8)}"
        cluster().make(name, "template0")
        made.append(name)
        return cluster().url(name)

    yield make
    for name in made:
        cluster().drop(name)
