"""Tells the processes on other machines what this one has changed, and passes on what they tell (`storage.postgres.process_link`).

The words: `wake` (a job was queued), `cancel JOB...`, `job JOB...` (new events), `end JOB...` (jobs or batches that have
ended), and those of which other packages hear by `on_word`, like `flow FLOW:REVISION`. Only processes on PostgreSQL import
this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.jobs.notifier import CONNECTED, HEARERS, NOTIFIER, TELLER, JobNotifier, on_word
from storage.database import Database
from storage.postgres.process_link import Link, require_notices


class Waiters(Protocol):
    """The requests of a server that wait for jobs (`engine.jobs.server.job_waiters`)."""

    is_told: bool

    def changed(self, *job_ids: str) -> None: ...
    def ended(self, *job_ids: str) -> None: ...
    def read_again(self) -> None: ...


class SharedNotices:
    """The JobNotifier of a process that shares its database with others. `here` is the one that it would have alone."""

    def __init__(self, here: JobNotifier, link: Link) -> None:
        self._here = here
        self._link = link

    def wake(self) -> None:
        self._here.wake()
        self._link.say("wake")

    def cancel(self, job_id: str) -> None:
        self._here.cancel(job_id)
        self._link.say("cancel", job_id)

    def changed(self, *job_ids: str) -> None:
        self._here.changed(*job_ids)
        self._link.say("job", *job_ids)

    def ended(self, *job_ids: str) -> None:
        self._here.ended(*job_ids)
        self._link.say("end", *job_ids)


#: The environment variable with which a server tells its workers the name of their family (`storage.postgres.process_link`).
FAMILY = "FLOWPORT_WORKER_FAMILY"


def join(
    database: Database,
    name: str,
    here: JobNotifier,
    *,
    direct_url: str | None = None,
    may_lead: bool = False,
    family: str | None = None,
) -> Link:
    """Connects this process with the others, and makes its commits known to them. `name` is the lock that says that it
    lives. The caller says with `on_word` what it hears, then starts the link, and closes it at the end. `family` as in
    `Link`.

    `direct_url` as in `Settings.database_direct_url`. Raises BadSetting when notices of the database do not arrive there.
    """
    require_notices(database.url, direct_url)
    hearers: dict[str, list[Callable[..., None]]] = {}

    def hear(word: str, arguments: Sequence[str]) -> None:
        for hearer in hearers.get(word, ()):
            hearer(*arguments)

    link = Link(direct_url or database.url, name, hear, lambda: hear(CONNECTED, ()), may_lead=may_lead, family=family)
    database.info |= {NOTIFIER: SharedNotices(here, link), TELLER: link.say, HEARERS: hearers}
    return link


def join_as_worker(
    database: Database, boot_id: str, worker: JobNotifier, direct_url: str | None = None, family: str | None = None
) -> Link:
    """Connects a worker, which hears of queued jobs and of cancellations. The caller closes it. `family`: that of the
    server with which it has pipes.
    """

    def cancel(*job_ids: str) -> None:  # a notice may name several
        for job_id in job_ids:
            worker.cancel(job_id)

    link = join(database, boot_id, worker, direct_url=direct_url, family=family)
    on_word(database, "wake", worker.wake)
    on_word(database, CONNECTED, worker.wake)
    on_word(database, "cancel", cancel)
    link.start()
    return link


def join_as_server(
    database: Database, server_id: str, supervisor: JobNotifier, waiters: Waiters, direct_url: str | None = None
) -> Link:
    """Connects a server, which hears of jobs that others run, and may lead. The caller closes it."""
    link = join(database, server_id, supervisor, direct_url=direct_url, may_lead=True)
    on_word(database, "job", waiters.changed)
    on_word(database, "end", waiters.ended)
    on_word(database, CONNECTED, waiters.read_again)
    waiters.is_told = True
    link.start()
    return link
