"""`check`: checks the server's configuration and state and prints fixes. Exits with 1 when one is bad."""

from __future__ import annotations

import argparse
import asyncio
import errno
from collections.abc import Mapping
from typing import TYPE_CHECKING

from api.commands.faults import database_error_told, system_error_told
from api.commands.terminal import Commands, Terminal
from engine.core.logging_setup import in_one_line

if TYPE_CHECKING:
    from engine.diagnostics.findings import Line

_MARKS = {"ok": "ok  ", "note": "note", "warn": "warn", "bad": "BAD "}


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "look at the server from all sides and say what to do"
    command = commands.add_parser("check", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("--offline", action="store_true", help="leave out what needs a request to the outside")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_check)


def _check(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    terminal.require_flowport()
    if terminal.settings.database_url is None:
        from storage.backup import require_sound

        require_sound(terminal.settings.data)
    return check_folder(terminal, outside=not arguments.offline, as_json=arguments.json)


def check_folder(
    terminal: Terminal, *, running: bool | None = None, outside: bool = True, as_json: bool = False
) -> int:
    """Runs the checks and prints one line for each; returns 1 when one of them is bad, else 0."""
    try:
        lines = asyncio.run(_lines(terminal, running, outside))
    except Exception as error:
        if terminal.settings.database_url is not None or (lines := _without_database(terminal, error)) is None:
            raise
    if as_json:
        terminal.json([{"name": one.name, "state": one.state, "found": one.found, "fix": one.fix} for one in lines])
    else:
        width = max(len(one.name) for one in lines)
        for one in lines:
            terminal.value(f"{_MARKS[one.state]}  {one.name.ljust(width)}  {in_one_line(one.found)}")
            if one.fix and one.state != "ok":
                terminal.value(f"{'':6}{'':{width}}  -> {in_one_line(one.fix)}")
    return int(any(one.state == "bad" for one in lines))


def _without_database(terminal: Terminal, error: Exception) -> list[Line] | None:
    """Returns what can be told of a data folder whose database gave this error; None for an error that came from elsewhere."""
    from engine.core.errors import StorageUnavailable
    from engine.diagnostics.findings import Line
    from engine.diagnostics.local import check_disk, check_folder

    data = terminal.settings.data
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        told = system_error_told(error, data)
    else:
        told = str(error) if isinstance(error, StorageUnavailable) else database_error_told(error, data)
    if told is None:
        return None
    database = Line(
        "Database", "bad", told, "Mend that, and check again: without the database nothing else is looked at."
    )
    return [check_folder(data, holds_database=True), check_disk(data), database]


async def _lines(terminal: Terminal, running: bool | None, outside: bool) -> list[Line]:  # noqa: FBT001 - private
    from engine.diagnostics.server import check_server

    work = check_server(terminal.settings, terminal.database, terminal.vault, running=running, outside=outside)
    return [line async for line in work]
