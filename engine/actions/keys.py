"""Actions on API keys: create, change, rotate and revoke.

A key is returned only once, by the action that creates it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.api_key_format import key_prefix, new_key_text, parse_key
from engine.core.clock import HOUR, to_rfc3339
from engine.core.environments import ENVIRONMENTS, Environment
from engine.core.errors import Conflict, FieldError, Invalid, SecretUnreadable
from engine.core.ids import KeyId
from engine.secrets.sealing import Vault
from storage.audit import add_entry
from storage.database import now
from storage.flows import get_flow, list_flows
from storage.keys import KeyProperties, end_secrets, hold_key, insert_key, insert_key_secret, list_keys
from storage.settings import TRY_KEY, find_setting, put_setting

if TYPE_CHECKING:
    from storage.tables import ApiKey

__all__ = ["NewKey", "change_key", "create_key", "parse_key", "revoke_key", "rotate_key", "try_key"]

MAX_LABEL = 100
#: The label of the Development key with which a person calls a flow from its page.
TRY_LABEL = "Try it now"
#: Flows that an entry of the audit log names; it counts the others.
_MAX_NAMED = 10
DEFAULT_OVERLAP_HOURS = 24


#: The properties of a key, and how a sentence names them.
_PROPERTIES = {
    "label": "the label of this key",
    "flow_ids": "what this key may call",
    "expires_at": "when this key ends",
    "concurrency": "how many jobs this key may have at once",
    "monthly": "how many requests a month this key may send",
}


class NewKey(Struct, frozen=True):
    """A newly created key. `key` is its only copy: the server stores a hash."""

    id: KeyId
    key: str
    prefix: str
    last4: str


def create_key(
    session: Session,
    principal: Principal,
    label: str,
    environment: Environment,
    *,
    flow_ids: Iterable[str] | None = None,
    expires_at: int | None = None,
    concurrency: int | None = None,
    monthly: int | None = None,
) -> NewKey:
    """Creates a key.

    `flow_ids` None means every flow; `expires_at` is in milliseconds since 1970. `concurrency` and `monthly` are limits
    in addition to those of the plan. Raises Invalid with every wrong field, and NotFound for an unknown flow.
    """
    require_may(principal, "manage keys")
    wanted = list(flow_ids) if flow_ids is not None else None
    properties = _checked(
        session, principal, environment, KeyProperties(label, wanted, expires_at, concurrency, monthly)
    )
    key = insert_key(session, principal.workspace_id, environment, properties, principal.name)
    made = _add_secret(session, principal, key)
    add_entry(session, principal, "create key", key.id, f"{key.label}, {environment}, ends in {made.last4}")
    return made


def change_key(
    session: Session, principal: Principal, key_id: str, before: KeyProperties, after: KeyProperties
) -> None:
    """Changes the properties of a key that differ from those that the person saw before; the others stay as stored, and so
    do environment and secret.

    Raises Invalid, NotFound, and Conflict for a revoked key or when somebody has changed one of these properties meanwhile.
    """
    require_may(principal, "manage keys")
    key = hold_key(session, principal.workspace_id, key_id)
    if key.revoked_at is not None:
        raise Conflict("This key is revoked", remedy="Create a new key instead.")
    changed = [name for name in _PROPERTIES if getattr(after, name) != getattr(before, name)]
    for name in changed:
        if _comparable(getattr(key, name)) not in [_comparable(getattr(seen, name)) for seen in (before, after)]:
            raise Conflict(
                f"Somebody has changed {_PROPERTIES[name]} meanwhile",
                remedy="Close this form, and open it again to see it.",
            )
    checked = _checked(session, principal, key.environment, after, changed)
    said = [
        f"{_in_words(name, getattr(checked, name))} (before: {_in_words(name, getattr(key, name))})" for name in changed
    ]
    if "flow_ids" in changed and checked.flow_ids is not None:
        said.append(_which_flows(session, principal.workspace_id, key.flow_ids, checked.flow_ids))
    for name in changed:
        setattr(key, name, getattr(checked, name))
    if changed:
        add_entry(session, principal, "change key", key.id, f"{key.label}: {'; '.join(said)}")


def _in_words(name: str, value: str | int | list[str] | None) -> str:
    """Returns a property of a key for the audit log."""
    if isinstance(value, list):
        return f"may call {len(value)} {'flow' if len(value) == 1 else 'flows'}"
    if name == "expires_at":
        return f"ends {to_rfc3339(value)}" if isinstance(value, int) else "has no end"
    return {
        "label": f"label {value}",
        "flow_ids": "may call every flow",
        "concurrency": "no limit of jobs at once" if value is None else f"{value} jobs at once",
        "monthly": "no limit of requests a month" if value is None else f"{value} requests a month",
    }[name]


def _which_flows(session: Session, workspace_id: str, before: Collection[str] | None, after: Collection[str]) -> str:
    """Returns which flows were added to those that a key may call, and which were taken away; all when it might call every
    flow before.
    """
    titles = {flow.id: f"“{flow.title}”" for flow in list_flows(session, workspace_id)}
    changes = (
        {"only": set(after)}
        if before is None
        else {"now also": set(after) - set(before), "no longer": set(before) - set(after)}
    )
    parts = []
    for words, ids in changes.items():
        if ids:
            named = sorted(titles.get(flow_id, flow_id) for flow_id in ids)
            more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
            parts.append(f"{words} {', '.join(named[:_MAX_NAMED])}{more}")
    return ", ".join(parts)


def _comparable(value: str | int | list[str] | None) -> str | int | set[str] | None:
    return set(value) if isinstance(value, list) else value


def rotate_key(
    session: Session, principal: Principal, key_id: str, overlap_hours: float = DEFAULT_OVERLAP_HOURS
) -> NewKey:
    """Creates a new secret for a key, which keeps its id.

    The old secret stays valid for `overlap_hours` (0: invalid immediately), and those of earlier rotations for no longer.
    """
    require_may(principal, "manage keys")
    if not 0 <= overlap_hours <= 24 * 30:
        raise Invalid("The overlap must be between 0 hours and 30 days")
    key = hold_key(session, principal.workspace_id, key_id)
    if key.revoked_at is not None:
        raise Conflict("This key is revoked", remedy="Create a new key instead.")
    # 0 is past for every clock, also for one that is set back later
    until = now(session) + int(overlap_hours * HOUR) if overlap_hours else 0
    end_secrets(session, key.id, until)
    made = _add_secret(session, principal, key)
    add_entry(session, principal, "rotate key", key.id, f"{key.label}: the old secret works {overlap_hours:g} h longer")
    return made


def try_key(session: Session, principal: Principal, vault: Vault | None) -> NewKey:
    """Returns the "Try it now" key of the workspace with a secret that is valid now.

    `vault` seals the secret in the database, for servers that share a PostgreSQL. None: only the memory of the one server
    has it (`ui/flows/try_it.py`), and each call makes another one. A key with this label that somebody made, or whose
    secret somebody replaced, is left to them.
    """
    require_may(principal, "manage keys")
    workspace_id = principal.workspace_id
    stored = find_setting(session, workspace_id, TRY_KEY) or {}
    own = next((key for key in list_keys(session, workspace_id) if key.id == stored.get("key_id")), None)
    if own is not None and (own.label != TRY_LABEL or own.status(now(session)) != "active"):
        own = None  # a new label makes it somebody's
    if own is not None and vault is not None:
        with contextlib.suppress(SecretUnreadable):
            secret = vault.open(workspace_id, own.id, stored.get("sealed", ""))
            if secret.endswith(own.last4):
                return NewKey(KeyId(own.id), secret, own.prefix, own.last4)
    made = (
        rotate_key(session, principal, own.id, 0)
        if own is not None and own.last4 == stored.get("last4")
        else create_key(session, principal, TRY_LABEL, Environment.DEV)
    )
    sealed = {} if vault is None else {"sealed": vault.seal(workspace_id, made.id, made.key)}
    put_setting(session, workspace_id, TRY_KEY, {"key_id": made.id, "last4": made.last4, **sealed})
    return made


def find_try_key(session: Session, workspace_id: str) -> str | None:
    """Returns the id of the key that only the button "Try it now" uses; None when there is none, or somebody has made it
    theirs by another label or secret. Release 0.2.0 stored no `last4`: the secret is then not looked at.
    """
    stored = find_setting(session, workspace_id, TRY_KEY) or {}
    for key in list_keys(session, workspace_id):
        if (key.id, key.last4, key.label) == (stored.get("key_id"), stored.get("last4", key.last4), TRY_LABEL):
            return key.id
    return None


def revoke_key(session: Session, principal: Principal, key_id: str) -> None:
    """Revokes a key: the next request with it is refused. Does nothing when it is already revoked."""
    require_may(principal, "manage keys")
    key = hold_key(session, principal.workspace_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = now(session)
        add_entry(session, principal, "revoke key", key.id, key.label)


def _add_secret(session: Session, principal: Principal, key: ApiKey) -> NewKey:
    environment = Environment(key.environment)
    text = new_key_text(environment)
    hashed = parse_key(text)
    assert hashed is not None, "a fresh key passes its own check"
    prefix, last4 = key_prefix(environment), text[-4:]
    insert_key_secret(session, key.id, hashed, prefix=prefix, last4=last4, created_by=principal.actor)
    return NewKey(KeyId(key.id), text, prefix, last4)


def _checked(
    session: Session,
    principal: Principal,
    environment: str,
    properties: KeyProperties,
    names: Collection[str] = tuple(_PROPERTIES),
) -> KeyProperties:
    """Returns the properties as they are stored; only those with these names are looked at. Raises Invalid with every
    wrong field, and NotFound for a foreign flow.
    """
    wrong = []
    if "label" in names and not 1 <= len(properties.label.strip()) <= MAX_LABEL:
        wrong.append(FieldError("/label", "required", f"give the key a label of 1 to {MAX_LABEL} characters"))
    if environment not in ENVIRONMENTS:
        wrong.append(FieldError("/environment", "enum", f"choose one of {', '.join(ENVIRONMENTS)}"))
    if "expires_at" in names and properties.expires_at is not None and properties.expires_at <= now(session):
        wrong.append(FieldError("/expires_at", "minimum", "choose a moment that has not passed"))
    for name, limit in (("concurrency", properties.concurrency), ("monthly", properties.monthly)):
        if name in names and limit is not None and limit < 1:
            wrong.append(FieldError(f"/{name}", "minimum", "must be at least 1"))
    if wrong:
        raise Invalid("; ".join(error.detail for error in wrong), errors=tuple(wrong))
    flow_ids = properties.flow_ids
    if "flow_ids" in names and flow_ids is not None:
        flow_ids = [get_flow(session, principal.workspace_id, flow_id).id for flow_id in dict.fromkeys(flow_ids)]
    return replace(properties, label=properties.label.strip(), flow_ids=flow_ids)
