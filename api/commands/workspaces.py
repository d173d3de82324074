"""The commands `workspaces create|list`, for several tenants on one server."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from api.commands.terminal import Commands, Terminal
from engine.core.plans import PLANS, PlanName


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("workspaces", help="create or list workspaces")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    command = subcommands.add_parser("create", parents=[shared], help="add a workspace; prints its id")
    command.add_argument("name", metavar="NAME")
    command.add_argument(
        "--plan", choices=tuple(map(str, PLANS)), default=PlanName.FREE, help="its plan (default: free)"
    )
    command.set_defaults(run=_create, makes_folder=True)

    command = subcommands.add_parser("list", parents=[shared], help="the workspaces of this server")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_list)


def _create(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.workspaces import create_workspace

    terminal.value(terminal.database.write_now(create_workspace, arguments.name, arguments.plan))


def _list(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from storage.workspaces import list_workspaces

    rows = terminal.database.read_now(list_workspaces)
    if arguments.json:
        terminal.json([{"id": row.id, "name": row.name, "plan": row.limits.plan} for row in rows])
    else:
        terminal.table(("ID", "PLAN", "NAME"), [(row.id, row.limits.plan, row.name) for row in rows])
