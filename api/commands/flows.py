"""The commands `flows import|list|export|deploy|undeploy|run`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from api.commands.terminal import Commands, Terminal, read_flow_file

if TYPE_CHECKING:
    from engine.core.errors import Problem


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the commands to the parser."""
    group = commands.add_parser("flows", help="import, list, export, deploy, undeploy or run flows")
    subcommands = group.add_subparsers(dest="verb", metavar="VERB", required=True)

    command = subcommands.add_parser(
        "import", parents=[shared], help="take a flow file in as version 1; prints the flow's id"
    )
    command.add_argument("file", metavar="FILE", help="a flow file in JSON or YAML, or - for stdin (JSON)")
    command.add_argument(
        "--id", metavar="FLOW_ID", help="the id of a flow that was deleted: it is brought back at its address"
    )
    command.add_argument("--json", action="store_true", help="print {flow_id, problems}")
    command.set_defaults(run=_import, makes_folder=True)

    command = subcommands.add_parser("list", parents=[shared], help="the flows of the workspace")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_list)

    command = subcommands.add_parser("export", parents=[shared], help="print a flow as a flow file")
    command.add_argument("id", metavar="ID")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--draft", action="store_true", help="what is on the canvas, saved or not")
    which.add_argument("--version", type=int, metavar="N", help="this version (default: the newest)")
    command.set_defaults(run=_export)

    command = subcommands.add_parser(
        "deploy", parents=[shared], help="make a version the live one; prints the endpoint's URL"
    )
    command.add_argument("id", metavar="ID")
    command.add_argument("--version", type=int, metavar="N", help="this version (default: the newest)")
    command.set_defaults(run=_deploy)

    command = subcommands.add_parser("undeploy", parents=[shared], help="switch the flow's API off; the flow stays")
    command.add_argument("id", metavar="ID")
    command.set_defaults(run=_undeploy)

    command = subcommands.add_parser("run", parents=[shared], help="run a flow file here and now; prints the result")
    command.add_argument("file", metavar="FILE", help="a flow file in JSON or YAML, or - for stdin (JSON)")
    command.add_argument("--input", metavar="JSON", default="{}", help="the request body (default: {})")
    command.add_argument(
        "--file",
        dest="file_fields",
        metavar="FIELD=PATH",
        action="append",
        help="send a file in a field of the type File; several times for a list",
    )
    command.add_argument("--approve", action="store_true", help="answer every question to a person with yes")
    command.set_defaults(run=_run, makes_folder=True)


def _import(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.flows import UNTITLED, import_flow, read_import
    from engine.core.errors import FlowInvalid
    from storage.flows import list_flows

    title = UNTITLED if arguments.file == "-" else Path(arguments.file).stem
    try:
        file = read_import(read_flow_file(arguments.file), title)
        done = terminal.execute(import_flow, file, arguments.id)
    except FlowInvalid as refusal:
        terminal.note(f"{refusal.title}: {refusal.detail}. Nothing was imported.")
        _note_problems(terminal, refusal.problems)
        if arguments.json:
            terminal.json({"flow_id": None, "problems": [problem.as_json() for problem in refusal.problems]})
        return 1
    if done.problems:
        terminal.note("Imported. Before it can be deployed:")
        _note_problems(terminal, done.problems)
    same = [row for row in terminal.query(list_flows) if row.title == file.title and row.id != done.flow_id]
    if same:
        terminal.note(f"Another flow has the title “{file.title}”, too: {same[0].id}. Both stay.")
    if arguments.json:
        terminal.json({"flow_id": done.flow_id, "problems": [problem.as_json() for problem in done.problems]})
    else:
        terminal.value(done.flow_id)
    return 0


def _list(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from storage.flows import list_flows

    rows = terminal.query(list_flows)
    if arguments.json:
        terminal.json(
            [
                {
                    "flow_id": row.id,
                    "title": row.title,
                    "state": row.state,
                    "newest_version": row.newest_version or None,
                    "live_version": row.live_version,
                }
                for row in rows
            ]
        )
        return
    terminal.table(
        ("ID", "STATE", "LIVE", "NEWEST", "TITLE"),
        [
            (
                row.id,
                row.state,
                f"v{row.live_version}" if row.live_version else "-",
                f"v{row.newest_version}" if row.newest_version else "-",
                row.title,
            )
            for row in rows
        ],
    )


def _export(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.flows import export_flow

    which = "draft" if arguments.draft else "newest" if arguments.version is None else arguments.version
    terminal.json(terminal.database.read_now(export_flow, terminal.principal, arguments.id, which).as_json())


def _deploy(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from engine.actions.deployments import deploy
    from engine.core.errors import FlowInvalid
    from storage.flows import get_flow

    version = arguments.version
    if version is None:
        version = terminal.query(get_flow, arguments.id).newest_version or None
    try:
        done = terminal.execute(deploy, arguments.id, version=version, settings=terminal.settings)
    except FlowInvalid as refusal:
        terminal.note(f"{refusal.title}: {refusal.detail}. Nothing was deployed.")
        _note_problems(terminal, refusal.problems)
        return 1
    terminal.note(f"Version {done.version} is live.")
    _note_problems(terminal, done.warnings)
    terminal.value(f"{terminal.address}{done.path}")
    return 0


def _undeploy(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.actions.deployments import undeploy

    terminal.execute(undeploy, arguments.id)
    terminal.note("The API is switched off. The flow stays, and deploying it again brings the same URL back.")


def _run(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> int:
    from api.commands.run_flow import run_file

    return run_file(arguments, terminal)


def _note_problems(terminal: Terminal, problems: Sequence[Problem]) -> None:
    for problem in problems:
        where = " ".join(part for part in (problem.node_id, problem.pointer) if part)
        terminal.note(f"  {problem.code}{f' at {where}' if where else ''}: {problem.message}")
    if any("FLOWPORT_OUTBOUND_ALLOW" in problem.message for problem in problems):
        terminal.note_allowed_here()
