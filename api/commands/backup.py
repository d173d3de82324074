"""`backup FILE`: writes the database and its key into one file encrypted with a passphrase, also while the server
runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from api.commands.passphrase import read_passphrase
from api.commands.terminal import Commands, Terminal


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "write everything into one file that a passphrase seals; the server may be running"
    command = commands.add_parser("backup", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("file", type=Path, metavar="FILE", help="the file to write, like /mnt/usb/flowport.fpbackup")
    command.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there already, also when it is no backup"
    )
    command.set_defaults(run=_back_up)


def _back_up(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.server import note_backup, note_backup_made
    from engine.backups.backups import check_passphrase, write_backup
    from engine.backups.sealed_file import is_other_file
    from engine.core.errors import Invalid

    settings = terminal.settings
    terminal.require_flowport()
    if not arguments.overwrite and is_other_file(arguments.file):
        raise Invalid(
            f"{arguments.file} is there already and is no backup; nothing was written",
            remedy="Name another file, or add --overwrite to replace it when the backup is complete.",
        )
    passphrase = check_passphrase(read_passphrase(settings, twice=True))
    database = terminal.database
    _ = terminal.vault  # whose key goes into the backup: refused when it is not the database's
    at = database.clock.now()
    write_backup(
        settings.data,
        arguments.file,
        at=at,
        passphrase=passphrase,
        key_file=settings.secret_key_file,
        url=settings.database_url,
    )
    if not terminal.workspace_named:
        terminal.execute(note_backup, "back up", arguments.file.name)
    terminal.execute(note_backup_made, at, arguments.file)
    terminal.note("Keep the passphrase: without it nobody can open this file.")
    terminal.value(str(arguments.file))
