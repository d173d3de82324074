"""Adds to secrets the hosts they may be sent to, and an allow-list of its own for webhooks that callers name.

A secret gets the hosts that appear in the flows that use it. A secret that a saved version sends to a host from data
may still be sent anywhere, so that live versions keep working. The list for callers' webhooks gets the private hosts
that they have reached before. Hosts that may have been reached through a network on the owner's list, and the addresses
of flows' own webhooks, are left to the owner.
"""

import ipaddress
import json
import re
from typing import Any, cast

import idna
import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SECRETS = sa.table(
    "secrets", sa.column("id"), sa.column("workspace_id"), sa.column("hosts", sa.JSON(none_as_null=True))
)
_CONNECTIONS = sa.table("connections", sa.column("secret_id"))
_FLOWS = sa.table(
    "flows",
    sa.column("id"),
    sa.column("workspace_id"),
    sa.column("draft"),
    sa.column("settings", sa.JSON),
    sa.column("deleted_at"),
)
_VERSIONS = sa.table("flow_versions", sa.column("flow_id"), sa.column("document"))
_JOBS = sa.table(
    "jobs",
    sa.column("id"),
    sa.column("flow_id"),
    sa.column("status"),
    sa.column("webhook_url"),
    sa.column("webhook_by_caller", sa.Boolean),
)
_DELIVERIES = sa.table(
    "webhook_deliveries",
    sa.column("id"),
    sa.column("flow_id"),
    sa.column("url"),
    sa.column("event"),
    sa.column("status"),
    sa.column("log", sa.JSON),
    sa.column("by_caller", sa.Boolean),
)
_SETTINGS = sa.table("settings", sa.column("scope"), sa.column("name"), sa.column("value", sa.JSON))

#: Matches a web address whose host is literal, without a part of a reference before its end.
_WRITTEN = re.compile(
    r"(https?)://(\[[0-9a-f:.]+\]|[^/?#\s@\\:{}\[\]]+)(?::(\d{1,5}))?(?=[/?#]|\Z)", re.IGNORECASE
)
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMERIC_END = re.compile(r"(?:^|\.)(?:\d+|0x[0-9a-f]*)\Z")
_INSIDE = (
    "local", "internal", "lan", "home", "corp", "intranet", "private", "localdomain", "localhost", "arpa", "svc",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("secrets", sa.Column("hosts", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("webhook_by_caller", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("webhook_deliveries", sa.Column("by_caller", sa.Boolean(), nullable=False, server_default=sa.false()))
    connection = op.get_bind()
    _name_hosts_of_secrets(connection)
    _tell_webhooks_apart(connection)
    _fill_list_for_callers(connection)


def downgrade() -> None:
    connection = op.get_bind()
    connection.execute(sa.delete(_SETTINGS).where(_SETTINGS.c.name.in_(("webhook_allow", "webhook_hosts_left", "secret_hosts_found"))))
    op.drop_column("webhook_deliveries", "by_caller")
    op.drop_column("jobs", "webhook_by_caller")
    op.drop_column("secrets", "hosts")


def _name_hosts_of_secrets(connection: sa.Connection) -> None:
    hosts: dict[tuple[str, str], set[str]] = {}
    anywhere: set[tuple[str, str]] = set()
    flows = connection.execute(sa.select(_FLOWS).where(_FLOWS.c.deleted_at.is_(None))).all()
    for flow in flows:
        saved = connection.scalars(sa.select(_VERSIONS.c.document).where(_VERSIONS.c.flow_id == flow.id)).all()
        for document, runs in ((flow.draft, False), *((text, True) for text in saved)):
            for secret_id, url in _uses(document):
                secret, host = (flow.workspace_id, secret_id), _written_host(url)
                if host is not None:
                    hosts.setdefault(secret, set()).add(host)
                elif runs and url:
                    anywhere.add(secret)
    keys = set(connection.scalars(sa.select(_CONNECTIONS.c.secret_id).where(_CONNECTIONS.c.secret_id.is_not(None))))
    told: set[str] = set()
    for row in connection.execute(sa.select(_SECRETS.c.id, _SECRETS.c.workspace_id)).all():
        secret = (row.workspace_id, row.id)
        found = None if secret in anywhere else sorted(hosts.get(secret, ()))
        if row.id in keys:
            found = []  # a connection's key is sent to the connection's address only
        else:
            told.add(row.workspace_id)
        connection.execute(sa.update(_SECRETS).where(_SECRETS.c.id == row.id).values(hosts=found))
    for workspace_id in told:
        connection.execute(
            sa.insert(_SETTINGS).values(scope=workspace_id, name="secret_hosts_found", value={"value": True})
        )


def _uses(document: object) -> list[tuple[str, object]]:
    """Returns secret id and address of every node that sends secrets.

    Drafts contain whatever was typed or imported, so any shape is possible.
    """
    try:
        stored = json.loads(document) if isinstance(document, str) else None
    except (ValueError, RecursionError):
        return []
    nodes = _dict(stored).get("nodes")
    found: list[tuple[str, object]] = []
    for node in cast("list[object]", nodes) if isinstance(nodes, list) else ():
        headers = _dict(_dict(_dict(node).get("config")).get("secret_headers"))
        url = _dict(_dict(node).get("inputs")).get("url")
        found += [(secret_id, url) for secret_id in headers.values() if isinstance(secret_id, str)]
    return found


def _dict(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _written_host(url: object) -> str | None:
    """Returns the entry for the host of an address; None when it is no address or comes from data."""
    read = _read(url)
    if read is None:
        return None
    host, port = read
    return _entry(host, None if port in (80, 443) else port)


def _read(url: object) -> tuple[str, int] | None:
    """Returns the host and port to which an address leads; None when it is not a valid address or comes from data.

    Requests convert names in the same way: IDNA 2008 for characters beyond ASCII.
    """
    match = _WRITTEN.match(url.strip()) if isinstance(url, str) else None
    if match is None:
        return None
    port = int(match[3]) if match[3] else {"http": 80, "https": 443}[match[1].lower()]
    host = match[2].strip("[]").lower()
    try:
        host = (host if host.isascii() else idna.encode(host).decode()).rstrip(".")
    except idna.IDNAError:
        return None
    if not 1 <= port <= 65_535 or not (_is_address(host) or _is_name(host)):
        return None
    return host, port


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    """True when a name can be resolved and is not a number in another form (`127.1`), so that it can be an entry of a
    list.
    """
    return len(host) <= 253 and bool(_NAME.match(host)) and not _NUMERIC_END.search(host)


def _entry(host: str, port: int | None) -> str:
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tell_webhooks_apart(connection: sa.Connection) -> None:
    """Marks deliveries and jobs whose address is not that of their flow: a caller named it."""
    own = {row.id: _dict(row.settings).get("webhook_url") for row in connection.execute(sa.select(_FLOWS)).all()}
    rows = connection.execute(
        sa.select(_DELIVERIES.c.id, _DELIVERIES.c.flow_id, _DELIVERIES.c.url).where(
            _DELIVERIES.c.event != "webhook.test"
        )
    ).all()
    for row in rows:
        if row.url != own.get(row.flow_id):
            connection.execute(sa.update(_DELIVERIES).where(_DELIVERIES.c.id == row.id).values(by_caller=True))
    jobs = connection.execute(
        sa.select(_JOBS.c.id, _JOBS.c.flow_id, _JOBS.c.webhook_url).where(
            _JOBS.c.status.in_(("queued", "processing")), _JOBS.c.webhook_url.is_not(None)
        )
    ).all()
    for row in jobs:
        if row.webhook_url != own.get(row.flow_id):
            connection.execute(sa.update(_JOBS).where(_JOBS.c.id == row.id).values(webhook_by_caller=True))


def _fill_list_for_callers(connection: sa.Connection) -> None:
    said = connection.scalar(
        sa.select(_SETTINGS.c.value).where(_SETTINGS.c.scope == "server", _SETTINGS.c.name == "outbound_allow")
    )
    allowed = [entry.strip() for entry in re.split(r"[,\n]", str(_dict(said).get("value") or ""))]
    settings = connection.scalars(sa.select(_FLOWS.c.settings)).all()
    own = {url for said in settings if isinstance(url := _dict(said).get("webhook_url"), str)}
    found: set[str] = set()
    left: set[str] = set()
    for row in connection.execute(sa.select(_DELIVERIES).where(_DELIVERIES.c.by_caller.is_(True))).all():
        tries = cast("list[object]", row.log) if isinstance(row.log, list) else ()
        reached = row.status == "delivered" or any(_dict(line).get("status") is not None for line in tries)
        read = _read(row.url)
        if not reached or read is None:
            continue
        host, port = read
        if _is_inside(host) or _is_named(allowed, host, port):
            (left if row.url in own else found).add(_entry(host, port))
        elif not _is_address(host) and any(_is_network(entry, port) for entry in allowed):
            left.add(_entry(host, port))  # perhaps allowed by the network entry only; a name entry would allow any address it resolves to
    told: dict[str, object] = {"webhook_allow": ", ".join(sorted(found))} if found else {}
    if found or left:
        told["webhook_hosts_left"] = sorted(left - found)
    for name, value in told.items():
        connection.execute(sa.insert(_SETTINGS).values(scope="server", name=name, value={"value": value}))


def _is_inside(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in _INSIDE


def _is_named(allowed: list[str], host: str, port: int) -> bool:
    """True when the owner's list names a host, which then may resolve to a private address."""
    for entry in allowed:
        name = entry.removesuffix(f":{port}")
        if host == name or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def _is_network(entry: str, port: int) -> bool:
    """True when an entry is an address or a network that is allowed at this port: names that resolve to it were
    reached.
    """
    for text in (entry, entry.removesuffix(f":{port}")):
        try:
            ipaddress.ip_network(text.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            continue
        return True
    return False
