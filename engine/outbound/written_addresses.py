"""Finds addresses that are written into a node and can never be opened, so that this is told before a run.

No host name is resolved: what a name leads to is checked when it is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.validation import without_parked
from engine.outbound.addresses import Guard, is_localhost, port_of, read_url
from engine.outbound.allow_list import OutboundRules
from engine.outbound.error_messages import converted_errors
from engine.outbound.errors import BadUrl, OutboundRefused
from engine.outbound.secret_hosts import host_entry, written_host

#: The node types that open the address in their input `url`.
_OPEN: Final = frozenset({"page_scraper", "website_mapper", "http_request"})
_POINTER: Final = "/inputs/url"
_IN_BRACES: Final = re.compile(r"\{[^{}]*\}")
#: What an address may begin with that is no web address, although no `//` follows.
_OTHER_BEGINNINGS: Final = ("file:", "data:", "javascript:", "mailto:", "tel:", "about:", "blob:")


def address_problems(document: Document, rules: OutboundRules | None) -> list[Problem]:
    """Returns a problem for each written address that no run can open.

    `rules` are those of the server; None when they are not known: then only addresses are reported that no rule allows.
    """
    found = []
    for node in without_parked(document).nodes:
        found += _of_tools(node, rules)
        text = node.inputs.get("url")
        if node.type not in _OPEN or not isinstance(text, str) or not text.strip():
            continue
        if why := _why_never(text.strip(), rules):
            found.append(Problem("bad_address", f"{node.name}: {why}", node.id, _POINTER, blocks_import=False))
    return found


def _of_tools(node: Node, rules: OutboundRules | None) -> Iterator[Problem]:
    """Yields the problems of the addresses that an agent's tools use; names in braces are filled in by its model."""
    tools = node.config.get("tools") if node.type == "agent" else None
    for at, tool in enumerate(tools if isinstance(tools, list | tuple) else ()):
        if not isinstance(tool, Mapping) or tool.get("kind") != "http":
            continue
        text = _IN_BRACES.sub("x", str(tool.get("address") or "").strip())
        if text and written_host(text) is not None and (why := _why_never(text, rules)):
            pointer = f"/config/tools/{at}/address"
            yield Problem("bad_address", f"{node.name}, tool {at + 1}: {why}", node.id, pointer, blocks_import=False)


def called_hosts(document: Mapping[str, Any]) -> set[str]:
    """Returns the hosts that the nodes of a stored document open, and those of its agents' tools; "" for an address that
    comes from data. The form of a draft may be wrong.
    """
    found = set[str]()
    for node in document["nodes"]:
        if node["type"] in _OPEN:
            found.add(str(node.get("inputs", {}).get("url") or ""))
        tools = node.get("config", {}).get("tools") if node["type"] == "agent" else None
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict) and tool.get("kind") == "http":
                found.add(_IN_BRACES.sub("x", str(tool.get("address") or "")))
    return {host_entry(text) for text in found}


def with_scheme(text: str) -> str | None:
    """Returns the address that is meant by one without `https://`; None when that is not what it lacks."""
    text = text.strip()
    if "{{" in text or ":" in text.partition("/")[0] or "." not in text.partition("/")[0]:
        return None
    try:
        read_url(f"https://{text}")
    except BadUrl:
        return None
    return f"https://{text}"


def _why_never(text: str, rules: OutboundRules | None) -> str:
    """Returns why an address can never be opened, as sentences with what to do; "" when it may be opened."""
    try:
        if "{{" not in text:
            _check(text, rules)
        elif (written := written_host(text)) is not None:
            host = f"[{written[0]}]" if ":" in written[0] else written[0]
            _check(f"{text.partition(':')[0]}://{host}:{written[1]}", rules)
        elif _begins_otherwise(text.partition("{{")[0].lower()):
            read_url(text.partition("{{")[0] + "x")
    except OutboundRefused as refused:
        return refused.message
    return ""


def _check(text: str, rules: OutboundRules | None) -> None:
    """Raises OutboundRefused, as a request to this address would."""
    url = read_url(text)
    host = url.raw_host.decode().lower()
    if rules is None:
        return
    guard = Guard(rules.entries("flows"), rules.ports)
    with converted_errors(url, None, "flows"):
        destination = guard.destination(host, port_of(url))
        if is_localhost(destination.host):
            guard.loopback(destination)


def _begins_otherwise(start: str) -> bool:
    scheme, colon, _rest = start.partition("://")
    if colon:
        return scheme.strip() not in {"http", "https"}
    return start.startswith(_OTHER_BEGINNINGS)
