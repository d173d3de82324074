"""Parses the command line and runs one command.

Expensive imports are inside the commands, so that each start is fast.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from logging import ERROR
from pathlib import Path

from msgspec import Struct

from api.commands import (
    backup,
    check,
    flows,
    jobs,
    keys,
    migrate,
    models,
    move,
    new_sealing_key,
    overview,
    people,
    plan,
    restore,
    workspaces,
)
from api.commands.faults import database_error_told, system_error_told
from api.commands.terminal import Commands, UsedWrongly, open_terminal
from engine.core.errors import Invalid, Refusal
from engine.core.logging_setup import in_one_line, line_of
from engine.core.settings import BadSetting, Settings, from_environment

DONE, REFUSED, USED_WRONGLY = 0, 1, 2


class ServeOptions(Struct, frozen=True):
    """What `serve` runs: `pages` beside the API, a `worker` of its own, and how many `processes` share the port. `paused`:
    nothing that happens by itself: no worker, schedules, batches, retention and backups.
    """

    pages: bool = True
    worker: bool = True
    processes: int = 1
    paused: bool = False


#: Starts a server or worker, blocks until it is stopped, and returns the exit code.
Serve = Callable[[Settings, ServeOptions], int]
Work = Callable[[Settings], int]

MAX_PROCESSES = 64


def main(arguments: Sequence[str], environment: Mapping[str, str], *, serve: Serve, worker: Work) -> int:
    """Runs one command and returns its exit code."""
    parser = build_parser()
    known = parser.parse_args(list(arguments) if arguments and _names_command(arguments[0]) else ["serve", *arguments])
    style = "text"
    try:
        if known.command in {"serve", "worker"}:
            style = environment.get("FLOWPORT_LOG", "").strip().lower()  # also for a refusal of another setting
            settings = from_environment(environment, data=known.data, host=known.host, port=known.port)
            if known.command == "worker":
                return worker(settings)
            has_worker = known.worker and not known.paused
            return serve(settings, ServeOptions(known.pages, has_worker, known.processes, known.paused))
        with open_terminal(known, environment) as terminal:
            return known.run(known, terminal, environment) or DONE
    except (Refusal, BadSetting) as error:
        _refused(str(error).removeprefix(f"{Invalid().title}. "), style)  # to a command nothing was sent
        return USED_WRONGLY if isinstance(error, UsedWrongly) else REFUSED
    except BrokenPipeError:  # the reader of a pipe, such as `head`, closed it early
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except OSError as error:
        return _refused(system_error_told(error, _data(known, environment)), style)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        message = database_error_told(error, _data(known, environment))
        if message is None:
            raise
        return _refused(message, style)


def _data(known: argparse.Namespace, environment: Mapping[str, str]) -> Path:
    """Returns the data folder as it was given."""
    return known.data or Path(environment.get("FLOWPORT_DATA", "").strip() or "data").expanduser()


def build_parser() -> argparse.ArgumentParser:
    """Builds the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="Flowport: draw an AI flow in the browser, press Deploy, and it is a REST API.",
        epilog="Without a command the server starts. Settings by environment: see assets/help/settings.md.",
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where everything is kept (default: FLOWPORT_DATA, else ./data)"
    )
    of_all = argparse.ArgumentParser(add_help=False, parents=[shared])
    shared.add_argument("--workspace", metavar="NAME", help="id or name of the workspace (default: the first one)")
    of_all.add_argument("--workspace", help=argparse.SUPPRESS)  # accepted, and does nothing there
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_serve_options(_add_start(commands, of_all, "serve", "start the server (the default)"))
    _add_start(commands, of_all, "worker", "start one more worker on this data folder, or on the database")
    for module in (flows, jobs, keys, models, plan, people, workspaces, overview):
        module.add_to(commands, shared)
    for module in (backup, restore, move, migrate, new_sealing_key, check):
        module.add_to(commands, of_all)
    return parser


def _add_start(commands: Commands, shared: argparse.ArgumentParser, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, parents=[shared], help=text, description=text[0].upper() + text[1:] + ".")
    listens = name == "serve"  # a worker accepts both, and listens nowhere
    host, port = (
        "address to listen on (default: FLOWPORT_HOST, else 127.0.0.1)",
        "port to listen on (default: FLOWPORT_PORT, else 8080)",
    )
    command.add_argument("--host", help=host if listens else argparse.SUPPRESS)
    command.add_argument("--port", type=_port, help=port if listens else argparse.SUPPRESS)
    return command


def _add_serve_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--no-pages",
        dest="pages",
        action="store_false",
        help="answer the API, its documentation, health checks and metrics only",
    )
    command.add_argument(
        "--no-worker",
        dest="worker",
        action="store_false",
        help="start no worker: others run the jobs (`app.py worker`)",
    )
    command.add_argument(
        "--paused",
        action="store_true",
        help="run nothing by itself (no jobs, schedules, webhooks, nightly work), to look at a restored backup",
    )
    command.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="processes that answer at this port; needs --no-pages and PostgreSQL (default: 1)",
    )


def _processes(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes; it is from 1 to {MAX_PROCESSES}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; it is a number from 1 to 65535")
    return int(text)


def _names_command(first: str) -> bool:
    """Tells whether the first argument is a command or a request for help; other options alone belong to `serve`."""
    return not first.startswith("-") or first in {"-h", "--help"}


def _refused(text: str, style: str) -> int:
    """Prints a refusal, in the style `json` as a line of the log. Only a line feed ends a line of it, as in a message of
    PostgreSQL.
    """
    told = line_of(text, "json", ERROR) if style == "json" else "\n".join(map(in_one_line, text.split("\n")))
    print(told, file=sys.stderr)
    return REFUSED
