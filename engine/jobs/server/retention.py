"""Deletes old data in writes of a few milliseconds with pauses between them, and returns the freed space to the disk.

Values (input, result, steps, events) are deleted after 30 days, or after the time that their flow sets; the rows of
jobs, refusals and the audit log after 13 months. Of a deleted flow, the draft goes a day later at the latest, the versions
with the last job, and its row 13 months later. When the database grows above its cap, values are deleted earlier: the
oldest ones of the workspace that uses most above its share of the cap, but never those of the last hour. So no
workspace loses results because of what others store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Concatenate

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.core.clock import DAY, HOUR
from engine.core.errors import StorageUnavailable
from engine.files.intake import SPACE_GB, USUAL_SPACE_GB
from storage.backup import DATABASE
from storage.database import Database
from storage.deleted_flows import forget_draft, has_draft, has_jobs, has_parts, remove_parts, remove_row
from storage.files import (
    UNUSED_MS,
    forget_unnamed,
    has_row,
    list_unnamed_uses,
    list_unused,
    remove_bytes_without_row,
    remove_files,
)
from storage.hooks import forget_calls, has_old_calls
from storage.monitoring.rollup_writes import find_span, start_later
from storage.retention import (
    LOG_TABLES,
    KeptFlow,
    Room,
    due_jobs,
    due_values,
    has_old_log_rows,
    list_kept_flows,
    oldest_values,
    read_room,
    release_pages,
    remove_jobs,
    remove_log_rows,
    remove_values,
    used_by_values,
    value_bytes,
)
from storage.settings import SERVER, find_setting
from storage.sqlite_file import checkpoint, is_sqlite

log = logging.getLogger(__name__)

GIB = 1 << 30
#: The target time of one write in seconds, and the pause after it as a multiple of its time, in which others use the
#: database.
AIM_SECONDS = 0.0007
REST = 4.0
FEWEST, MOST = 4, 2_000
#: With PostgreSQL, where each statement is a round trip.
POSTGRES_AIM_SECONDS, POSTGRES_FEWEST = 0.01, 100
#: After this many writes the write-ahead log is checkpointed here; otherwise somebody's commit would have to do it and
#: wait.
WRITES_PER_CHECKPOINT = 8
#: The number of jobs that one query returns.
JOBS = 50
#: The number of files that one write removes.
FEW_FILES = 20
MONTH_DAYS = 30.44
#: Unused space below this size stays in the file, because it is soon used again. Space above it is released at once,
#: since SQLite searches its list of unused pages for each page that it releases: 15 us per page with a list of this
#: size, 500 us with 800 MB.
SLACK_BYTES = 8 << 20
#: The names of the settings that hold the rules (`storage.settings`, scope SERVER).
VALUES_DAYS, ROWS_MONTHS, CAP_GB = "keep_values_days", "keep_rows_months", "keep_cap_gb"


class Rules(Struct, frozen=True):
    """How long data is kept, and how large the database may grow (GiB). `cap_gb` 0: no cap."""

    values_days: int = 30
    rows_months: int = 13
    cap_gb: float = 5.0
    #: How many GiB the files of each workspace may take; 0: no limit.
    files_gb: float = USUAL_SPACE_GB

    @property
    def cap_bytes(self) -> int:
        return round(self.cap_gb * GIB)


@dataclass
class Report:
    """What one pass removed: jobs that lost values, job rows, log rows, jobs that lost values to the cap, released
    bytes, files, deleted flows.
    """

    values: int = 0
    jobs: int = 0
    log_rows: int = 0
    over_cap: int = 0
    released: int = 0
    files: int = 0
    flows: int = 0

    def __str__(self) -> str:
        parts = (
            (self.values + self.over_cap, "jobs lost their values"),
            (self.jobs, "jobs were removed"),
            (self.log_rows, "lines of logs were removed"),
            (self.files, "files were removed"),
            (self.flows, "deleted flows were removed"),
            (self.released >> 20, "MB were given back to the disk"),
        )
        return ", ".join(f"{count} {what}" for count, what in parts if count)


def read_rules(session: Session) -> Rules:
    """Returns the rules that the owner set, and the defaults of the others."""
    usual = Rules()
    return Rules(
        values_days=find_setting(session, SERVER, VALUES_DAYS) or usual.values_days,
        rows_months=find_setting(session, SERVER, ROWS_MONTHS) or usual.rows_months,
        cap_gb=usual.cap_gb if (cap := find_setting(session, SERVER, CAP_GB)) is None else cap,
        files_gb=usual.files_gb if (space := find_setting(session, SERVER, SPACE_GB)) is None else space,
    )


@dataclass
class Retention:
    """Runs one pass at a time, in a thread of its own. `stop` ends it between two writes; `rest`: as REST."""

    database: Database
    stop: threading.Event = field(default_factory=threading.Event)
    rest: float = REST
    _rows: int = 40
    _pages: int = 20
    _writes: int = 0
    #: With PostgreSQL: the room of this pass, from which it takes what it removes.
    _counted: Room | None = None
    #: The time for which uses and left bytes were looked at last, in milliseconds since 1970.
    _files_looked_at: int = 0

    def run(self, rules: Rules | None = None) -> Report:
        """Removes everything that is due now. Raises StorageUnavailable; what was removed before that stays removed."""
        rules = rules or self.database.read_now(read_rules)
        at = self.database.clock.now()
        report = Report()
        file = 0 if self.database.is_postgres else self._room().file
        flows = self.database.read_now(list_kept_flows)
        rows_before = at - round(rules.rows_months * MONTH_DAYS * DAY)
        for workspace_id in {flow.workspace_id for flow in flows}:
            self._leave_rollup(workspace_id, rows_before)
        for flow in flows:
            self._old_values(flow, at - (flow.keep_days or rules.values_days) * DAY, report)
            self._old_jobs(flow, rows_before, report)
            if flow.deleted_at is not None and flow.deleted_at < at - DAY:
                self._deleted_flow(flow.id, report, and_row=flow.deleted_at < rows_before)
        self._old_log_rows(rows_before, at - rules.values_days * DAY, report)
        if self.database.read_now(has_old_calls, at - rules.values_days * DAY):
            self.database.write_now(forget_calls, at - rules.values_days * DAY)
        if rules.cap_bytes:
            self._above_cap(flows, rules.cap_bytes, at - HOUR, report)
        self._unused_files(at - UNUSED_MS, report)
        if self.database.is_postgres:
            return report
        self._give_back()
        report.released = max(0, file - self._room().file)
        if report.released:
            _checkpoint(self.database)
        return report

    def _leave_rollup(self, workspace_id: str, before: int) -> None:
        """Takes jobs out of the roll-up before their rows are removed, so that figures say the same as the rows."""
        span = self.database.read_now(find_span, workspace_id)
        if span is not None and span.since < before:
            self.database.write_now(start_later, workspace_id, before)

    def _old_values(self, flow: KeptFlow, before: int, report: Report) -> None:
        while not self.stop.is_set():
            jobs = self.database.read_now(due_values, flow.id, before, JOBS)
            if not jobs:
                return
            report.values += self._remove_values(jobs)

    def _old_jobs(self, flow: KeptFlow, before: int, report: Report) -> None:
        while not self.stop.is_set():
            jobs = self.database.read_now(due_jobs, flow.id, before, JOBS)
            if not jobs:
                return
            self._remove_values(jobs)
            few = max(1, self._rows // 20)
            for first in range(0, len(jobs), few):
                report.jobs += self._write(remove_jobs, jobs[first : first + few])

    def _deleted_flow(self, flow_id: str, report: Report, *, and_row: bool) -> None:
        """Removes what is left of a deleted flow and of no use to its jobs; with `and_row` the flow itself, too."""
        if self.database.read_now(has_draft, flow_id):
            self._write(forget_draft, flow_id)
        while not self.stop.is_set() and self.database.read_now(has_parts, flow_id):
            self._write(remove_parts, flow_id, self._rows)
        if and_row and not self.stop.is_set() and not self.database.read_now(has_jobs, flow_id):
            report.flows += self._write(remove_row, flow_id)

    def _unused_files(self, before: int, report: Report) -> None:
        """Removes files that nothing names any more. Once a day, it looks what flows and datasets still name, and
        removes bytes that a killed process left.
        """
        if before - self._files_looked_at >= DAY:
            self._files_looked_at = before
            gone = self.database.read_now(list_unnamed_uses)
            for first in range(0, len(gone), FEW_FILES):
                self._write(forget_unnamed, gone[first : first + FEW_FILES])
            for sha256 in self.database.file_bytes.old_hashes():
                if not self.database.read_now(has_row, sha256):
                    self._write(remove_bytes_without_row, [sha256])
        while not self.stop.is_set():
            unused = self.database.read_now(list_unused, before, FEW_FILES)
            if not unused:
                return
            removed = self._write(remove_files, unused)
            report.files += removed
            if not removed:  # something names them meanwhile
                return

    def _old_log_rows(self, before: int, values_before: int, report: Report) -> None:
        for table in LOG_TABLES:
            if not self.database.read_now(has_old_log_rows, table, before=before, values_before=values_before):
                continue
            gone = most = 0
            while gone == most and not self.stop.is_set():
                most = self._rows  # `_write` changes it
                gone = self._write(remove_log_rows, table, before=before, values_before=values_before, most=most)
                report.log_rows += gone

    def _above_cap(self, flows: list[KeptFlow], cap: int, before: int, report: Report) -> None:
        self._counted = None
        if self._room().used <= cap:
            return
        enough = cap * 95 // 100
        users = self._users(flows)
        share = cap // max(1, len(users))
        while self._room().used > enough and not self.stop.is_set():
            user = _largest(users, share)
            if user is None:
                log.warning(
                    "The database is above its cap of %d MB, and there are no older values to remove.", cap >> 20
                )
                return
            oldest = self.database.read_now(oldest_values, user.flow_ids)
            until = min(before, oldest[1][0] + 1) if len(oldest) > 1 else before
            jobs = self.database.read_now(due_values, oldest[0][1], until, JOBS) if oldest else []
            user.has_old = bool(jobs)
            sizes = self.database.read_now(value_bytes, jobs)
            while jobs and _largest(users, share) is user and self._room().used > enough and not self.stop.is_set():
                done = self._remove_some(jobs)
                user.used -= sum(sizes[:done])
                if (counted := self._counted) is not None:
                    self._counted = replace(counted, file=counted.file - sum(sizes[:done]))
                report.over_cap += done
                jobs, sizes = jobs[done:], sizes[done:]

    def _users(self, flows: list[KeptFlow]) -> list[_User]:
        """Returns the workspaces that store values."""
        by_workspace: dict[str, list[str]] = {}
        for flow in flows:
            by_workspace.setdefault(flow.workspace_id, []).append(flow.id)
        found = (_User(ids, self.database.read_now(used_by_values, ids)) for ids in by_workspace.values())
        return [user for user in found if user.used]

    def _give_back(self) -> None:
        if self.database.is_postgres:  # it uses the space again, in its own time
            return
        while self._room().unused > SLACK_BYTES and not self.stop.is_set():
            took = self._timed(release_pages, self._pages)
            self._pages = self._next_size(self._pages, took)

    def _remove_values(self, jobs: list[str]) -> int:
        left = list(jobs)
        while left and not self.stop.is_set():
            left = left[self._remove_some(left) :]
        return len(jobs) - len(left)

    def _remove_some(self, jobs: list[str]) -> int:
        return self._write(remove_values, jobs, self._rows)

    def _write(self, verb: Callable[..., int], *args: object, **kwargs: object) -> int:
        """Runs one small write and a pause, adapts the size of the next write to the time it took, and releases unused
        space.
        """
        done: list[int] = []
        took = self._timed(lambda session: done.append(verb(session, *args, **kwargs)))
        self._rows = self._next_size(self._rows, took)
        self._give_back()
        return done[-1]

    def _timed(self, verb: Callable[Concatenate[Session, ...], None], *args: object) -> float:
        """Returns the seconds that the work took inside its transaction.

        The commit is left out: its time hardly depends on the size.
        """
        own: list[float] = []

        def work(session: Session) -> None:
            begun = time.perf_counter()
            verb(session, *args)
            own.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        self.database.write_now(work)
        took = time.perf_counter() - begun
        self._writes += 1
        if self._writes % WRITES_PER_CHECKPOINT == 0:
            _checkpoint(self.database)
        self.stop.wait(took * self.rest)
        return own[-1]

    def _room(self) -> Room:
        if not self.database.is_postgres:
            return self.database.read_now(read_room)
        if self._counted is None:
            self._counted = self.database.read_now(read_room)
        return self._counted

    def _next_size(self, size: int, took: float) -> int:
        if self.database.is_postgres:
            return _next_size(size, took, POSTGRES_AIM_SECONDS, POSTGRES_FEWEST)
        return _next_size(size, took)


@dataclass
class _User:
    """A workspace: its flows, the bytes that values of their jobs use, and whether some values are old enough to be
    removed.
    """

    flow_ids: list[str]
    used: int
    has_old: bool = True


def _largest(users: list[_User], share: int) -> _User | None:
    """Returns whose values are removed next. While one workspace is above the share, none below it loses values."""
    above = [user for user in users if user.used > share] or users
    return max((user for user in above if user.has_old), key=lambda user: user.used, default=None)


def _next_size(size: int, took: float, aim: float = AIM_SECONDS, fewest: int = FEWEST) -> int:
    if took > aim * 1.5:
        return max(fewest, size * 2 // 3)
    return min(MOST, size * 5 // 4) if took < aim else size


def _checkpoint(database: Database) -> None:
    """Moves the write-ahead log into the database file as far as readers allow, which shortens the file.

    A later commit moves the rest.
    """
    if not is_sqlite(database.url):
        return
    try:
        checkpoint(database.url, "passive")
    except StorageUnavailable as error:
        log.info("The log of %s was not moved into the file yet: %s", DATABASE, error.detail)
