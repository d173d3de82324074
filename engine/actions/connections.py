"""Verbs of model connections and of the owner's own prices."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.secrets import put_secret
from engine.errors import Conflict, FieldError, Invalid
from engine.ids import new_id
from engine.providers import PROVIDERS
from engine.vault.sealing import Vault
from storage import models
from storage.audit import add_entry
from storage.connections import find_connection, hold_connection
from storage.database import now
from storage.secrets import hold_secret

#: A Prompt names its model `CONNECTION:model-name`, so a name holds no colon.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
#: The word a Prompt uses for the model that needs no connection.
SIMULATED = "simulated"


def add_connection(
    session: Session,
    principal: Principal,
    vault: Vault,
    name: str,
    provider: str,
    *,
    base_url: str | None = None,
    key: str | None = None,
) -> str:
    """Adds a connection and returns its id. Raises Invalid with every wrong field, Conflict when the name is taken."""
    require_may(principal, "manage connections")
    base_url = (base_url or "").strip().rstrip("/") or None
    _check(name, provider, base_url)
    if find_connection(session, principal.workspace_id, name) is not None:
        raise Conflict(
            f"A model connection called `{name}` exists already",
            remedy="Choose another name, or remove that one first.",
        )
    connection = models.Connection(
        id=new_id("conn"),
        workspace_id=principal.workspace_id,
        name=name,
        provider=provider,
        base_url=base_url,
        secret_id=put_secret(session, principal, vault, f"Key of {name}", key) if key else None,
        local=is_local(base_url),
        models=[],
        created_at=now(session),
    )
    session.add(connection)
    add_entry(session, principal, "add connection", connection.id, f"{name}: {_where(provider, base_url)}")
    return connection.id


def change_connection(
    session: Session,
    principal: Principal,
    vault: Vault,
    name: str,
    *,
    base_url: str | None = None,
    key: str | None = None,
) -> None:
    """Sets the address; `key` None keeps the stored key, "" takes it away, anything else replaces it. Raises as adding does."""
    require_may(principal, "manage connections")
    connection = hold_connection(session, principal.workspace_id, name)
    base_url = (base_url or "").strip().rstrip("/") or None
    _check(name, connection.provider, base_url)
    connection.base_url, connection.local = base_url, is_local(base_url)
    if key is not None:
        was = connection.secret_id
        connection.secret_id = put_secret(session, principal, vault, f"Key of {name}", key) if key else None
        _drop_secret(session, principal, was)
    detail = f"{name}: {_where(connection.provider, base_url)}" + (", with another key" if key is not None else "")
    add_entry(session, principal, "change connection", connection.id, detail)


def remove_connection(session: Session, principal: Principal, name: str) -> None:
    """Deletes a connection and its key. Flows that name it say so when they run. Raises NotFound."""
    require_may(principal, "manage connections")
    connection = hold_connection(session, principal.workspace_id, name)
    session.delete(connection)
    _drop_secret(session, principal, connection.secret_id)
    add_entry(session, principal, "remove connection", connection.id, name)


def remember_models(session: Session, principal: Principal, name: str, models: Iterable[str]) -> None:
    """Keeps the model names the connection's server listed."""
    require_may(principal, "manage connections")
    hold_connection(session, principal.workspace_id, name).models = sorted(set(models))[:1_000]


def set_price(
    session: Session, principal: Principal, connection: str, model: str, input_nanos: int, output_nanos: int
) -> None:
    """The owner's own price of a model, in nano-dollars per million tokens; it wins over the table from now on."""
    require_may(principal, "manage connections")
    if min(input_nanos, output_nanos) < 0:
        raise Invalid("A price cannot be below 0", remedy="Set it to 0 for a model that costs nothing.")
    hold_connection(session, principal.workspace_id, connection)
    session.merge(
        models.Price(
            workspace_id=principal.workspace_id,
            connection=connection,
            model=model,
            input_nanos=input_nanos,
            output_nanos=output_nanos,
        )
    )
    add_entry(
        session, principal, "set price", f"{connection}:{model}", f"{input_nanos} and {output_nanos} nano-dollars"
    )


def is_local(base_url: str | None) -> bool:
    """True for a model server of one's own: on this machine or in a private network."""
    host = (urlsplit(base_url).hostname if base_url else None) or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and ("." not in host or host.endswith((".local", ".internal", ".lan", ".localhost")))
    return address.is_private or address.is_loopback


def _check(name: str, provider: str, base_url: str | None) -> None:
    wrong = []
    if not _NAME.fullmatch(name) or name == SIMULATED:
        wrong.append(
            FieldError(
                "/name",
                "pattern",
                "the name has 1 to 63 letters, digits, dots, dashes or underscores (not `simulated`)",
            )
        )
    if provider not in PROVIDERS:
        wrong.append(FieldError("/provider", "enum", f"the provider is one of {', '.join(PROVIDERS)}"))
    elif PROVIDERS[provider].needs_address and base_url is None:
        wrong.append(FieldError("/base_url", "required", "say where the server is, like http://localhost:11434/v1"))
    if base_url is not None and not _is_address(base_url):
        wrong.append(
            FieldError("/base_url", "format", "the address is like https://host:port/v1, without a name or password")
        )
    if wrong:
        raise Invalid("; ".join(error.detail for error in wrong), errors=tuple(wrong))


def _is_address(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port or 1) > 0
            and "@" not in parts.netloc
            and not parts.query
            and not parts.fragment
        )
    except ValueError:  # a port that is no number
        return False


def _drop_secret(session: Session, principal: Principal, secret_id: str | None) -> None:
    if secret_id is not None:
        session.flush()
        session.delete(hold_secret(session, principal.workspace_id, secret_id))


def _where(provider: str, base_url: str | None) -> str:
    return PROVIDERS[provider].title + (f" at {base_url}" if base_url else "")
