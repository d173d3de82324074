"""The turns of messages (`storage.queue`) when several servers send them: the last turn of each subject is in the database,
in Huey's table `kv`, which is not used otherwise.

A row is as good after a year as after a second: turns are times in microseconds, so an old one lies before all that wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy.orm import Session

from storage.queue import Turns, first_turn
from storage.statements import Statement

#: Gives each subject as many turns as it has messages, and returns the last of them.
_TAKE_TURNS: Final = Statement(
    """insert into kv as known (queue, key, value)
       select 'turns', key, convert_to(cast(cast(:first as bigint) + count - 1 as text), 'UTF8')
         from unnest(cast(:subjects as text[]), cast(:counts as bigint[])) as wanted (key, count)
       on conflict (queue, key) do update set value = convert_to(cast(
         greatest(cast(:first as bigint) - 1, cast(convert_from(known.value, 'UTF8') as bigint))
           + cast(convert_from(excluded.value, 'UTF8') as bigint) - cast(:first as bigint) + 1 as text), 'UTF8')
       returning key, cast(convert_from(value, 'UTF8') as bigint)"""
)


class SharedTurns(Turns):
    """Turns that all servers of a PostgreSQL database share."""

    def next(self, session: Session, subjects: Sequence[str]) -> list[float]:
        """Returns the next turn of each subject, in order."""
        first = first_turn(session)
        counts = Counter(subjects)
        wanted = {"first": int(first), "subjects": list(counts), "counts": list(counts.values())}
        last = dict(_TAKE_TURNS.rows(session, wanted))
        turns = []
        for subject in subjects:
            turns.append(float(last[subject] - counts[subject] + 1))
            counts[subject] -= 1
        return turns
