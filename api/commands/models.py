"""The commands `models add|list|remove`, for connections to language models."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from api.commands.terminal import Commands, Terminal, read_input
from engine.models.provider_catalog import AZURE_API_VERSION, PROVIDERS


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("models", help="add, list or remove connections to language models")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    command = subcommands.add_parser(
        "add", parents=[shared], help="add a connection; a Prompt names its model NAME:model"
    )
    command.add_argument("name", metavar="NAME")
    command.add_argument("--provider", required=True, choices=tuple(PROVIDERS), help="whose models they are")
    always = " and ".join(name for name, provider in PROVIDERS.items() if provider.needs_address)
    command.add_argument("--base-url", metavar="U", help=f"its address; {always} always have one")
    command.add_argument(
        "--api-version", metavar="V", help=f"of azure_openai: a date, or v1 (default: {AZURE_API_VERSION})"
    )
    command.add_argument(
        "--model",
        metavar="M",
        action="append",
        default=[],
        help="a model to offer that no list shows; repeat it for more",
    )
    command.add_argument("--concurrency", metavar="N", type=int, help="calls at once in each worker process")
    key = command.add_mutually_exclusive_group()
    key.add_argument("--key-env", metavar="VAR", help="take the key from this environment variable")
    key.add_argument("--key-stdin", action="store_true", help="read the key from stdin")
    command.set_defaults(run=_add, makes_folder=True)

    command = subcommands.add_parser("list", parents=[shared], help="the connections, without their keys")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_list)

    command = subcommands.add_parser("remove", parents=[shared], help="remove a connection and its key")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(run=_remove)


def _add(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.connections import add_connection
    from engine.core.errors import Invalid

    if PROVIDERS[arguments.provider].needs_address and not arguments.base_url:
        raise Invalid(
            f"{arguments.provider} needs the address of its server",
            remedy=f"Give it with --base-url, like {PROVIDERS[arguments.provider].address_hint}.",
        )
    key = _read_key(arguments, environment)
    terminal.execute(
        add_connection,
        terminal.vault,
        arguments.name,
        arguments.provider,
        key=key,
        base_url=arguments.base_url,
        api_version=arguments.api_version,
        named_models=arguments.model,
        max_concurrency=arguments.concurrency,
    )
    if key is None and PROVIDERS[arguments.provider].needs_key:
        terminal.note(
            "It has no key yet: remove it and add it again with --key-env or --key-stdin, or set one in Settings."
        )
    terminal.value(arguments.name)


def _list(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from storage.connections import list_connections

    rows = terminal.query(list_connections)
    if arguments.json:
        terminal.json(
            [
                {
                    "name": row.name,
                    "provider": row.provider,
                    "base_url": row.base_url,
                    "has_key": row.has_key,
                    "local": row.local,
                    "models": list(row.offered),
                    "api_version": row.api_version,
                    "concurrency": row.max_concurrency,
                }
                for row in rows
            ]
        )
        return
    terminal.table(
        ("NAME", "PROVIDER", "ADDRESS", "KEY"),
        [(row.name, row.provider, row.base_url or "-", "stored" if row.has_key else "none") for row in rows],
    )


def _remove(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.connections import remove_connection

    terminal.execute(remove_connection, arguments.name)
    terminal.note(f"The connection {arguments.name} and its key are gone.")


def _read_key(arguments: argparse.Namespace, environment: Mapping[str, str]) -> str | None:
    from engine.core.errors import Invalid

    if arguments.key_stdin:
        key, where = read_input("-", 100_000).decode(errors="replace").strip(), "stdin"
    elif arguments.key_env:
        key, where = environment.get(arguments.key_env, "").strip(), f"the variable {arguments.key_env}"
    else:
        return None
    if not key:
        raise Invalid(f"There is no key in {where}", remedy="Put the provider's key there and run the command again.")
    return key
