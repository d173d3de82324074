"""A pytest plugin that makes expensive operations cheap in the test process where most tests do not depend on their
cost.

* A commit does not wait for the disk: other connections and processes see it anyway, and no test cuts the power.
* SQL statements are compiled once for all databases that tests open.
* Passwords are hashed with minimal work. Tests of the hash itself use the fixture `dear_passwords`.
* Objects that exist after the collection of tests are excluded from garbage collection.

Servers that tests start as separate processes are not affected.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from argon2 import PasswordHasher

#: Size of the cache of compiled statements, large enough for the whole product; SQLAlchemy's default is 500.
STATEMENTS = 5_000


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Excludes everything that the imported modules hold from garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Collects garbage once, to report unclosed resources. pytest then repeats this several times; frozen objects make
    that fast.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cheap_databases() -> Iterator[None]:
    """Applies to every database that `open_database` opens in this process."""
    from sqlalchemy import Engine, create_engine, event

    import storage.database
    import storage.log_sync

    make_engine, sync_data = storage.database.make_engine, storage.log_sync._sync_data
    first = create_engine("sqlite://", query_cache_size=STATEMENTS)
    with first.connect():
        pass  # the dialect detects the features of this SQLite on its first connection

    #: Engines of PostgreSQL whose dialect has met the server: `immediate` -> the first one that was made.
    met: dict[bool, Engine] = {}

    def make_cheap_engine(url: str, *, immediate: bool, durable: bool = True) -> Engine:
        engine = make_engine(url, immediate=immediate, durable=durable)
        if url.startswith("sqlite"):
            event.listen(engine, "connect", _do_not_wait_for_the_disk)
            engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        elif immediate in met:
            engine.dialect, engine._compiled_cache = met[immediate].dialect, met[immediate]._compiled_cache
        else:
            with engine.connect():
                met[immediate] = engine
        return engine

    storage.database.make_engine = make_cheap_engine
    storage.log_sync._sync_data = lambda _descriptor: None
    yield
    storage.database.make_engine, storage.log_sync._sync_data = make_engine, sync_data
    first.dispose()


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[PasswordHasher]:
    """Makes hashing cheap; a hash contains its own parameters, so checking it is cheap too.

    Yields the product's hasher.
    """
    from argon2 import PasswordHasher

    from engine.actions import passwords

    dear = passwords._HASHER
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield dear
    passwords._HASHER = dear


@pytest.fixture
def dear_passwords(cheap_passwords: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restores the product's password hashing for one test."""
    from engine.actions import passwords

    monkeypatch.setattr(passwords, "_HASHER", cheap_passwords)


def _do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous=OFF")
