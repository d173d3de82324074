"""`new-key`: makes another key the one that seals secrets: when the old one is lost for good, or in its place."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from api.commands.terminal import Commands, Terminal

_EXAMPLES = """\
app.py new-key                                  the old key is lost: what it sealed has to be entered again
mv data/secret.key data/old.key
app.py new-key --old-key data/old.key           the old key is here: everything is sealed anew with another one

The new key is what the file holds that FLOWPORT_SECRET_KEY_FILE names, or secret.key of the data folder; where there is no
such file, one is made. No server or worker may run meanwhile. When the command was interrupted, give it again.
"""
_WHY = "secrets are sealed with the old key until then"


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "seal secrets with another key, when the old one is lost for good, or to replace it (--old-key)"
    more = "What was sealed with a lost one cannot be read any more and has to be entered again."
    command = commands.add_parser(
        "new-key",
        parents=[shared],
        help=text,
        description=f"{text[0].upper()}{text[1:]}. {more}",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--old-key",
        type=Path,
        metavar="FILE",
        help="the file with the old key: seal anew what it opens, and lose nothing",
    )
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=_new_key)


def _new_key(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.server import note_new_key
    from engine.secrets.shared_key import refuse_same_key, take_new_key
    from storage.backup import DATABASE, key_fingerprint_of
    from storage.engines import sqlite_url
    from storage.migrations.upgrade import upgrade
    from storage.settings import KEY_FINGERPRINT, SERVER, find_setting

    settings = terminal.settings
    terminal.require_flowport()
    with _nobody_in(terminal):
        known = (
            key_fingerprint_of(settings.data / DATABASE)
            if settings.database_url is None
            else terminal.database.read_now(find_setting, SERVER, KEY_FINGERPRINT)
        )
        refuse_same_key(settings, known or "")
        if arguments.old_key is None and not arguments.yes and not _sure(terminal):
            terminal.note("Nothing was changed.")
            return 1
        if settings.database_url is None:  # opening the database would ask for the old key first
            upgrade(sqlite_url(settings.data), settings.data)
        vault, unreadable = take_new_key(terminal.database, settings, arguments.old_key)
        terminal.execute(note_new_key, vault.fingerprint())
    if arguments.old_key is None:
        terminal.note(
            "What was sealed with the old key cannot be read any more: enter secrets and keys of connections again. A "
            "passphrase of backups that was set under Settings, Data is gone: until it is entered there again, nightly "
            "backups are sealed with the new key alone and open only with it. On the page of each flow that calls a "
            "webhook, press New signing secret and give it to the receiver, also where nobody has pressed it before; until "
            "then no call is sent. At each incoming webhook press New address or New secret and let the service have it; "
            "until then its calls are refused. People with a second factor sign in with a recovery code, or get a link: "
            "`app.py setup-link --reset EMAIL`."
        )
    else:
        terminal.note(
            f"Everything is sealed with the new key, and nothing has to be entered again. Backups without a passphrase that "
            f"were made before open only with the old one (`app.py restore FILE --key {arguments.old_key}`): as long as you "
            "keep them, keep it, in another place."
        )
        if unreadable:
            terminal.note(f"{unreadable} values had been sealed with yet another key, and stay unreadable.")
    terminal.note("Links to questions that were sent before do not work any more. Make a backup now.")
    if settings.database_url is not None:
        terminal.note(
            f"Copy {settings.secret_key_file} to every other machine before you start a server or worker there, and to a place "
            "beside your backups: those of PostgreSQL itself do not hold it."
        )
    terminal.value(vault.fingerprint())
    return 0


@contextlib.contextmanager
def _nobody_in(terminal: Terminal) -> Iterator[None]:
    """Raises InUse when a server or a worker uses the data folder or the database; keeps servers out of the folder."""
    from engine.moving.in_use import nobody_in, require_nobody

    url = terminal.settings.database_url
    if url is None:
        with nobody_in(terminal.settings.data, _WHY):
            yield
        return
    from storage.postgres.all_rows import list_users, reading_all
    from storage.postgres.unusable import database_in_words

    with reading_all(url, alone=False) as connection:  # before this command has connections of its own
        require_nobody(list_users(connection), database_in_words(url), _WHY)
    yield


def _sure(terminal: Terminal) -> bool:
    """Asks before another key becomes the database's, where the one that it has may not be lost: when the environment of
    this command names no file and that of the server may, when the named file is missing, and where other machines have the
    key, too.
    """
    from engine.secrets.sealing import KEY_FILE

    settings = terminal.settings
    path = settings.secret_key_file or settings.data / KEY_FILE
    key = f"the key in {path}" if path.exists() else f"a new key, in {path}"
    if settings.secret_key_file is None:
        return terminal.is_sure(
            "FLOWPORT_SECRET_KEY_FILE is not set here. If the server has it, its key is in that file and not lost, and the "
            f"server would not start any more. Seal with {key}, for good?",
            remedy="If the server has FLOWPORT_SECRET_KEY_FILE, set it here as the server has it: the key is in that file. If "
            "the key is lost, add --yes to take another one without a question. Nothing was changed.",
        )
    if settings.database_url is None and path.exists():
        return True
    return terminal.is_sure(
        "What was sealed with the old key cannot be read any more then. Another machine or a backup may have the old key. Is it "
        f"lost everywhere? Seal with {key}, for good?",
        remedy=f"If another machine or a backup has the old key, copy it to {path}. If it is lost everywhere, add --yes to take "
        "another one without a question. Nothing was changed.",
    )
