"""`migrate`: creates the tables, or brings those of an older release up to date, and ends.

A deployment runs it once, with a user of PostgreSQL that may make tables; servers and workers then need no such right.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Mapping

from api.commands.terminal import Commands, Terminal


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "create the tables, or bring them up to date; servers and workers do it too when they start"
    command = commands.add_parser("migrate", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=_migrate)


def _migrate(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.jobs.worker_locks import no_older_version
    from storage.engines import sqlite_url
    from storage.file_modes import make_private
    from storage.migrations.schema import newest_schema
    from storage.migrations.upgrade import upgrade

    settings = terminal.settings
    terminal.require_own(settings.data)
    terminal.require_data_here()
    url = settings.database_url or sqlite_url(settings.data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private(settings.data)
    # who makes the tables need not have the key; servers of the release before can use those in PostgreSQL
    of_folder = functools.partial(no_older_version, settings.data)
    keep_out = of_folder if settings.database_url is None else contextlib.nullcontext
    changed = upgrade(url, settings.data, keep_out=keep_out)
    make_private(settings.data)
    terminal.note("The tables are made or brought up to date." if changed else "The tables were up to date.")
    terminal.value(newest_schema())
