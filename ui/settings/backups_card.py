"""Backups on the page Data: the list, a new backup, the passphrase of the nightly ones, and how to restore."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from nicegui import ui

from engine.actions.server import note_backup, note_backup_made, set_backup_passphrase
from engine.backups.backups import (
    NIGHTLY_KEPT,
    BackupFile,
    check_passphrase,
    find_backup,
    new_name,
    write_backup,
)
from engine.backups.last_backup import LastBackup
from engine.backups.work_folders import FOLDER, backups_folder
from engine.core.errors import Refusal
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.code_view import code
from ui.kit.parts import Column, badge, button, card, icon_button, note, table, words
from ui.kit.text import _, size
from ui.page_session import PageSession
from ui.page_shell import times_of


class BackupsCard:
    """The list of backups. `changed` is called after the list or the passphrase changed."""

    def __init__(self, page_session: PageSession, changed: Callable[[], Awaitable[None]]) -> None:
        self.page_session = page_session
        self.settings = page_session.app.settings
        self.times = times_of(page_session)
        self.changed = changed
        self.place = ui.element("div").classes("fp-col")

    def show(self, backups: Sequence[BackupFile], last: LastBackup | None, *, has_passphrase: bool) -> None:
        """Draws the list again. `last`: the last backup, which may be in another place."""
        reader = self.times.reader
        self.place.clear()
        if not has_passphrase:
            with self.place:
                note(
                    _(
                        "They open only with the key that FLOWPORT_SECRET_KEY_FILE names, so they help after a mistake, but not when that file is lost too. Set a passphrase and copy them to another machine."
                    )
                    if self.settings.database_url
                    else _(
                        "They open only with the key in the same folder, so they help after a mistake, but not when the disk is lost. Set a passphrase and copy them to another machine."
                    ),
                    kind="warn",
                    icon="warning",
                    strong=_("Nightly backups have no passphrase."),
                )
        with (
            self.place,
            card(
                _("Backups"),
                _("One every night; the newest {nightly_kept} are kept").format(nightly_kept=NIGHTLY_KEPT),
                padded=False,
            ) as one,
        ):
            with one.head:
                button(_("Passphrase"), self._ask_passphrase, icon="key", small=True)
            if self.settings.database_url:
                with ui.element("div").classes("fp-body"):
                    words(
                        _("These are in the folder of this server. Of several servers, one makes that of a night."),
                        "fp-s13 fp-t2",
                        tag="p",
                    )
            if last is not None and last.size is None:
                with ui.element("div").classes("fp-body"):
                    words(self._told(last), "fp-s13 fp-t2", tag="p")
            elif not backups:
                with ui.element("div").classes("fp-body"):
                    words(
                        _("There is no backup yet. The first one is made in the night after the first job."),
                        "fp-s13 fp-t2",
                        tag="p",
                    )
            if not backups:
                return
            columns = [
                Column(_("Made")),
                Column(_("Kind")),
                Column(_("Opens with")),
                Column(_("Size"), right=True),
                Column(_("What to do"), hidden=True, right=True),
            ]
            rows = table(columns, label=_("Backups"), stacks=True)
            for backup in backups:
                with rows.row():
                    with rows.cell():
                        words(self.times.moment(backup.at), "fp-b")
                    rows.cell(_("Nightly") if backup.kind == "nightly" else _("By hand"), "fp-t2")
                    with rows.cell():
                        own_key = _("The servers' key") if self.settings.database_url else _("This folder's key")
                        badge(_("Passphrase") if backup.has_passphrase else own_key, icon="key")
                    rows.cell(size(backup.size, reader), "fp-num")
                    with rows.cell(), ui.element("div").classes("fp-row fp-end"):
                        when = self.times.moment(backup.at)
                        icon_button(
                            "download",
                            _("Download the backup of {when}").format(when=when),
                            lambda name=backup.name: self._download(name),
                        )
                        icon_button(
                            "delete",
                            _("Delete the backup of {when}").format(when=when),
                            lambda name=backup.name: self._delete(name),
                        )

    def _told(self, last: LastBackup) -> str:
        when = self.times.moment(last.at)
        if not last.path:
            return _("Another server made the last one: {when}.").format(when=when)
        return _("The last one is in another place: {when}, on the machine {host}: {path}").format(
            when=when, host=last.host, path=last.path
        )

    def _download(self, name: str) -> None:
        ui.navigate.to(f"/settings/data/backups/{name}")

    async def _delete(self, name: str) -> None:
        if not await feedback.confirm(
            _("Delete this backup?"), _("It cannot be brought back."), verb=_("Delete"), danger=True
        ):
            return
        with feedback.refusals_told():
            await self.page_session.execute(note_backup, "delete backup", name)
            await asyncio.to_thread(_unlink, self.settings.data, name)
        await self.changed()

    async def ask_backup(self) -> None:
        """Asks for a passphrase, makes the backup and downloads it."""
        passphrase = await ask_passphrase(
            _("Back up now"),
            _(
                "Flows, jobs, people, keys and secrets in one file. Flowport goes on meanwhile. Only this passphrase opens the file: keep it where you keep passwords."
            ),
            verb=_("Make the backup"),
        )
        if not passphrase:
            return
        data, at = self.settings.data, self.page_session.app.database.clock.now()
        name = new_name("manual", at)
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(note_backup, "back up", name)
            working = ui.notification(_("Making the backup ..."), spinner=True, timeout=None, position="bottom-right")
            try:
                await asyncio.to_thread(self._write, data, name, at, passphrase)
            finally:
                working.dismiss()
            await self.page_session.execute(note_backup_made, at, data / FOLDER / name)
        if not outcome.refused:
            await self.changed()
            feedback.told(_("The backup is made."), _("It stands in the list too."))
            self._download(name)

    def _write(self, data: Path, name: str, at: int, passphrase: str) -> None:
        write_backup(
            data,
            backups_folder(data) / name,
            at=at,
            passphrase=passphrase,
            key_file=self.settings.secret_key_file,
            url=self.settings.database_url,
        )

    async def _ask_passphrase(self) -> None:
        if self.settings.backup_passphrase or self.settings.backup_passphrase_file:
            feedback.told(_("The environment of the server sets it."), "FLOWPORT_BACKUP_PASSPHRASE", symbol="info")
            return
        passphrase = await ask_passphrase(
            _("Passphrase of nightly backups"),
            _(
                "It counts from the next backup on; older ones keep theirs. It is kept sealed here and never shown again: keep it where you keep passwords too."
            ),
            verb=_("Save the passphrase"),
        )
        if not passphrase:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(set_backup_passphrase, self.page_session.app.vault, passphrase)
        if not outcome.refused:
            feedback.told(_("Saved."), _("The next nightly backup is sealed with it."))
            await self.changed()


def draw_restore(*, into_database: bool) -> None:
    """Explains how a backup is restored. `into_database`: the data is in PostgreSQL."""
    with card(_("Restore a backup")), ui.element("div").classes("fp-col"):
        words(
            _(
                "A backup is restored into an empty PostgreSQL database at a server's terminal; without FLOWPORT_DATABASE_URL, into an empty folder. Stop all servers and workers first, so that no job runs twice."
            )
            if into_database
            else _(
                "A backup is restored into an empty folder at the server's terminal. Stop this server first, so that no job runs twice."
            ),
            "fp-s13 fp-t2",
            tag="p",
        )
        steps = (
            "createdb NEW_DATABASE\nexport FLOWPORT_DATABASE_URL=postgresql://USER@HOST/NEW_DATABASE\n.venv/bin/python app.py restore FILE"
            if into_database
            else ".venv/bin/python app.py restore FILE --data NEW_FOLDER\n.venv/bin/python app.py serve --data NEW_FOLDER"
        )
        code(steps, name=_("Restore"))
        words(
            _(
                "It asks for the passphrase, checks what it restored, and jobs that waited go on when a server starts with that address. For a nightly backup without a passphrase, add --key with the file that FLOWPORT_SECRET_KEY_FILE names."
            )
            if into_database
            else _(
                "It asks for the passphrase, checks what it restored, and jobs that waited go on when the server starts. For a nightly backup without a passphrase, add --key with the old folder's secret.key."
            ),
            "fp-s13 fp-t2",
            tag="p",
        )


async def ask_passphrase(title: str, sentence: str, *, verb: str) -> str:
    """Asks for a passphrase twice. Returns "" when the dialog is cancelled."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(sentence, tag="p")
        with ui.element("div").classes("fp-form"):
            first, second = (
                Field(_("Passphrase"), "", _("8 characters or more; a few words are best.")),
                Field(_("Once more")),
            )
            boxes = []
            for field in (first, second):
                with field.place:
                    boxes.append(
                        field.control(ui.input(password=True).props("outlined dense autocomplete=new-password"))
                    )

        def go() -> None:
            first.error("")
            second.error("")
            said = boxes[0].value or ""
            try:
                check_passphrase(said)
            except Refusal as refusal:
                first.error(f"{refusal.detail}. {refusal.remedy}")
                return
            if said != (boxes[1].value or ""):
                second.error(_("The two are not the same."))
                return
            dialog.submit(said)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), lambda: dialog.submit(""), kind="quiet")
            button(verb, go, kind="main")
    try:
        return await dialog or ""
    finally:
        if not dialog.is_deleted:
            dialog.delete()


def _unlink(data: Path, name: str) -> None:
    find_backup(data, name).unlink(missing_ok=True)
