"""The commands `keys create|list|revoke`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from api.commands.terminal import Commands, Terminal, read_input
from engine.core.api_key_format import parse_key
from engine.core.environments import ENVIRONMENTS


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("keys", help="create, list or revoke API keys")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    command = subcommands.add_parser(
        "create", parents=[shared], help="make a key and print it: the only time it is shown"
    )
    command.add_argument("--label", required=True, metavar="L", help="what the key is for")
    command.add_argument(
        "--environment",
        required=True,
        choices=[str(one) for one in ENVIRONMENTS],  # argparse shows the repr of its choices
        help="live (Production), test (Staging) or dev (Development)",
    )
    command.add_argument(
        "--flow",
        action="append",
        metavar="FLOW",
        help="the id of a flow it may call; repeat it for several (default: every flow)",
    )
    command.add_argument("--json", action="store_true", help="print {id, key, label, environment}")
    command.set_defaults(run=_create, makes_folder=True)

    command = subcommands.add_parser("list", parents=[shared], help="the keys, without their secrets")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_list)

    command = subcommands.add_parser("revoke", parents=[shared], help="refuse a key from the next request on")
    command.add_argument("key", metavar="ID|KEY|-", help="the key's id, the key itself, or - to read either from stdin")
    command.set_defaults(run=_revoke)


def _create(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.keys import create_key

    made = terminal.execute(create_key, arguments.label, arguments.environment, flow_ids=arguments.flow)
    if arguments.json:
        terminal.json(
            {"id": made.id, "key": made.key, "label": arguments.label.strip(), "environment": arguments.environment}
        )
    else:
        terminal.note("This key is shown once: keep it where your program reads its secrets.")
        terminal.value(made.key)


def _list(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.core.clock import SystemClock, to_rfc3339
    from storage.keys import list_keys

    at = SystemClock().now()
    rows = terminal.query(list_keys)
    if arguments.json:
        terminal.json(
            [
                {
                    "id": row.id,
                    "label": row.label,
                    "environment": row.environment,
                    "prefix": row.prefix,
                    "last4": row.last4,
                    "status": row.status(at),
                    "created_at": to_rfc3339(row.created_at),
                    "created_by": row.created_by,
                    "flow_ids": None if row.flow_ids is None else sorted(row.flow_ids),
                    "last_used_at": to_rfc3339(row.last_used_at) if row.last_used_at else None,
                }
                for row in rows
            ]
        )
        return
    terminal.table(
        ("ID", "KEY", "ENVIRONMENT", "STATUS", "LAST USED", "MADE BY", "LABEL"),
        [
            (
                row.id,
                row.masked,
                row.environment,
                row.status(at),
                to_rfc3339(row.last_used_at) if row.last_used_at else "never",
                row.created_by,
                row.label,
            )
            for row in rows
        ],
    )


def _revoke(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.keys import revoke_key
    from engine.actions.principal import command_line
    from engine.core.errors import NotFound
    from storage.keys import find_key_of_secret

    given = arguments.key
    if given == "-":
        given = read_input("-", 1_000).decode(errors="replace").strip()
    hashed = parse_key(given)
    if hashed is None and given.startswith("fp_"):
        raise NotFound("This is not a key of Flowport", remedy="Check it for missing or mistyped characters.")
    key_id, principal = given, terminal.principal
    if hashed is not None:
        owner = terminal.database.read_now(find_key_of_secret, hashed)
        if owner is None or (terminal.workspace_named and owner[0] != terminal.workspace.id):
            raise NotFound("No such API key was ever made here", remedy="`app.py keys list` shows the keys there are.")
        principal, key_id = command_line(owner[0]), owner[1]
    terminal.database.write_now(revoke_key, principal, key_id)
    terminal.note(f"Key {key_id} is refused from the next request on.")
