"""Texts are stored and compared as SQLite does it, in whatever locale the database was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from engine.jobs.transitions import claim, finish
from storage.job_changes import Lease
from storage.jobs import JobFilters, list_jobs
from storage.monitoring.rollup_writes import CODE
from storage.tables import Job
from tests.engine.jobs.world import World, open_world


@pytest.fixture
def world(new_data: Path) -> Iterator[World]:
    world = open_world(new_data)
    yield world
    world.database.close()


def test_every_column_of_text_compares_bytes(world: World) -> None:
    by_language = text(
        "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        " and data_type in ('text', 'character varying') and collation_name is distinct from 'C'"
        " and table_name <> 'alembic_version'"
    )
    assert world.read(lambda session: session.execute(by_language).all()) == []


@pytest.mark.parametrize("said", ["\0", "\ud800", "\udfff.", "\\", "\\u0000", '", "code": "other'])
def test_the_code_of_an_error_is_found_beside_any_message(world: World, said: str) -> None:
    job_id = world.submit(world.add_flow()).job_id
    world.write(claim, world.boot_id, job_id)
    error = {"code": "http_status", "message": said, "why": "", "remedy": "", "node_id": None}
    assert world.write(finish, job_id, "failed", lease=Lease(world.boot_id, 1), error=error)
    (found,) = world.read(list_jobs, world.workspace_id, JobFilters(error_code="http_status")).jobs
    assert found.error["message"] == said
    assert world.read(lambda session: session.scalar(select(CODE).where(Job.id == job_id))) == "http_status"
