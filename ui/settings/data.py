"""Settings, Data: how much room things take, how long they are kept, backups and how to restore one."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from pathlib import Path

from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from engine.actions.server import note_backup, set_backup_passphrase, set_rules
from engine.backups.backups import (
    FOLDER,
    NIGHTLY_KEPT,
    BackupFile,
    backups_folder,
    check_passphrase,
    find_backup,
    list_backups,
    new_name,
    write_backup,
)
from engine.backups.passphrase import has_passphrase
from engine.core.errors import Refusal
from engine.core.settings import Settings
from engine.diagnostics.disk import Disk, folder_size, read_disk
from engine.jobs.server.retention import Rules, read_rules
from storage.retention import Room, read_room
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.code_view import code
from ui.kit.parts import Column, badge, button, card, icon_button, key_values, meter, note, table, words
from ui.kit.text import _, plural, size
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import nothing_here, one_at_a_time, times_of
from ui.settings.navigation import settings_page
from ui.settings.server_owner import is_server_owner

GB = 1 << 30


@dataclass(frozen=True)
class SeenData:
    """What the page shows. `backup_bytes` of all files in the folder of backups."""

    rules: Rules
    room: Room
    disk: Disk
    backups: tuple[BackupFile, ...]
    backup_bytes: int
    has_passphrase: bool


def load_data(session: Session, workspace_id: str, settings: Settings) -> SeenData | None:
    """None for those who do not look after this server."""
    if not is_server_owner(session, workspace_id):
        return None
    data = settings.data
    return SeenData(
        rules=read_rules(session),
        room=read_room(session),
        disk=read_disk(data),
        backups=tuple(list_backups(data)),
        backup_bytes=folder_size(data, FOLDER),
        has_passphrase=has_passphrase(session, settings),
    )


def register(app: App) -> None:
    """Registers `/settings/data` and the download of a backup."""

    @page_at("/settings/data")
    async def open_data(request: Request) -> None:
        await DataPage(open_page_session(app, request)).build()

    @page_at("/settings/data/backups/{name}")
    async def download(request: Request, name: str) -> Response:
        page_session = open_page_session(app, request)
        try:
            path = find_backup(app.settings.data, name)
            await page_session.execute(note_backup, "download backup", name)
        except Refusal:
            return nothing_here(request)
        return FileResponse(
            path, filename=name, media_type="application/octet-stream", headers={"cache-control": "no-store"}
        )


class DataPage:
    """One open page."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.settings = page_session.app.settings
        self.times = times_of(page_session)

    async def build(self) -> None:
        """Draws the page."""
        self.seen = (
            await self.page_session.query(load_data, self.settings)
            if self.page_session.may("change the server")
            else None
        )
        with settings_page(self.page_session, "data", _("Everything is kept in one folder on this server.")) as page:
            if self.seen is None:
                note(_("The owner of this server looks after its data."), icon="lock")
                return
            with page.actions:
                button(_("Back up now"), self._ask_backup, icon="backup", kind="main")
            self.room = ui.element("div").classes("fp-col")
            self._draw_room(self.seen)
            self.backups = ui.element("div").classes("fp-col")
            self._draw_backups(self.seen)
            self._draw_rules(self.seen.rules)
            self._draw_restore()

    @one_at_a_time
    async def _look(self) -> None:
        seen = await self.page_session.query(load_data, self.settings)
        if seen is not None:
            self.seen = seen
            self.room.clear()
            self.backups.clear()
            with self.room:
                self._draw_room(seen)
            with self.backups:
                self._draw_backups(seen)

    # How much there is.

    def _draw_room(self, seen: SeenData) -> None:
        reader = self.times.reader
        with self.room, card(_("Room")), ui.element("div").classes("fp-form"):
            cap = seen.rules.cap_bytes
            cap_text = f"{_('of')} {size(cap, reader)}" if cap else _("no cap")
            self._line(
                _("Database"),
                f"{size(seen.room.used, reader)} {cap_text}",
                seen.room.used,
                cap,
                _("Above the cap the oldest values of the workspace that uses most go first."),
            )
            taken = seen.disk.total - seen.disk.free
            self._line(
                _("Disk"),
                f"{size(seen.disk.free, reader)} {_('free of')} {size(seen.disk.total, reader)}",
                taken,
                seen.disk.total,
                "",
            )
            key_values(
                [
                    (_("Folder"), str(self.settings.data.resolve())),
                    (
                        _("Backups"),
                        f"{size(seen.backup_bytes, reader)}, {plural(len(seen.backups), _('file'), _('files'), reader)}",
                    ),
                ]
            )

    def _line(self, name: str, told: str, value: int, limit: int, hint: str) -> None:
        with ui.element("div"):
            with ui.element("div").classes("fp-row"):
                words(name, "fp-b")
                words("", "fp-sp")
                words(told, "fp-num")
            if limit:
                meter(round(value / GB, 3), round(limit / GB, 3), label=f"{name}, GB").classes("fp-meter-line")
            if hint:
                words(hint, "fp-hint", tag="p")

    # Backups.

    def _draw_backups(self, seen: SeenData) -> None:
        reader = self.times.reader
        if not seen.has_passphrase:
            with self.backups:
                note(
                    _(
                        "They open only with the key in the same folder, so they help after a mistake, but not when the disk is lost. Set a passphrase and copy them to another machine."
                    ),
                    kind="warn",
                    icon="warning",
                    strong=_("Nightly backups have no passphrase."),
                )
        with (
            self.backups,
            card(
                _("Backups"), f"{_('One every night; the newest')} {NIGHTLY_KEPT} {_('are kept')}", padded=False
            ) as one,
        ):
            with one.head:
                button(_("Passphrase"), self._ask_passphrase, icon="key", small=True)
            if not seen.backups:
                with ui.element("div").classes("fp-body"):
                    words(
                        _("There is no backup yet. The first one is made in the night after the first job."),
                        "fp-s13 fp-t2",
                        tag="p",
                    )
                return
            columns = [
                Column(_("Made")),
                Column(_("Kind")),
                Column(_("Opens with")),
                Column(_("Size"), right=True),
                Column(_("What to do"), hidden=True, right=True),
            ]
            rows = table(columns, label=_("Backups"), stacks=True)
            for backup in seen.backups:
                with rows.row():
                    with rows.cell():
                        words(self.times.moment(backup.at), "fp-b")
                    rows.cell(_("Nightly") if backup.kind == "nightly" else _("By hand"), "fp-t2")
                    with rows.cell():
                        badge(_("Passphrase") if backup.has_passphrase else _("This folder's key"), icon="key")
                    rows.cell(size(backup.size, reader), "fp-num")
                    with rows.cell(), ui.element("div").classes("fp-row fp-end"):
                        when = self.times.moment(backup.at)
                        icon_button(
                            "download",
                            f"{_('Download the backup of')} {when}",
                            lambda name=backup.name: self._download(name),
                        )
                        icon_button(
                            "delete", f"{_('Delete the backup of')} {when}", lambda name=backup.name: self._delete(name)
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
        await self._look()

    async def _ask_backup(self) -> None:
        """Asks for a passphrase, makes the backup, and hands it to the browser."""
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
        if not outcome.refused:
            await self._look()
            feedback.told(_("The backup is made."), _("It stands in the list too."))
            self._download(name)

    def _write(self, data: Path, name: str, at: int, passphrase: str) -> None:
        write_backup(
            data, backups_folder(data) / name, at=at, passphrase=passphrase, key_file=self.settings.secret_key_file
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
            await self._look()

    # How long things are kept.

    def _draw_rules(self, rules: Rules) -> None:
        with (
            card(_("How long things are kept"), _("It counts within ten minutes")),
            ui.element("div").classes("fp-form fp-narrow"),
        ):
            values = Field(
                _("Values"),
                _("days"),
                _(
                    "Inputs, results, steps and events of jobs. Afterwards a call for the job gets 410 `job_expired`. A flow may say otherwise in its own settings."
                ),
            )
            with values.place:
                values_box = values.control(
                    ui.input(value=str(rules.values_days)).props("outlined dense inputmode=numeric")
                )
            rows = Field(
                _("Jobs and logs"), _("months"), _("The lines of Jobs and Monitoring, refused calls, the audit log.")
            )
            with rows.place:
                rows_box = rows.control(
                    ui.input(value=str(rules.rows_months)).props("outlined dense inputmode=numeric")
                )
            cap = Field(
                _("Cap of the database"),
                "GB",
                _(
                    "Above it values go before their time: the oldest of the workspace that uses most above its share, never those of the last hour. 0: no cap."
                ),
            )
            with cap.place:
                cap_box = cap.control(ui.input(value=f"{rules.cap_gb:g}").props("outlined dense inputmode=decimal"))
            fields = {"/values": values, "/rows": rows, "/cap": cap}

            async def save() -> None:
                for field in fields.values():
                    field.error("")
                read = _read_rules(values_box.value or "", rows_box.value or "", cap_box.value or "")
                if isinstance(read, str):
                    fields[read].error(_("Write a number."))
                    return
                try:
                    await self.page_session.execute(set_rules, read)
                except Refusal as refusal:
                    for error in refusal.errors:
                        fields[error.pointer].error(f"{refusal.detail}. {refusal.remedy}")
                    if not refusal.errors:
                        feedback.refused(refusal)
                    return
                feedback.told(_("Saved."), _("It counts within ten minutes."))
                await self._look()

            with ui.element("div"):
                button(_("Save"), save)

    def _draw_restore(self) -> None:
        with card(_("Restore a backup")), ui.element("div").classes("fp-col"):
            words(
                _(
                    "A backup is restored into an empty folder at the server's terminal. Stop this server first, so that no job runs twice."
                ),
                "fp-s13 fp-t2",
                tag="p",
            )
            code("app.py restore FILE --data NEW_FOLDER\napp.py serve --data NEW_FOLDER", name=_("Restore"))
            words(
                _(
                    "It asks for the passphrase, checks what it restored, and jobs that waited go on when the server starts. For a nightly backup without a passphrase, add --key with the old folder's secret.key."
                ),
                "fp-s13 fp-t2",
                tag="p",
            )


async def ask_passphrase(title: str, sentence: str, *, verb: str) -> str:
    """Asks for a passphrase twice; "" when the person changed their mind."""
    with ui.dialog() as dialog, ui.card().classes("fp-dlg"):
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


def _read_rules(values: str, rows: str, cap: str) -> Rules | str:
    """The rules, or the pointer of the field that is no number."""
    for pointer, text in (("/values", values), ("/rows", rows)):
        if not text.strip().isdigit():
            return pointer
    try:
        cap_gb = float(cap.strip().replace(",", ".") or "0")
    except ValueError:
        return "/cap"
    if not 0 <= cap_gb < math.inf:
        return "/cap"
    return Rules(int(values), int(rows), cap_gb)
