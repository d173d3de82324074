"""`setup-link`: the way in for the first owner, or to a new password."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from api.commands.terminal import Terminal


def add_to(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "setup-link", parents=[shared], help="print a link to set up the first owner or a new password"
    )
    command.add_argument("--reset", metavar="EMAIL", help="a link to set a new password for this account")
    command.set_defaults(run=_print_link)


def _print_link(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.links import link_path, new_reset_token, new_setup_token

    if arguments.reset is None:
        token = terminal.database.write_now(new_setup_token, terminal.workspace.id)
    else:
        token = terminal.database.write_now(new_reset_token, terminal.workspace.id, arguments.reset)
    terminal.note("Open this link within 15 minutes; it works once. Links from before no longer work.")
    terminal.value(f"{terminal.address}{link_path(token)}")
