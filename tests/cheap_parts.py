"""A pytest plugin: what makes parts of the product dear in real life and shows nothing in most tests is cheap in this process.

* A commit does not wait for the disk: it is there for every other connection and process, and no test takes the power away.
* SQL is compiled once for all databases that tests open, not for each anew.
* Passwords are hashed with little work. A test of the hash itself uses the fixture `dear_passwords`.
* What was imported to collect the tests is not looked through for garbage again and again.

Servers that tests start as processes of their own have none of this.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from argon2 import PasswordHasher

#: Statements of the whole product; SQLAlchemy itself keeps 500.
STATEMENTS = 5_000


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Everything that modules hold stays until the end."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """One look for what was never closed. pytest looks ten times more; what is left then is passed over."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cheap_databases() -> Iterator[None]:
    """Every SQLite database that `open_database` opens in this process."""
    from sqlalchemy import Engine, create_engine, event

    import storage.database

    make_engine = storage.database.make_engine
    first = create_engine("sqlite://", query_cache_size=STATEMENTS)
    with first.connect():
        pass  # it learns what this SQLite can

    def make_cheap_engine(url: str, *, immediate: bool) -> Engine:
        engine = make_engine(url, immediate=immediate)
        if url.startswith("sqlite"):
            event.listen(engine, "connect", _do_not_wait_for_the_disk)
            engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    storage.database.make_engine = make_cheap_engine
    yield
    storage.database.make_engine = make_engine
    first.dispose()


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[PasswordHasher]:
    """A hash says itself how much work checking it takes. Gives what the product hashes with."""
    from argon2 import PasswordHasher

    from engine.actions import passwords

    dear = passwords._HASHER
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield dear
    passwords._HASHER = dear


@pytest.fixture
def dear_passwords(cheap_passwords: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work that a password takes in real life."""
    from engine.actions import passwords

    monkeypatch.setattr(passwords, "_HASHER", cheap_passwords)


def _do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous=OFF")
