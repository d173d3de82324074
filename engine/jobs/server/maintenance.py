"""The server's background tasks: the roll-up for Monitoring, retention every ten minutes, a nightly check of the database
with a backup, the rest of interrupted erasures, and rows of datasets that were replaced or left.

All of them run in one thread of the one server of a data folder; of several servers that share a PostgreSQL, in the one
that leads.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from engine.backups.backups import (
    is_ahead,
    list_nightly,
    new_name,
    remove_old_nightly,
    write_backup,
)
from engine.backups.last_backup import note_made
from engine.backups.passphrase import find_passphrase, has_passphrase
from engine.backups.work_folders import backups_folder, remove_unfinished
from engine.core.clock import HOUR, SECOND
from engine.core.errors import Refusal
from engine.core.settings import BadSetting, Settings
from engine.jobs.server.erasing import finish_some
from engine.jobs.server.retention import Retention
from engine.jobs.server.rollup import Rollup
from engine.secrets.sealing import Vault
from storage.backup import DATABASE, damage_told, find_fault
from storage.database import Database
from storage.dataset_pieces import tidy_some
from storage.jobs import has_jobs
from storage.settings import NIGHTLY_AT, SERVER, find_setting, put_setting

log = logging.getLogger(__name__)

#: Seconds between two checks of what is due, and before the first check, because the start itself takes resources.
LOOK_SECONDS = 30.0
FIRST_SECONDS = 20.0
#: Seconds between two checks while the roll-up is behind, as after an upgrade.
BEHIND_SECONDS = 1.0
RETENTION_SECONDS = 600.0
#: The hour (local time) in which a backup is made, unless the last one is younger than BACKUP_AGE.
NIGHT_HOUR = 3
BACKUP_AGE = 2 * HOUR
#: When the last backup is this old, one is made at any hour, because the server may not run at night.
LATE_AGE = 30 * HOUR
AGAIN_SECONDS = 3_600.0


class Maintenance:
    """Runs from `start` until `stop`, which the server calls. `pass_over` makes one check, for tests.

    `after_crash`: the last server did not end by itself, so the database is checked soon. `leads` tells whether this
    server does the work now.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        vault: Vault,
        *,
        after_crash: bool = False,
        leads: Callable[[], bool] = lambda: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._settings = settings
        self._vault = vault
        self._leads = leads
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._retention = Retention(database, self._stop)
        self._rollup = Rollup(database, self._stop)
        self._behind = False
        #: The first run comes late, so that the owner can change the rules first after an upgrade.
        self._retention_due = monotonic() + RETENTION_SECONDS
        self._backup_due = 0.0
        self._drafts_due = 0.0
        self.check_due = after_crash
        self.on_damage: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._look_for_ever, name="maintenance", daemon=True)

    def start(self, *, on_damage: Callable[[], object]) -> None:
        """Starts the thread, which calls `on_damage` when the database is found damaged."""
        self.on_damage = on_damage
        self._thread.start()

    def end(self) -> None:
        """Starts nothing new; work in progress ends at its next step. Does not wait for it."""
        self._stop.set()

    def stop(self) -> None:
        """Does the same as `end`, and waits at most 5 s for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def pass_over(self) -> None:
        """Does what is due now. A full disk or another failure is logged, and the task is tried again later."""
        at = self._monotonic()
        if at >= self._drafts_due:
            self._drafts_due = at + RETENTION_SECONDS
            self._guarded(self._remove_old_drafts, "Unfinished files were not removed")
        if not self._leads():
            return
        if self.check_due:
            self._guarded(self.is_sound, "The database was not checked")
        if self._stop.is_set():
            return
        self._guarded(self._finish_erasing, "Erased data was not overwritten yet")
        self._guarded(self._tidy_datasets, "Rows of datasets that were replaced were not removed")
        self._guarded(self._add_up, "The figures of Monitoring were not added up; they are read from the jobs")
        if at >= self._retention_due:
            self._retention_due = at + RETENTION_SECONDS
            self._guarded(self._keep_within, "Old jobs were not removed")
        if at >= self._backup_due:
            self._guarded(self._back_up_when_due, "The nightly backup was not made")

    def _back_up_when_due(self) -> None:
        due, self._backup_due = self._backup_due, self._monotonic() + AGAIN_SECONDS  # also after a failure
        if self._backup_is_due():
            self.back_up()
        else:
            self._backup_due = due

    def back_up(self) -> None:
        """Checks the database, writes the nightly backup and removes old ones; of a damaged database it makes none.

        Raises StorageUnavailable, BadSetting, SecretUnreadable.
        """
        if not self.is_sound():
            return
        self._remove_unfinished()
        data = self._settings.data
        at = self._database.clock.now()
        passphrase = self._database.read_now(find_passphrase, self._settings, self._vault)
        target = backups_folder(data) / new_name("nightly", at)
        key_file, url = self._settings.secret_key_file, self._settings.database_url
        write_backup(data, target, at=at, passphrase=passphrase, key_file=key_file, url=url)
        remove_old_nightly(data, at)
        if self._database.is_postgres:
            self._database.write_now(_note_nightly, at, target)
        log.info("The nightly backup is made: %s", target.name)

    def is_sound(self) -> bool:
        """Reads the whole database, for seconds where it is large; returns whether no fault was found. PostgreSQL looks
        after its own files.
        """
        if self._database.is_postgres:
            self.check_due = False
            return True
        fault = find_fault(self._settings.data / DATABASE, seconds=math.inf, stopped=self._stop.is_set)
        self.check_due = False
        if fault:
            log.error("%s", damage_told(self._settings.data, fault, "Flowport ends, and does not start with it again."))
            self._stop.set()
            self.on_damage()
        return not fault

    def _finish_erasing(self) -> None:
        finish_some(self._database, stop=self._stop)

    def _tidy_datasets(self) -> None:
        while not self._stop.is_set() and self._database.write_now(tidy_some):
            pass  # each piece is a transaction, and others write between them

    def _remove_old_drafts(self) -> None:
        """Removes what killed processes left in this server's own folder, whether it leads or not."""
        self._database.file_bytes.remove_old_drafts()

    def _add_up(self) -> None:
        self._behind = False
        self._behind = self._rollup.run()

    def _keep_within(self) -> None:
        if said := str(self._retention.run()):
            log.info("Retention: %s.", said)

    def _backup_is_due(self) -> bool:
        at = self._database.clock.now()
        nights = list_nightly(self._settings.data, at)
        times = [one.at for one in nights]
        if self._database.is_postgres:  # another server may have made the last one, in its own folder
            made = self._database.read_now(find_setting, SERVER, NIGHTLY_AT)
            times += [made] if made and not is_ahead(made, at) else []
        if not times:
            return self._database.read_now(has_jobs)  # a folder in which nothing has run yet needs no backup
        age = at - max(times)
        mine = bool(nights) and max(times) - nights[0].at < SECOND  # a name has no milliseconds
        if mine and not nights[0].has_passphrase and self._database.read_now(has_passphrase, self._settings):
            return True  # the passphrase was set since, and the last one opens with this folder's key only
        return age >= LATE_AGE or (age >= BACKUP_AGE and time.localtime(at / SECOND).tm_hour == NIGHT_HOUR)

    def _remove_unfinished(self) -> None:
        # servers with a PostgreSQL may share the volume of the data folder
        remove_unfinished(self._settings.data, at=self._database.clock.now(), shared=self._database.is_postgres)

    def _guarded(self, work: Callable[[], object], failed: str) -> None:
        try:
            work()
        except (Refusal, BadSetting) as error:
            log.warning("%s: %s", failed, error)
        except Exception:
            log.exception("%s", failed)

    def _look_for_ever(self) -> None:
        self._guarded(self._remove_unfinished, "Unfinished backups were not removed")
        self._stop.wait(FIRST_SECONDS)
        while not self._stop.is_set():
            self._guarded(self.pass_over, "Background tasks were not looked at")
            self._stop.wait(BEHIND_SECONDS if self._behind else LOOK_SECONDS)


def _note_nightly(session: Session, at: int, file: Path) -> None:
    put_setting(session, SERVER, NIGHTLY_AT, at)
    note_made(session, at, file)
