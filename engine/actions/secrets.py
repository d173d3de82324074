"""Actions on secrets.

A secret can be set and replaced but not read; `engine/secrets/opening.py` decrypts it for a step.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.stale_forms import refuse_stale
from engine.core.errors import Conflict, FieldError, Invalid
from engine.core.ids import new_id
from engine.outbound.secret_hosts import parse_hosts
from engine.secrets.sealing import Vault
from storage.audit import add_entry
from storage.connections import find_connection_with_secret
from storage.database import now
from storage.secrets import SecretRow, delete_secret, hold_secret, insert_secret
from storage.settings import SECRET_HOSTS_FOUND, put_setting
from storage.tool_servers import find_server_with_secret

MAX_NAME = 100
MAX_VALUE = 10_000


def add_secret(session: Session, principal: Principal, vault: Vault, name: str, value: str, hosts: str) -> str:
    """Stores a secret and returns its id. `hosts`: where nodes may send it, one entry per line. Raises Invalid."""
    require_may(principal, "manage connections")
    secret_id = put_secret(session, principal, vault, name, value)
    named = _check_hosts(hosts)
    hold_secret(session, principal.workspace_id, secret_id).hosts = list(named)
    add_entry(session, principal, "add secret", secret_id, f"{name.strip()}, for {', '.join(named)}")
    return secret_id


def set_secret_hosts(
    session: Session, principal: Principal, secret_id: str, hosts: str, *, began: SecretRow | None = None
) -> None:
    """Changes the hosts that a secret may be sent to, from the next request on.

    `began`: the secret as the form began with it. Raises Invalid and NotFound, and VersionConflict when it has other hosts
    by now.
    """
    require_may(principal, "manage connections")
    secret = hold_secret(session, principal.workspace_id, secret_id)
    named = _check_hosts(hosts)
    if began is not None:
        refuse_stale((began.hosts,), (None if secret.hosts is None else tuple(secret.hosts),))
    was = "any host" if secret.hosts is None else ", ".join(secret.hosts) or "no host"
    secret.hosts = list(named)
    add_entry(
        session, principal, "change hosts of a secret", secret_id, f"{secret.name}: {', '.join(named)}, before {was}"
    )


def close_secrets_notice(session: Session, principal: Principal) -> None:
    """Hides the notice about the hosts that an upgrade found for existing secrets."""
    require_may(principal, "manage connections")
    put_setting(session, principal.workspace_id, SECRET_HOSTS_FOUND, None)


def replace_secret(session: Session, principal: Principal, vault: Vault, secret_id: str, value: str) -> None:
    """Replaces the value of a secret; steps that start later use it. Raises Invalid and NotFound."""
    require_may(principal, "manage connections")
    secret = hold_secret(session, principal.workspace_id, secret_id)
    secret.sealed = vault.seal(principal.workspace_id, secret_id, _check_value(value))
    secret.updated_at = now(session)
    add_entry(session, principal, "replace secret", secret_id, secret.name)


def remove_secret(session: Session, principal: Principal, secret_id: str) -> None:
    """Deletes a secret. Raises NotFound, and Conflict while a model connection or an MCP server uses it."""
    require_may(principal, "manage connections")
    secret = hold_secret(session, principal.workspace_id, secret_id)
    user = find_connection_with_secret(session, principal.workspace_id, secret_id)
    if user is not None:
        raise Conflict(f"The model connection `{user}` uses this secret", remedy="Remove the connection first.")
    server = find_server_with_secret(session, principal.workspace_id, secret_id)
    if server is not None:
        raise Conflict(f"The MCP server `{server}` uses this secret", remedy="Remove the server first.")
    delete_secret(session, secret)
    add_entry(session, principal, "remove secret", secret_id, secret.name)


def put_secret(session: Session, principal: Principal, vault: Vault, name: str, value: str) -> str:
    """Stores a secret that no node may send, and returns its id. The calling action writes the audit log entry."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise Invalid(
            f"The name has {len(name)} characters",
            remedy=f"Give the secret a name of 1 to {MAX_NAME} characters.",
            errors=(FieldError("/name", "required", f"1 to {MAX_NAME} characters"),),
        )
    secret_id = new_id("secret")
    sealed = vault.seal(principal.workspace_id, secret_id, _check_value(value))
    insert_secret(session, principal.workspace_id, secret_id, name, sealed)
    return secret_id


def _check_hosts(hosts: str) -> tuple[str, ...]:
    try:
        return parse_hosts(hosts)
    except ValueError as error:
        raise Invalid(str(error).rstrip("."), remedy="", errors=(FieldError("/hosts", "format", str(error)),)) from None


def _check_value(value: str) -> str:
    value = value.strip()
    if not value or len(value) > MAX_VALUE or any(ord(character) < 32 and character != "\n" for character in value):
        raise Invalid(
            "The value is empty, too long or holds control characters",
            remedy=f"Enter the key as its provider shows it, at most {MAX_VALUE:,} characters.",
            errors=(FieldError("/value", "required", "text of at most 10,000 characters"),),
        )
    return value
