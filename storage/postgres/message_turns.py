"""The turns of messages (`storage.queue`) when several servers send them: the last turn of each subject is in the database,
in Huey's table `kv`, which is not used otherwise.

A row is as good after a year as after a second: turns are times in microseconds, so an old one lies before all that wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy.orm import Session

from storage.queue import AHEAD, QUEUE, Turns, turn_of_now
from storage.statements import Statement

#: Gives each subject as many turns as it has messages, behind the turn that is being served, and adds the messages. Of its
#: subject's turns a message has the last but so many as come behind it. A last turn behind everything that waits was taken
#: already: it counts no more, since it may lie in the future of a clock that was set back.
_SEND: Final = Statement(
    """with served as (
         select cast(coalesce((select -priority from task where queue = :queue and priority < :ahead
                                order by priority desc, id limit 1), :now) as bigint) as turn,
                cast(coalesce((select -priority from task where queue = :queue and priority < :ahead
                                order by priority, id desc limit 1), 0) as bigint) as last
       ), taken as (
         insert into kv as known (queue, key, value)
         select 'turns', key, convert_to(cast(turn + count - 1 as text), 'UTF8')
           from unnest(cast(:subjects as text[]), cast(:counts as bigint[])) as wanted (key, count), served
         on conflict (queue, key) do update set value = convert_to(cast(
           (select case when was between turn and last then was else turn - 1 end
              from served, cast(convert_from(known.value, 'UTF8') as bigint) as was)
             + cast(convert_from(excluded.value, 'UTF8') as bigint) - (select turn from served) + 1 as text), 'UTF8')
         returning key, cast(convert_from(value, 'UTF8') as bigint) as last
       )
       insert into task (queue, data, priority)
       select :queue, data, behind - last
         from unnest(cast(:data as bytea[]), cast(:of as text[]), cast(:behind as bigint[]))
              with ordinality as message (data, subject, behind, number)
         join taken on taken.key = message.subject
        order by number"""
)


class SharedTurns(Turns):
    """Turns that all servers of a PostgreSQL database share."""

    def send(self, session: Session, messages: Sequence[tuple[bytes, str]]) -> None:
        """Adds messages to the queue, each with the next turn of its subject, by one statement."""
        subjects = [subject for _, subject in messages]
        counts = Counter(subjects)
        behind: list[int] = []
        left = dict(counts)
        for subject in subjects:
            left[subject] -= 1
            behind.append(left[subject])
        values = {
            "queue": QUEUE,
            "ahead": -AHEAD,
            "now": turn_of_now(session),
            "subjects": list(counts),
            "counts": list(counts.values()),
            "data": [data for data, _ in messages],
            "of": subjects,
            "behind": behind,
        }
        if messages:
            _SEND.run(session, values)
