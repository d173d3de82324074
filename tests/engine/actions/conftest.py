"""Fixtures: a data folder, a clock that a test sets, and an owner."""

from __future__ import annotations

import pytest

from engine.actions.workspaces import create_workspace, ensure_workspace
from tests.databases import open_database
from tests.factories import person
from tests.logical_time import LogicalClock


@pytest.fixture
def clock():
    return LogicalClock()


@pytest.fixture
def database(new_data, clock):
    database = open_database(new_data, clock=clock)
    yield database
    database.close()


@pytest.fixture
def workspace(database):
    return database.write_now(ensure_workspace, "free")


@pytest.fixture
def ada(workspace):
    """The owner of the workspace."""
    return person(workspace)


@pytest.fixture
def stranger(database, workspace):
    """The owner of another workspace."""
    return person(database.write_now(create_workspace, "Elsewhere"), name="Mallory")
