"""`backup FILE`: writes the database and its key into one file encrypted with a passphrase, also while the server
runs.
"""

from __future__ import annotations

import argparse
import sys
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
    from engine.backups.backups import check_passphrase, require_folder, write_backup
    from engine.backups.passphrase import find_passphrase
    from engine.backups.sealed_file import is_other_file
    from engine.core.errors import Invalid

    settings = terminal.settings
    terminal.require_flowport()
    if not arguments.overwrite and is_other_file(arguments.file):
        raise Invalid(
            f"{arguments.file} is there already and is no backup; nothing was written",
            remedy="Name another file, or add --overwrite to replace it when the backup is complete.",
        )
    require_folder(arguments.file)
    database, vault = terminal.database, terminal.vault  # its key goes into the backup: refused unless the database's
    stored = "" if sys.stdin.isatty() else database.read_now(find_passphrase, settings, vault)
    passphrase = check_passphrase(stored or read_passphrase(settings, twice=True))
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
