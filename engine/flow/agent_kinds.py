"""The kinds of tools that an Agent may have, and the names that tools get. Pure code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from engine.core.web_addresses import split_url

Kind = Literal["flow", "dataset", "knowledge", "http", "mcp"]
KINDS: Mapping[str, str] = {
    "dataset": "A dataset: look rows up in a table",
    "http": "A web page, or a web service",
    "knowledge": "Knowledge: search your documents",
    "flow": "Another flow: run it and use its answer",
    "mcp": "The tools of another program (MCP server)",
}
#: The fields that belong to one kind only.
OF_KIND: Mapping[str, frozenset[str]] = {
    "flow": frozenset({"flow_id", "version"}),
    "dataset": frozenset({"dataset", "may_add"}),
    "knowledge": frozenset({"collection"}),
    "http": frozenset({"method", "address", "parameters", "secret_headers"}),
    "mcp": frozenset({"server", "only"}),
}
#: The field that says what a tool of a kind uses, and what to do while it is empty.
NAMED: Mapping[str, tuple[str, str]] = {
    "flow": ("flow_id", "Choose the flow that the agent may run."),
    "dataset": ("dataset", "Choose the dataset that the agent may look into."),
    "knowledge": ("collection", "Choose the collection that the agent may search."),
    "http": ("address", "Write the web address that the agent may use."),
    "mcp": ("server", "Choose the MCP server whose tools the agent may use."),
}
#: The beginning of an address whose host has no braces.
_WRITTEN = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[^/?#\s@\\:{}\[\]]+)(?::\d{1,5})?(?=[/?#]|\Z)",
    re.IGNORECASE,
)
_SHORT = {"flow": "flow", "dataset": "dataset", "knowledge": "knowledge", "http": "web", "mcp": "MCP"}
#: How the ids of what a tool uses begin; they are no words for a name.
_IDS = ("dataset_", "flow_", "collection_")


def name_of(entry: Mapping[str, Any], number: int) -> str:
    """Returns the name of an entry's tool: the designer's, else one made from what it uses. `number` counts from 1.

    The tools of an MCP server have names of their own.
    """
    if name := str(entry.get("name") or "").strip():
        return name
    kind = str(entry.get("kind") or "flow")
    named = str(entry.get(NAMED.get(kind, ("", ""))[0]) or "")
    if kind == "http":
        named = _host(named)
    made = re.sub(r"[^a-z0-9]+", "_", named.lower()).strip("_")[:40]
    if not made or named.startswith(_IDS):
        made = str(number)
    return {"flow": "run", "dataset": "look_up", "knowledge": "search", "http": "ask"}.get(kind, "use") + f"_{made}"


def server_tool_name(server: str, tool: str) -> str:
    """Returns the name of an MCP server's tool for models, which take few characters."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}")[:64]


def tool_words(entry: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[str, str]:
    """Returns how an entry is called in a list, and a few words about it.

    It is called by its name in words, else by the title of what it uses, else by its kind. `titles`: those of the flows,
    datasets and collections, by their ids.
    """
    kind = str(entry.get("kind") or "flow")
    title, named = KINDS.get(kind, kind), str(entry.get(NAMED.get(kind, ("", ""))[0]) or "")
    if kind == "http":
        named = _host(named)
    named = titles.get(named, named)
    name = " ".join(str(entry.get("name") or "").replace("_", " ").split()) or ("" if named.startswith(_IDS) else named)
    about = [_SHORT.get(kind, kind) if name else "", "asks first" if entry.get("ask_first") else ""]
    return name or title, ", ".join(part for part in about if part)


def fixed_host(address: str) -> str:
    """Returns the host of an address in small letters; "" when the address does not begin with one that is written
    whole, without names in braces.
    """
    match = _WRITTEN.match(address.strip())
    return match[1].lower() if match and _host(match[0]) else ""


def _host(address: str) -> str:
    try:
        return split_url(address).hostname or ""
    except ValueError:
        return ""
