"""`new-key`: makes another key the one that seals secrets, when the old one is lost for good."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from api.commands.terminal import Commands, Terminal


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "seal secrets with another key, when the old one is lost for good"
    more = "What was sealed with the old one cannot be read any more and has to be entered again."
    command = commands.add_parser(
        "new-key", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}. {more}"
    )
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=_new_key)


def _new_key(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.server import note_new_key
    from engine.core.errors import InUse
    from engine.core.settings import BadSetting
    from engine.jobs.worker_locks import servers_kept_out
    from engine.secrets.shared_key import refuse_same_key, take_new_key
    from storage.backup import DATABASE, key_fingerprint_of
    from storage.engines import sqlite_url
    from storage.migrations.upgrade import upgrade

    settings = terminal.settings
    terminal.require_flowport()
    if settings.database_url is not None:
        raise BadSetting(
            "`new-key` is for the key of a data folder, and FLOWPORT_DATABASE_URL is set: bring back the key that the servers "
            "of this database have. Nothing was changed."
        )
    with servers_kept_out(settings.data) as user:
        if user:
            raise InUse(
                f"{user} runs on the folder {settings.data.resolve()}",
                remedy="Stop it first: it seals with the old key until it ends. Nothing was changed.",
            )
        refuse_same_key(settings, key_fingerprint_of(settings.data / DATABASE))
        if settings.secret_key_file is None and not arguments.yes and not _sure(terminal):
            terminal.note("Nothing was changed.")
            return 1
        upgrade(sqlite_url(settings.data), settings.data)  # here, since opening the database would ask for the old key
        vault = take_new_key(terminal.database, settings)
        terminal.execute(note_new_key, vault.fingerprint())
    terminal.note(
        "What was sealed with the old key cannot be read any more: enter secrets, keys of connections and the passphrase of "
        "backups again. On the page of each flow that calls a webhook, press New signing secret and give it to the receiver, "
        "also where nobody has pressed it before; until then no call is sent. At each incoming webhook press New address or New "
        "secret and let the service have it; until then its calls are refused. Links to questions that were sent before do not "
        "work any more. People with a second factor sign in with a recovery code, or get a link: `app.py setup-link --reset "
        "EMAIL`. Make a backup then."
    )
    terminal.value(vault.fingerprint())
    return 0


def _sure(terminal: Terminal) -> bool:
    """Asks before the key of the data folder becomes the database's: the server may have another file, which the
    environment of this command does not name.
    """
    from engine.secrets.sealing import KEY_FILE

    path = terminal.settings.data / KEY_FILE
    key = f"the key in {path}" if path.exists() else f"a new key, in {path}"
    return terminal.is_sure(
        "FLOWPORT_SECRET_KEY_FILE is not set here. If the server has it, its key is in that file and not lost, and the "
        f"server would not start any more. Seal with {key}, for good?",
        remedy="If the server has FLOWPORT_SECRET_KEY_FILE, set it here as the server has it: the key is in that file. If the "
        "key is lost, add --yes to take another one without a question. Nothing was changed.",
    )
