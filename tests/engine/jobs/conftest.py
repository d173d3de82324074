from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import open_database
from tests.engine.jobs.world import World, open_world


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated data folder that tests copy."""
    data = tmp_path_factory.mktemp("migrated")
    open_database(data).close()
    return data


@pytest.fixture
def new_data(migrated: Path, tmp_path: Path) -> Path:
    """A data folder of the test's own."""
    return Path(shutil.copytree(migrated, tmp_path / "data"))


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data)
    yield world
    world.database.close()
