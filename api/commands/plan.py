"""The commands `plan set|show`, for the workspace's plan and the limits of its environments."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from api.commands.terminal import Commands, Terminal, limit
from engine.core.environments import ENVIRONMENT_TITLES
from engine.core.plans import PLANS

if TYPE_CHECKING:
    from storage.workspaces import Limits


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("plan", help="show or set the plan and its limits")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    command = subcommands.add_parser("set", parents=[shared], help="set the plan; it counts for the next request")
    command.add_argument("plan", choices=tuple(map(str, PLANS)))
    command.add_argument("--concurrency", type=limit, metavar="N", help="Production's jobs at once, or `unlimited`")
    command.add_argument("--monthly", type=limit, metavar="N", help="Production's requests a month, or `unlimited`")
    for environment in ("test", "dev"):
        title = ENVIRONMENT_TITLES[environment]
        for name, what in (("concurrency", "jobs at once"), ("monthly", "requests a month")):
            help_text = f"{title}'s {what}, or `unlimited`; a quarter of Production's when it is left out"
            command.add_argument(f"--{environment}-{name}", type=limit, metavar="N", help=help_text)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_set, makes_folder=True)

    command = subcommands.add_parser("show", parents=[shared], help="the plan and its limits")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_show)


def _set(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.limits import Caps, set_plan

    limits = terminal.execute(
        set_plan,
        arguments.plan,
        concurrency=arguments.concurrency,
        monthly=arguments.monthly,
        test=Caps(arguments.test_concurrency, arguments.test_monthly),
        dev=Caps(arguments.dev_concurrency, arguments.dev_monthly),
    )
    _print(arguments, terminal, limits)


def _show(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    _print(arguments, terminal, terminal.workspace.limits)


def _print(arguments: argparse.Namespace, terminal: Terminal, limits: Limits) -> None:
    from engine.actions.limits import describe

    if arguments.json:
        environments = {name: asdict(caps) for name, caps in limits.caps.items()}
        terminal.json({"plan": limits.plan, **environments["live"], "environments": environments})
    else:
        terminal.value(describe(limits))
