"""What is wrong with the settings of an Agent's tools, on their own and with the MCP servers of a workspace."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from engine.core.errors import Problem
from engine.flow.agent_kinds import NAMED, fixed_host, name_of, server_tool_name
from engine.flow.called_flows import AGENT
from engine.flow.document import Document, Node
from engine.flow.validation import without_parked
from engine.nodes.agent_tool_settings import placeholders

#: What the providers take as the name of a tool.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def tool_problems(node: Node) -> Iterator[Problem]:
    """Yields the problems of an agent's tools, without those that need the workspace."""
    entries: JsonValue = node.config.get("tools")
    seen: dict[str, int] = {}
    for at, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        if isinstance(entry, Mapping):
            yield from _entry_problems(node, entry, f"/config/tools/{at}", seen, at + 1)


def _entry_problems(
    node: Node, entry: Mapping[str, Any], at: str, seen: dict[str, int], number: int
) -> Iterator[Problem]:
    def problem(code: str, message: str, pointer: str) -> Problem:
        return Problem(code, message, node.id, f"{at}/{pointer}", blocks_import=False)

    kind = str(entry.get("kind") or "flow")
    field, message = NAMED.get(kind, ("kind", "Choose what the tool uses."))
    if not entry.get(field):
        yield problem("setting_missing", f"{node.name}, tool {number}: {message}", field)
        return
    if kind == "http":
        for code, said, pointer in _address_problems(entry):
            yield problem(code, f"{node.name}, tool {number}: {said}", pointer)
    if kind == "mcp":
        return
    name = name_of(entry, number)
    if not NAME.fullmatch(name):
        said = "a name has letters, digits, _ and -, a letter first"
        yield problem("bad_name", f"{node.name}: `{name}` cannot be the name of a tool: {said}.", "name")
    elif name in seen:
        said = f"{node.name}: tools {seen[name]} and {number} are both called `{name}`. Give one of them another name."
        yield problem("name_twice", said, "name")
    seen.setdefault(name, number)


def _address_problems(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    address = str(entry.get("address") or "").strip()
    if "{{" in address:
        yield (
            "bad_address",
            "data of earlier steps cannot stand in this address; the model fills in names in braces.",
            "address",
        )
        return
    if not fixed_host(address):
        said = "the address begins with https:// and a host, like https://api.example.com/orders/{order}. The model cannot fill in the host."
        yield "bad_address", said, "address"
        return
    for name in placeholders(address):
        if not _PARAMETER.fullmatch(name):
            said = f"`{{{name}}}` in the address is no name: letters, digits and underscores, a letter first."
            yield "bad_address", said, "address"
    parameters: JsonValue = entry.get("parameters")
    listed = parameters if isinstance(parameters, list | tuple) else ()
    names = [str(one.get("name") or "") for one in listed if isinstance(one, Mapping)]
    if "" in names:
        yield "setting_missing", "a value that the model fills in has no name.", "parameters"
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        yield "name_twice", f"two values are called `{twice}`.", "parameters"
    secrets: JsonValue = entry.get("secret_headers")
    for name, secret_id in (secrets if isinstance(secrets, dict) else {}).items():
        if not secret_id:
            yield "no_secret", f"choose the secret for the header `{name}`.", "secret_headers"


def server_problems(document: Document, allowed: Mapping[str, Collection[str]]) -> list[Problem]:
    """Returns the problems of the MCP servers that agents name. They stop a deployment, but not an import.

    `allowed`: server -> the names of its tools that agents may use.
    """
    return [
        problem
        for node in without_parked(document).nodes
        if node.type == AGENT
        for problem in _server_problems_of(node, allowed)
    ]


def _server_problems_of(node: Node, allowed: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    entries: JsonValue = node.config.get("tools")
    names: list[str] = []
    for at, entry in enumerate(entries if isinstance(entries, list | tuple) else ()):
        if not isinstance(entry, Mapping):
            continue
        server = str(entry.get("server") or "")
        if entry.get("kind") != "mcp" or not server:
            names.append(name_of(entry, at + 1))
            continue
        only = entry.get("only")
        offered: Collection[str] = allowed.get(server) or ()
        wanted = [str(one) for one in (only if isinstance(only, list | tuple) else ())] or list(offered)
        said, place = "", "server"
        if server not in allowed:
            said = f"there is no MCP server called “{server}”. An owner adds it under Settings, Tools, or you choose another one."
        elif not allowed[server]:
            said = f"no tool of “{server}” is allowed yet. An owner chooses them under Settings, Tools."
        elif missing := [one for one in wanted if one not in allowed[server]]:
            said, place = f"“{server}” has no tool “{missing[0]}” that agents may use. Choose others.", "only"
        elif twice := next((one for one in (server_tool_name(server, one) for one in wanted) if one in names), None):
            said, place = f"two tools are called `{twice}`. Take one of them away.", "only"
        names += [server_tool_name(server, one) for one in wanted]
        if said:
            pointer = f"/config/tools/{at}/{place}"
            yield Problem(
                "no_tool_server", f"{node.name}, tool {at + 1}: {said}", node.id, pointer, blocks_import=False
            )
