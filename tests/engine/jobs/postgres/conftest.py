"""A PostgreSQL database behind a proxy that can cut its connections."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import url_of
from tests.postgres_proxy import Proxy


@pytest.fixture
def proxy(new_data: Path) -> Iterator[Proxy]:
    url = url_of(new_data)
    assert url is not None
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:  # a short path: those of sockets are limited
        made = Proxy(url, Path(folder))
        yield made
        made.close()
