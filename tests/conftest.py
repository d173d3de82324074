"""Configuration and fixtures for all tests."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import databases
from tests.postgres_cluster import POSTGRES, cluster
from tests.tiers import LONG_FIRST, MISPLACED, NO_PROCESS, PROCESS_FIXTURES, PROCESS_FOLDERS

if sys.dont_write_bytecode:
    # The tests start Flowport about a hundred times. Where bytecode must not be written beside the source, it is
    # written into the virtual environment, so that starts after the first one skip compilation.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(sys.prefix) / "compiled")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


MEMORY = Path("/dev/shm")
#: What must be free there: a run keeps up to 300 MB at a time, and the servers that it starts need memory, too.
FREE_BYTES = 2 * 1024**3

if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > FREE_BYTES:
    # Folders of tests are kept in memory where the system offers that: a third of the time of tests with databases is
    # waiting for the disk. Locks, permissions and the calls of SQLite are the same there; disks that are full and power
    # that fails have tests that bring their own disk.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# Tests create many short-lived objects. With Python's default thresholds, garbage collection takes a fifth of the test
# time.
gc.set_threshold(200_000, 50, 1_000)

# Property tests have no deadline per example, because shared machines can be slow.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

pytest_plugins = [
    "tests.cheap_parts",
    "tests.cpu_time",
    "tests.shared",
    *(["tests.postgres_databases"] if POSTGRES else []),
]


TESTS = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Starts the PostgreSQL of this run, if it has one, before the processes of xdist start."""
    if POSTGRES:
        cluster()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Ends it; the processes of xdist only leave it."""
    if POSTGRES:
        cluster().end()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skips folders without process tests when `-m "process and ..."` selects the process tier."""
    if not config.option.markexpr.startswith("process ") or not collection_path.is_relative_to(TESTS):
        return None
    return collection_path.relative_to(TESTS).as_posix() in NO_PROCESS or None


@pytest.hookimpl(tryfirst=True)  # runs before pytest applies `-m`
def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Adds the marker of its tier to each test, leaves out what this run's database is not for, and puts long-running
    files first; the tests of a file stay together.

    Where both kinds run in one process, browser tests run last: the browser stays open, and asyncio tests cannot run
    beside it.
    """
    for item in items:
        place = item.path.relative_to(TESTS)
        if "browser" in item.fixturenames:
            item.add_marker("browser")
        elif place.parts[0] in PROCESS_FOLDERS or PROCESS_FIXTURES.intersection(item.fixturenames):
            item.add_marker("process")
        if hasattr(item.module, "beside"):
            item.add_marker("alone")
        if "postgres" in place.parts:
            item.add_marker("postgres")
        item.config.stash.setdefault(MISPLACED, []).extend([item.nodeid] * _is_misplaced(item, place.as_posix()))
    elsewhere = {item for item in items if item.get_closest_marker("sqlite" if POSTGRES else "postgres")}
    if elsewhere:
        items[:] = [item for item in items if item not in elsewhere]
        config.hook.pytest_deselected(items=list(elsewhere))
    items.sort(
        key=lambda item: (
            item.get_closest_marker("browser") is not None,
            _place(item.path.relative_to(TESTS).parent.as_posix()),
        )
    )


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty data folder with all tables. Copying it is faster than running the migrations again."""
    from storage.opening import open_database

    data = tmp_path_factory.mktemp("migrated")
    open_database(data).close()
    return data


@pytest.fixture
def new_data(migrated: Path, tmp_path: Path) -> Iterator[Path]:
    """A data folder for one test, with all tables and no rows."""
    data = Path(shutil.copytree(migrated, tmp_path / "data"))
    yield data
    databases.drop(data)


def _is_misplaced(item: Any, place: str) -> bool:
    """A tier of the Makefile reads only the folders that have tests for it: a test elsewhere would never be run."""
    marks = {mark.name for mark in item.iter_markers()}
    if marks & {"slow", "chaos", "postgres"}:
        return False
    if "browser" in marks:
        return not place.startswith("browser/")
    if "alone" in marks:
        return not place.startswith("security/")
    return "process" in marks and place.startswith(tuple(f"{one}/" for one in NO_PROCESS))


def _place(folder: str) -> int:
    return next((place for place, long in enumerate(LONG_FIRST) if folder.startswith(long)), len(LONG_FIRST))


def pytest_make_parametrize_id(config: Any, val: Any, argname: str) -> str | None:
    """Names bytes parameters by their length: xdist needs names that are equal in all processes, and gzip data contain
    the time.
    """
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
