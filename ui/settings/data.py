"""Settings, Data: how much disk space data takes. Backups and retention are cards in files of their own."""

from __future__ import annotations

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.backups.backups import BackupFile, list_backups, list_upgrade_copies
from engine.backups.last_backup import LastBackup, find_last_backup
from engine.backups.passphrase import has_passphrase
from engine.backups.work_folders import FOLDER
from engine.core.settings import Settings
from engine.diagnostics.disk import Disk, folder_size, read_disk
from engine.jobs.server.retention import Rules, read_rules
from storage.files import count_files
from storage.retention import Room, read_room
from storage.server_figures import database_size
from storage.workspaces import is_first_workspace
from ui.kit.parts import button, card, key_values, meter, words
from ui.kit.text import _, plural, size
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.settings.backups_card import BackupsCard, draw_restore
from ui.settings.navigation import settings_page
from ui.settings.retention_card import draw_retention

GB = 1 << 30


class SeenData(Struct, frozen=True):
    """The data of the page. `backup_bytes` is the size of all files in the folder of backups."""

    rules: Rules
    room: Room
    disk: Disk
    backups: tuple[BackupFile, ...]
    last_backup: LastBackup | None
    backup_bytes: int
    #: Name and bytes of the copies from before upgrades.
    upgrade_copies: tuple[tuple[str, int], ...]
    #: The number and the bytes of this workspace's files.
    files: tuple[int, int]
    has_passphrase: bool
    database_bytes: int


def load_data(session: Session, workspace_id: str, settings: Settings) -> SeenData | None:
    """Reads the data of the page. Returns None for people who do not own the server."""
    if not is_first_workspace(session, workspace_id):
        return None
    data = settings.data
    return SeenData(
        rules=read_rules(session),
        room=read_room(session),
        disk=read_disk(data),
        backups=tuple(list_backups(data)),
        last_backup=find_last_backup(session, data, shared=settings.database_url is not None),
        backup_bytes=folder_size(data, FOLDER),
        upgrade_copies=tuple(list_upgrade_copies(data)),
        files=count_files(session, workspace_id),
        has_passphrase=has_passphrase(session, settings),
        database_bytes=database_size(session) if settings.database_url else 0,
    )


def register(app: App) -> None:
    """Registers `/settings/data`."""

    @page_at("/settings/data")
    async def open_data(request: Request) -> None:
        await DataPage(await open_page_session(app, request)).build()


class DataPage:
    """One open page of the data settings."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.settings = page_session.app.settings
        self.times = times_of(page_session)
        self._where = (
            _("Everything is kept in a PostgreSQL database, which other servers may share.")
            if page_session.app.database.is_postgres
            else _("Everything is kept in one folder on this server.")
        )

    async def build(self) -> None:
        """Draws the page."""
        self.seen = (
            await self.page_session.query(load_data, self.settings)
            if self.page_session.may("change the server")
            else None
        )
        with settings_page(self.page_session, "data", self._where) as page:
            if self.seen is None:
                ask_note(self.page_session, _("Owners look after the data of this server."))
                return
            self.room = ui.element("div").classes("fp-col")
            self._draw_room(self.seen)
            self.backups = BackupsCard(self.page_session, self._look)
            with page.actions:
                button(_("Back up now"), self.backups.ask_backup, icon="backup", kind="main")
            self._show_backups(self.seen)
            draw_retention(self.page_session, self.seen.rules, self._look)
            draw_restore(into_database=self.settings.database_url is not None)

    @one_at_a_time
    async def _look(self) -> None:
        seen = await self.page_session.query(load_data, self.settings)
        if seen is not None:
            self.seen = seen
            self.room.clear()
            with self.room:
                self._draw_room(seen)
            self._show_backups(seen)

    def _show_backups(self, seen: SeenData) -> None:
        self.backups.show(seen.backups, seen.last_backup, has_passphrase=seen.has_passphrase)

    def _draw_room(self, seen: SeenData) -> None:
        reader = self.times.reader
        with self.room, card(_("Room")), ui.element("div").classes("fp-form"):
            cap = seen.rules.cap_bytes
            cap_text = _("of {cap}").format(cap=size(cap, reader)) if cap else _("no cap")
            self._line(
                _("In use in the database, without files") if self.settings.database_url else _("Database"),
                f"{size(seen.room.used, reader)} {cap_text}",
                seen.room.used,
                cap,
                _("When it is full, the oldest values of the workspace that uses most are deleted first."),
            )
            number, used = seen.files
            space = round(seen.rules.files_gb * GB)
            of_space = _("of {space}").format(space=size(space, reader)) if space else _("no limit")
            self._line(
                _("Files"),
                f"{plural(number, _('file'), _('files'), reader)}, {size(used, reader)} {of_space}",
                used,
                space,
                _("Uploads and what jobs made, of this workspace. A file goes when nothing uses it any more."),
            )
            taken = seen.disk.total - seen.disk.free
            self._line(
                _("Disk of this server") if self.settings.database_url else _("Disk"),
                _("{free} free of {total}").format(
                    free=size(seen.disk.free, reader), total=size(seen.disk.total, reader)
                ),
                taken,
                seen.disk.total,
                "",
            )
            key_values(
                [
                    *(
                        [(_("Database on its disk"), size(seen.database_bytes, reader))]
                        if self.settings.database_url
                        else []
                    ),
                    (
                        _("Folder of this server") if self.settings.database_url else _("Folder"),
                        str(self.settings.data.resolve()),
                    ),
                    (
                        _("Backups"),
                        f"{size(seen.backup_bytes, reader)}, {plural(len(seen.backups), _('file'), _('files'), reader)}",
                    ),
                    *(
                        (_("Among them, from before an upgrade"), f"{name}, {size(taken_by, reader)}")
                        for name, taken_by in seen.upgrade_copies
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
