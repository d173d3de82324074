"""The API keys that a person may have seen are listed when the person is disabled, and can be revoked at the same
time.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from engine.actions.keys import create_key, revoke_key, rotate_key
from engine.actions.principal import Principal, command_line
from engine.actions.team import disable_person
from engine.actions.workspaces import ensure_workspace
from engine.core.clock import DAY, MovedClock
from engine.core.errors import NotFound
from engine.core.ids import WorkspaceId
from storage.database import Database
from storage.engines import sqlite_url
from storage.keys import list_keys, list_keys_shown_to
from storage.tables import User
from tests.databases import open_database


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def database(new_data: Path, clock: MovedClock) -> Iterator[Database]:
    opened = open_database(new_data, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def owner(database: Database) -> Principal:
    return command_line(database.write_now(ensure_workspace, "free"))


@pytest.fixture
def eve(database: Database, owner: Principal) -> Principal:
    def join(session: Session) -> None:
        row = User(id="user_eve", workspace_id=owner.workspace_id, email="eve@example.com", name="Eve", role="editor")
        row.created_at = 1
        session.add(row)

    database.write_now(join)
    return Principal(WorkspaceId(owner.workspace_id), "user_eve", "Eve", "editor")


def seen_by(database: Database, who: Principal) -> set[str]:
    return {key.label for key in database.read_now(list_keys_shown_to, who.workspace_id, who.actor)}


def test_the_keys_somebody_has_seen_are_those_they_made_or_rotated(
    database: Database, owner: Principal, eve: Principal, clock: MovedClock
) -> None:
    database.write_now(create_key, eve, "Made", "live")
    database.write_now(create_key, owner, "Not hers", "live")
    rotated = database.write_now(create_key, owner, "Rotated", "live")
    database.write_now(rotate_key, eve, rotated.id, 24)
    revoked = database.write_now(create_key, eve, "Revoked", "live")
    database.write_now(revoke_key, owner, revoked.id)
    replaced = database.write_now(create_key, eve, "Replaced", "live")
    database.write_now(rotate_key, owner, replaced.id, 24)

    assert seen_by(database, eve) == {"Made", "Rotated", "Replaced"}
    clock.offset += 2 * DAY
    assert seen_by(database, eve) == {"Made", "Rotated"}, "the secret she saw of the third works no more"


def test_keys_are_revoked_in_the_transaction_that_shuts_somebody_out(
    database: Database, owner: Principal, eve: Principal
) -> None:
    made = database.write_now(create_key, eve, "Made", "live")
    with pytest.raises(NotFound):
        database.write_now(disable_person, owner, eve.actor, [made.id, "key_unknown"])
    assert seen_by(database, eve) == {"Made"}, "nothing of it happened"

    database.write_now(disable_person, owner, eve.actor, [made.id])
    assert seen_by(database, eve) == set()
    (key,) = database.read_now(list_keys, owner.workspace_id)
    assert key.revoked_at is not None


def test_all_keys_that_somebody_has_seen_are_revoked_and_told_as_they_are_in_that_transaction(
    database: Database, owner: Principal, eve: Principal
) -> None:
    database.write_now(create_key, owner, "Not hers", "live")
    for label in ("Made", "Made since"):
        database.write_now(create_key, eve, label, "live")
    told = database.write_now(disable_person, owner, eve.actor, None)
    assert {key.label for key in told} == {"Made", "Made since"}
    assert seen_by(database, eve) == set()
    keys = database.read_now(list_keys, owner.workspace_id)
    assert {key.label for key in keys if key.revoked_at is None} == {"Not hers"}


def test_for_keys_of_before_the_audit_log_says_who_has_seen_them(new_data: Path, clock: MovedClock) -> None:
    database = open_database(new_data, clock=clock)
    owner = command_line(database.write_now(ensure_workspace, "free"))
    eve = Principal(WorkspaceId(owner.workspace_id), "user_eve", "Eve (the (second))", "editor")
    database.write_now(create_key, eve, "Made", "live")
    database.write_now(create_key, owner, "By command", "live")
    unknown = database.write_now(create_key, eve, "Its line is gone", "live")
    database.write_now(
        lambda session: session.execute(text("delete from audit where subject = :id"), {"id": unknown.id})
    )
    database.close()
    upgrade_again(new_data)

    database = open_database(new_data, clock=clock)
    try:
        assert seen_by(database, eve) == {"Made"}
        assert seen_by(database, owner) == {"By command"}
        assert len(database.read_now(list_keys, owner.workspace_id)) == 3
    finally:
        database.close()


def upgrade_again(data: Path) -> None:
    """Reverts the migration and applies it again to the current contents of the folder."""
    change = importlib.import_module("storage.migrations.versions.0011_key_makers")
    engine = create_engine(sqlite_url(data))
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        change.downgrade()
        change.upgrade()
    engine.dispose()
