"""`plan set|show`: the workspace's plan and limits."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from api.commands.terminal import Terminal, limit
from engine.plans import PLANS

if TYPE_CHECKING:
    from storage.workspaces import Limits


def add_to(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Adds the commands."""
    group = commands.add_parser("plan", help="show or set the plan and its limits")
    verbs = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    verb = verbs.add_parser("set", parents=[shared], help="set the plan; it counts for the next request")
    verb.add_argument("plan", choices=tuple(PLANS))
    verb.add_argument("--concurrency", type=limit, metavar="N", help="jobs at once, or `unlimited`")
    verb.add_argument("--monthly", type=limit, metavar="N", help="requests a month, or `unlimited`")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_set)

    verb = verbs.add_parser("show", parents=[shared], help="the plan and its limits")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_show)


def _set(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.limits import set_plan

    limits = terminal.do(set_plan, arguments.plan, concurrency=arguments.concurrency, monthly=arguments.monthly)
    _print(arguments, terminal, limits)


def _show(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    _print(arguments, terminal, terminal.workspace.limits)


def _print(arguments: argparse.Namespace, terminal: Terminal, limits: Limits) -> None:
    from engine.actions.limits import describe

    if arguments.json:
        terminal.json({"plan": limits.plan, "concurrency": limits.concurrency, "monthly": limits.monthly})
    else:
        terminal.value(describe(limits))
