"""The order in which queued jobs get their turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.core.clock import MovedClock
from storage.database import Database
from storage.queue import TURNS, Turns, add_messages, add_messages_ahead, has_messages, take_messages
from tests.databases import open_database
from tests.postgres_cluster import POSTGRES


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


def add(database: Database, subject: str, *names: str) -> None:
    database.write_now(add_messages, [(name.encode(), subject) for name in names])


def take(database: Database, most: int) -> list[str]:
    return [data.decode() for data in database.write_now(take_messages, most)]


def test_jobs_of_one_subject_keep_their_order(database: Database) -> None:
    add(database, "key_a", "1", "2")
    add(database, "key_a", "3")
    assert take(database, 2) == ["1", "2"]
    add(database, "key_a", "4")
    assert take(database, 9) == ["3", "4"]
    assert not database.read_now(has_messages)


def test_who_queued_ten_thousand_jobs_keeps_nobody_waiting(database: Database) -> None:
    add(database, "key_many", *(f"m{number}" for number in range(10_000)))
    assert take(database, 64)[-1] == "m63"
    add(database, "key_few", "f0", "f1", "f2")
    assert take(database, 6) == ["m64", "f0", "m65", "f1", "m66", "f2"]


def test_a_subject_that_was_served_for_long_is_not_behind_when_another_comes(database: Database) -> None:
    """Turns of the past do not count: both begin at the turn that is being served."""
    for number in range(300):
        add(database, "key_long", f"l{number}")
        take(database, 1)
    add(database, "key_long", "l300", "l301")
    add(database, "key_new", *(f"n{number}" for number in range(50)))
    assert take(database, 4) == ["l300", "n0", "l301", "n1"]


def test_a_clock_that_was_set_back_puts_nobody_behind_all_others(new_data: Path) -> None:
    clock = MovedClock()
    database = open_database(new_data, clock=clock)
    add(database, "key_a", "a0")
    assert take(database, 1) == ["a0"]
    clock.offset -= 3_600_000
    add(database, "key_b", *(f"b{number}" for number in range(20)))
    add(database, "key_a", "a1", "a2")
    assert take(database, 5) == ["b0", "a1", "b1", "a2", "b2"]
    database.close()


def test_what_a_person_waits_for_goes_ahead(database: Database) -> None:
    add(database, "key_a", "1", "2")
    database.write_now(add_messages_ahead, [b"mine"])
    database.write_now(add_messages_ahead, [b"and mine"])
    add(database, "key_new", "3")
    assert take(database, 9) == ["mine", "and mine", "1", "3", "2"]


def test_after_a_restart_nobody_overtakes_jobs_of_their_own(database: Database) -> None:
    add(database, "key_a", *(f"a{number}" for number in range(5)))
    database.info[TURNS] = Turns()
    add(database, "key_a", "later")
    assert take(database, 9) == ["a0", "a1", "a2", "a3", "a4", "later"]
    add(database, "key_a", "x", "y")
    add(database, "key_b", "z")
    assert take(database, 9) == ["x", "z", "y"]


def test_messages_of_an_earlier_release_come_first_in_their_order(database: Database) -> None:
    def old(session: Session) -> None:
        for name in (b"old1", b"old2"):
            session.execute(text("insert into task (queue, data, priority) values ('jobs', :data, 0)"), {"data": name})

    database.write_now(old)
    add(database, "key_a", "new")
    assert take(database, 9) == ["old1", "old2", "new"]


def test_two_processes_begin_alike_after_the_queue_was_empty(new_data: Path) -> None:
    clock = MovedClock()
    server, worker = (open_database(new_data, clock=clock) for _ in range(2))
    add(server, "key_a", *(f"a{number}" for number in range(50)))
    take(server, 49)
    add(server, "key_a", "a50")
    take(server, 9)
    clock.offset += 10
    add(worker, "batches of key_b", *(f"b{number}" for number in range(5)))
    add(server, "key_a", "next")
    assert take(server, 9)[:2] == ["b0", "next"]
    worker.close()
    server.close()


def test_jobs_of_one_subject_keep_their_order_across_two_servers(new_data) -> None:
    """With SQLite, of which one server sends, a process that knows not all puts its jobs behind all others."""
    clock = MovedClock()
    servers = [open_database(new_data, clock=clock) for _ in range(2)]
    try:
        for number in range(6):
            servers[number % 2].write_now(add_messages, [(f"a{number}".encode(), "a"), (f"b{number}".encode(), "b")])
        taken = servers[0].write_now(take_messages, 12)
    finally:
        for server in servers:
            server.close()
    assert [one for one in taken if one.startswith(b"a")] == [f"a{number}".encode() for number in range(6)]
    if POSTGRES:
        assert taken == [f"{subject}{number}".encode() for number in range(6) for subject in "ab"]
