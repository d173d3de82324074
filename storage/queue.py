"""Queries for the queue: Huey's table in this database. `engine.jobs.huey_queue` creates and parses the messages.

Messages are taken in the order of their turns, which are fair: whoever queued ten thousand jobs does not keep others
waiting. A turn is a number; a subject (an API key, or an environment without one) gets consecutive turns, and begins at
the turn that is being served, or at the time in microseconds when nobody waits, so that the processes of a folder begin
alike. So two subjects that both have jobs waiting take turns, and the jobs of one stay in their
order. The column `priority` holds the negative turn, since Huey's index sorts by it in descending order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from storage.statements import Statement, insert_into, is_sqlite

QUEUE = "jobs"
#: The key in `session.info` for the Turns of a process, set by the database that opened the session.
TURNS = "turns"

#: The turn of messages that go before all others.
AHEAD = -1e18
_HAS = Statement("select 1 from task where queue = :queue limit 1")
_FIRST = Statement(
    "select priority from task where queue = :queue and priority < :ahead order by priority desc, id limit 1"
)
_LAST = Statement(
    "select priority from task where queue = :queue and priority < :ahead order by priority, id desc limit 1"
)
_TAKE = Statement(
    "delete from task where id in (select id from task where queue = :queue order by priority desc, id limit :most)"
    " returning id, priority, data"
)
#: A worker does not wait for the messages that another takes at the same time.
_TAKE_POSTGRES = Statement(
    "delete from task where id in (select id from task where queue = :queue order by priority desc, id limit :most"
    " for update skip locked) returning id, priority, data"
)
_COLUMNS = ("queue", "data", "priority")
_SEND = insert_into("task", _COLUMNS)
#: PostgreSQL sends the rows together anyway; Huey's table is none of those whose kinds of columns are known to it.
_SEND_POSTGRES = Statement("insert into task (queue, data, priority) values (:queue, :data, :priority)")


class Turns:
    """The last turn of each subject that this process sends messages for. Used by the writer thread alone."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        #: False while messages of another process may wait, whose subjects are not known here.
        self._knows_all = False

    def next(self, session: Session, subjects: Sequence[str]) -> list[float]:
        """Returns the next turn of each subject, in order."""
        first = _turn(_FIRST, session)
        if first is None:  # nothing waits, so all begin anew
            self._last.clear()
            self._knows_all = True
            first = turn_of_now(session)
        if not self._knows_all:  # behind everything: nobody overtakes an earlier job of their own
            return [_turn(_LAST, session) or 0.0] * len(subjects)
        turns: list[float] = []
        for subject in subjects:
            turn = self._last[subject] = max(first, self._last.get(subject, first - 1) + 1)
            turns.append(turn)
        return turns

    def send(self, session: Session, messages: Sequence[tuple[bytes, str]]) -> None:
        """Adds messages to the queue, each with the next turn of its subject."""
        turns = self.next(session, [subject for _, subject in messages])
        _add(session, [(data, -turn) for (data, _), turn in zip(messages, turns, strict=True)])


def turn_of_now(session: Session) -> float:
    """Returns the turn at which a subject begins when nothing waits."""
    # microseconds: nobody queues so many; as `storage.database.now`, which cannot be imported here
    return session.info["now"] * 1_000.0


def add_messages(session: Session, messages: Sequence[tuple[bytes, str]]) -> None:
    """Adds messages, each with its subject, to the queue."""
    known: Turns = session.info.get(TURNS) or Turns()
    known.send(session, messages)


def add_messages_ahead(session: Session, messages: Iterable[bytes]) -> None:
    """Adds messages before all others, in order: of jobs that had their turn already, or that a person waits for."""
    _add(session, [(data, -AHEAD) for data in messages])


def _add(session: Session, messages: Sequence[tuple[bytes, float]]) -> None:
    send = _SEND if is_sqlite(session) else _SEND_POSTGRES
    send.run(session, *({"queue": QUEUE, "data": data, "priority": priority} for data, priority in messages))


def has_messages(session: Session) -> bool:
    """True while the queue has messages."""
    return _HAS.row(session, {"queue": QUEUE}) is not None


def take_messages(session: Session, most: int) -> list[bytes]:
    """Removes up to `most` messages from the front of the queue, and returns them in order."""
    take = _TAKE if is_sqlite(session) else _TAKE_POSTGRES
    rows = take.rows(session, {"queue": QUEUE, "most": most})
    return [data for _, _, data in sorted(rows, key=lambda row: (-row[1], row[0]))]


def _turn(statement: Statement, session: Session) -> float | None:
    row = statement.row(session, {"queue": QUEUE, "ahead": -AHEAD})
    return None if row is None else -row[0]
