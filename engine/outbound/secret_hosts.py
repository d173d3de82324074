"""Restricts secrets to the hosts they name.

Each request is checked before it is sent. For addresses that are written literally in a flow, the check also runs
before a deployment. A host is an allow-list entry: a name, `*.name` or an IP address, each optionally with `:port`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import httpx2

from engine.core.errors import Problem
from engine.flow.document import Document
from engine.flow.node_http import SecretValue
from engine.flow.validation import without_parked
from engine.outbound.addresses import port_of, read_url
from engine.outbound.allow_list import covers, kept_entries, parse_allow_list
from engine.outbound.errors import BadUrl, SecretNotForHost

MAX_HOSTS = 50
_POINTER = "/config/secret_headers"
_IN_BRACES = re.compile(r"\{[^{}]*\}")
#: Matches a URL up to the end of its host, when the host contains no reference to data.
_WRITTEN = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[^/?#\s@\\:{}\[\]]+)(?::\d{1,5})?(?=[/?#]|\Z)",
    re.IGNORECASE,
)


class NamedSecret(Protocol):
    """A secret without its value (`storage.secrets.SecretRow`)."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def hosts(self) -> tuple[str, ...] | None: ...


def parse_hosts(text: str) -> tuple[str, ...]:
    """Parses the hosts of a secret, separated by line breaks or commas.

    Raises ValueError with a message for the owner.
    """
    entries = parse_allow_list(text)
    if not entries:
        raise ValueError("No host is named. Write where the secret may be sent, like `api.example.com`.")
    if len(entries) > MAX_HOSTS:
        raise ValueError(f"{len(entries)} hosts are too many. Keep it to {MAX_HOSTS}.")
    for entry in entries:
        if entry.network is not None and entry.network.num_addresses > 1:
            raise ValueError(f"`{entry}` is a network. Name the hosts in it that the secret may be sent to.")
    return tuple(str(entry) for entry in entries)


def check_send(secret: SecretValue, url: httpx2.URL) -> None:
    """Raises SecretNotForHost unless the secret may be sent to the host of `url`."""
    host = url.raw_host.decode().lower()
    if secret.hosts is None or _goes_to(secret.hosts, host, port_of(url)):
        return
    shown = f"[{host}]:{port_of(url)}" if ":" in host else f"{host}:{port_of(url)}"
    where = "it names the hosts it may go to, and this is none of them" if secret.hosts else "it names no host yet"
    raise SecretNotForHost(
        f"The secret “{secret.name}” was not sent to `{shown}`, and so nothing was: {where}. "
        "The owner can add the host to it under Settings → Models and secrets; or use an address of its hosts."
    )


def written_host(url: object) -> tuple[str, int] | None:
    """Returns host and port of an address that is written literally in an input; None when they come from data or the
    input is empty.
    """
    match = _WRITTEN.match(url.strip()) if isinstance(url, str) else None
    if match is None:
        return None
    try:
        parsed = read_url(match[0])
    except BadUrl:
        return None
    return parsed.raw_host.decode().lower().rstrip("."), port_of(parsed)


def host_entry(url: object) -> str:
    """Returns the host to propose for a new secret: the host of an address, with the port unless it is 80 or 443; ""
    when it is unknown.
    """
    found = written_host(url)
    if found is None:
        return ""
    host, port = found
    if port in {80, 443}:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_problems(document: Document, secrets: Iterable[NamedSecret]) -> list[Problem]:
    """Returns a problem for each secret that is used with a literal host which it does not name, as every run would
    fail.
    """
    found = []
    for node_id, title, secret, url, pointer in _uses(document, secrets):
        host = written_host(url)
        if host is None or secret.hosts is None or _goes_to(secret.hosts, *host):
            continue
        message = (
            f"{title}: the secret “{secret.name}” may not be sent to `{host_entry(url)}`. Choose another secret, or the owner "
            "adds the host to it under Settings, Models and secrets."
        )
        found.append(Problem("secret_host", message, node_id, pointer, blocks_import=False))
    return found


def host_warnings(document: Document, secrets: Iterable[NamedSecret]) -> list[Problem]:
    """Returns a warning for each secret whose destination host comes from data."""
    found = []
    for node_id, title, secret, url, pointer in _uses(document, secrets):
        if not url or written_host(url) is not None:
            continue
        if secret.hosts is None:
            message = (
                f"{title}: the host comes from data, and the secret “{secret.name}” may go to any host. Whoever sends that "
                "data can have the secret. The owner names its hosts under Settings, Models and secrets."
            )
        else:
            message = (
                f"{title}: the host comes from data. The secret “{secret.name}” goes only to the hosts it names; with "
                "another host the step fails."
            )
        found.append(Problem("secret_host", message, node_id, pointer, blocks_import=False))
    return found


def _uses(document: Document, secrets: Iterable[NamedSecret]) -> Iterator[tuple[str, str, NamedSecret, object, str]]:
    known = {secret.id: secret for secret in secrets}
    for node in without_parked(document).nodes:
        places = [(node.config, node.inputs.get("url"), _POINTER)]
        tools = node.config.get("tools") if node.type == "agent" else None
        for at, tool in enumerate(tools if isinstance(tools, list | tuple) else ()):
            if isinstance(tool, Mapping) and tool.get("kind") == "http":
                address = _IN_BRACES.sub("x", str(tool.get("address") or ""))
                places.append((tool, address, f"/config/tools/{at}/secret_headers"))
        for config, url, pointer in places:
            named = config.get("secret_headers")
            used = named.values() if isinstance(named, Mapping) else ()
            for secret_id in dict.fromkeys(one for one in used if isinstance(one, str)):
                if secret_id in known:
                    yield node.id, node.name, known[secret_id], url, pointer


def _goes_to(hosts: Iterable[str], host: str, port: int) -> bool:
    return covers(kept_entries(",".join(hosts))[0], host, port)
