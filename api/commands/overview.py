"""`overview`: who has access, what runs by itself, and what is called from here, of all workspaces in one list."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from api.commands.terminal import Commands, Terminal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from storage.overview import FlowDocuments

#: Kind, id of the workspace, id, name, what it is, and a time in milliseconds: the last use, or the next start.
_Line = tuple[str, str, str, str, str, int | None]


def add_to(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    text = "who has access, what runs by itself and what is called, in all workspaces or in that of --workspace"
    command = commands.add_parser("overview", parents=[shared], help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.add_argument("--json", action="store_true", help="print a list of {kind, workspace, id, name, what, at}")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> None:
    from engine.core.clock import to_rfc3339
    from storage.workspaces import list_workspaces

    terminal.require_flowport()
    names = {one.id: one.name for one in terminal.database.read_now(list_workspaces)}
    lines = terminal.database.read_now(_list, terminal.workspace.id if terminal.workspace_named else None)
    if arguments.json:
        terminal.json(
            [
                {
                    "kind": kind,
                    "workspace": names[workspace_id],
                    "id": id_,
                    "name": name,
                    "what": what,
                    "at": to_rfc3339(at) if at else None,
                }
                for kind, workspace_id, id_, name, what, at in lines
            ]
        )
        return
    terminal.table(
        ("KIND", "WORKSPACE", "ID", "NAME", "WHAT", "LAST OR NEXT"),
        [
            (kind, names[workspace_id], id_, name, what, to_rfc3339(at) if at else "-")
            for kind, workspace_id, id_, name, what, at in lines
        ],
    )


def _list(session: Session, workspace_id: str | None) -> list[_Line]:
    """Returns the lines, kind after kind."""
    from storage.overview import list_all_flows, list_all_keys

    titles: dict[str, str] = {}
    out: list[_Line] = []
    for flow in list_all_flows(session, workspace_id):
        titles[flow.id] = flow.title
        out += _of_flow(flow)
    keys = [
        (
            "key",
            row.workspace_id,
            row.id,
            row.label,
            f"{row.environment}, {_which(row.flow_ids, titles)}",
            row.last_used_at,
        )
        for row in list_all_keys(session, workspace_id)
    ]
    return [*_people(session, workspace_id), *keys, *_by_itself(session, workspace_id), *sorted(out, key=_kind)]


def _people(session: Session, workspace_id: str | None) -> Iterator[_Line]:
    from storage.overview import list_all_invitations, list_all_people

    for workspace, id_, name, email, role, disabled_at, seen_at in list_all_people(session, workspace_id):
        state = "active" if disabled_at is None else "shut out"
        yield "person", workspace, id_, f"{name} <{email}>", f"{role}, {state}", seen_at
    for workspace, email, role, expires_at in list_all_invitations(session, workspace_id):
        yield "invitation", workspace, "-", email or "anybody with the link", f"{role}, open until", expires_at


def _by_itself(session: Session, workspace_id: str | None) -> Iterator[_Line]:
    """Yields what starts flows without a call, and the servers that are set up."""
    from engine.models.provider_catalog import PROVIDERS
    from engine.outbound.secret_hosts import host_entry
    from engine.triggers.timing import in_words
    from storage.overview import list_all_connections, list_all_hooks, list_all_schedules, list_all_tool_servers

    for workspace, id_, title, flow, timing, zone, next_at in list_all_schedules(session, workspace_id):
        paused = "" if next_at else ", paused"
        yield "schedule", workspace, id_, title, f"“{flow}”, {in_words(timing, zone)}{paused}", next_at
    for workspace, id_, title, flow, preset, paused, last_at in list_all_hooks(session, workspace_id):
        yield "incoming webhook", workspace, id_, title, f"“{flow}”, {preset}{', paused' if paused else ''}", last_at
    for workspace, id_, name, provider, address in list_all_connections(session, workspace_id):
        host = host_entry(address or PROVIDERS[provider].address) or "-"
        yield "model connection", workspace, id_, name, f"{provider}, {host}", None
    for workspace, id_, name, address, listed_at in list_all_tool_servers(session, workspace_id):
        yield "tool server", workspace, id_, name, host_entry(address) or "-", listed_at


def _of_flow(flow: FlowDocuments) -> Iterator[_Line]:
    """Yields the outgoing webhooks of a flow, and the hosts that its draft and its live version call."""
    import json

    from engine.jobs.submit.accept import WEBHOOK_SETTINGS
    from engine.outbound.secret_hosts import host_entry
    from engine.outbound.written_addresses import called_hosts

    for environment, setting in WEBHOOK_SETTINGS.items():
        if address := flow.settings.get(setting):
            yield (
                "outgoing webhook",
                flow.workspace_id,
                flow.id,
                flow.title,
                f"{environment}, {host_entry(address)}",
                None,
            )
    live = called_hosts(json.loads(flow.live)) if flow.live else set[str]()
    for host in sorted(live | called_hosts(json.loads(flow.draft))):
        where = "live" if host in live else "draft"
        yield "called host", flow.workspace_id, flow.id, flow.title, f"{where}, {host or 'an address from data'}", None


def _which(flow_ids: list[str] | None, titles: Mapping[str, str]) -> str:
    if flow_ids is None:
        return "every flow"
    return ", ".join(f"“{titles[one]}”" if one in titles else f"{one} (deleted)" for one in flow_ids) or "no flow"


def _kind(line: _Line) -> bool:
    return line[0] == "called host"
