"""`restore FILE`: restores a backup into an empty folder or database, and then checks what is there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from api.commands.check import check_folder
from api.commands.move import tell_replaced
from api.commands.passphrase import read_passphrase
from api.commands.terminal import Commands, Terminal

if TYPE_CHECKING:
    from engine.backups.backups import Restored


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = (
        "unpack a backup into an empty data folder, or with FLOWPORT_DATABASE_URL into an empty database, then check it"
    )
    command = commands.add_parser("restore", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("file", type=Path, metavar="FILE", help="the backup")
    command.add_argument(
        "--key", type=Path, metavar="FILE", help="the `secret.key` of the old server, for a backup without a passphrase"
    )
    command.set_defaults(run=_restore)


def _restore(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.server import note_backup
    from engine.backups.sealed_file import read_head
    from engine.core.settings import require_utf8
    from engine.jobs.transitions import reclaim_all, send_all

    settings = terminal.settings
    require_utf8(settings.data)
    terminal.require_own(settings.data)
    terminal.require_data_here()
    with arguments.file.open("rb") as file:
        sealed_with = read_head(file).sealed_with
    if sealed_with == "passphrase" and arguments.key is not None:
        terminal.note("--key is not used: a passphrase opens this backup, and the key of its secrets is in it.")
    passphrase = read_passphrase(settings, twice=False) if sealed_with == "passphrase" else ""
    restored = (_into_folder if settings.database_url is None else _into_postgres)(arguments, terminal, passphrase)
    terminal.execute(note_backup, "restore", f"the backup of {restored.made_at}")
    terminal.database.write_now(send_all)  # a backup made from PostgreSQL holds no messages
    waiting = terminal.database.write_now(reclaim_all)
    if waiting:
        terminal.note(f"{waiting} jobs that were running go on when the server starts.")
    return check_folder(terminal, running=False, outside=False)


def _into_folder(arguments: argparse.Namespace, terminal: Terminal, passphrase: str) -> Restored:
    from engine.backups.backups import restore_backup

    settings = terminal.settings
    own_key = settings.secret_key_file
    restored = restore_backup(
        arguments.file, settings.data, passphrase=passphrase, key_file=arguments.key, own_key=own_key
    )
    terminal.note(
        f"Restored into {settings.data}: the backup of {restored.made_at}, made by Flowport {restored.version}."
    )
    if restored.key_written:
        terminal.note(f"The key of its secrets is in {own_key} (FLOWPORT_SECRET_KEY_FILE), and in the folder, too.")
    return restored


def _into_postgres(arguments: argparse.Namespace, terminal: Terminal, passphrase: str) -> Restored:
    from engine.moving.restore import restore_into_postgres
    from storage.database_note import put_note
    from storage.postgres.unusable import database_in_words

    settings = terminal.settings
    restored, moved = restore_into_postgres(arguments.file, settings, passphrase, arguments.key)
    put_note(settings.data, settings.database_url or "")
    terminal.note(
        f"Restored into {database_in_words(settings.database_url or '')}: the backup of {restored.made_at}, made by Flowport "
        f"{restored.version}; {moved.copied.rows:,} rows, read back and the same."
    )
    if restored.key_written:
        terminal.note(f"The key of its secrets is in {settings.secret_key_file}: give every machine the same.")
    tell_replaced(terminal, moved.copied)
    return restored
