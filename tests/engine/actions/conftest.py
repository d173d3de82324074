"""A data folder of its own, a clock that moves, and an owner."""

from __future__ import annotations

import shutil

import pytest

from engine.actions.workspaces import create_workspace, ensure_workspace
from engine.clock import MovedClock
from storage.database import open_database
from tests.factories import person


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty database with all tables: copying it is faster than migrating anew."""
    folder = tmp_path_factory.mktemp("migrated")
    open_database(folder).close()
    return folder / "flowport.db"


@pytest.fixture
def database(tmp_path, clock, migrated):
    (tmp_path / "data").mkdir()
    shutil.copy(migrated, tmp_path / "data")
    database = open_database(tmp_path / "data", clock=clock)
    yield database
    database.close()


@pytest.fixture
def workspace(database):
    return database.write_now(ensure_workspace, "free")


@pytest.fixture
def ada(workspace):
    """The owner."""
    return person(workspace)


@pytest.fixture
def stranger(database, workspace):
    """The owner of another workspace."""
    return person(database.write_now(create_workspace, "Elsewhere"), name="Mallory")
