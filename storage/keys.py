"""Queries for API keys: the caller that a key belongs to, and the list for the owner.

Only the SHA-256 of a key is stored.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from engine.core.clock import MINUTE
from engine.core.errors import NotFound
from engine.core.ids import new_id
from engine.core.plans import PLANS
from storage.database import now
from storage.statements import Statement, from_json
from storage.tables import ApiKey, ApiKeySecret


class KeyProperties(Struct, frozen=True):
    """What people choose when they make a key, and change later. `flow_ids` None: every flow; `expires_at` is in
    milliseconds; `concurrency` and `monthly` are limits in addition to those of the plan. Nothing has a default, as a
    change that does not know a property would erase it.
    """

    label: str
    flow_ids: list[str] | None
    expires_at: int | None
    concurrency: int | None
    monthly: int | None


class CallerRow(Struct, frozen=True):
    """The caller with a key: workspace, environment and the key's own limits. `flow_ids` None: every flow."""

    workspace_id: str
    key_id: str
    environment: str
    label: str
    prefix: str
    flow_ids: frozenset[str] | None
    concurrency: int | None
    monthly: int | None
    #: Requests per second by the workspace's plan; None: no limit.
    requests: int | None


class KeyRow(Struct, frozen=True):
    """A key as its owner sees it: of its newest secret only `prefix` and `last4`. Times are milliseconds.

    `older_valid_until` is set while the secret from before a rotation is still valid.
    """

    id: str
    label: str
    environment: str
    prefix: str
    last4: str
    flow_ids: frozenset[str] | None
    concurrency: int | None
    monthly: int | None
    expires_at: int | None
    revoked_at: int | None
    created_at: int
    created_by: str
    last_used_at: int | None
    older_valid_until: int | None
    #: The ids of the people who were shown a valid secret when they created or rotated the key.
    shown_to: frozenset[str]

    def status(self, at: int) -> str:
        """Returns `active`, `expired` or `revoked` for that time."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "active"

    @property
    def properties(self) -> KeyProperties:
        """What people chose for it."""
        flow_ids = None if self.flow_ids is None else sorted(self.flow_ids)
        return KeyProperties(self.label, flow_ids, self.expires_at, self.concurrency, self.monthly)

    @property
    def masked(self) -> str:
        """The key as it is shown, for example `fp_live_…9xQz`."""
        return f"{self.prefix}…{self.last4}"


_FIND_CALLER = Statement(
    """
    select k.workspace_id, k.id, k.environment, k.label, s.prefix, k.flow_ids, k.concurrency, k.monthly, w.plan
      from api_key_secrets s join api_keys k on k.id = s.key_id join workspaces w on w.id = k.workspace_id
     where s.hash = :hash and (s.valid_until is null or s.valid_until > :at)
       and k.revoked_at is null and (k.expires_at is null or k.expires_at > :at)
    """
)
_READ_CALLER = Statement(
    """
    select k.workspace_id, k.id, k.environment, k.label, '', k.flow_ids, k.concurrency, k.monthly, w.plan
      from api_keys k join workspaces w on w.id = k.workspace_id
     where k.id = :key_id and k.workspace_id = :workspace_id
       and k.revoked_at is null and (k.expires_at is null or k.expires_at > :at)
    """
)


def find_caller(session: Session, key_hash: str) -> CallerRow | None:
    """Returns the caller with this key; None when it is unknown, revoked, expired, or replaced by a rotation that is
    complete.
    """
    return _caller(_FIND_CALLER.row(session, {"hash": key_hash, "at": now(session)}))


def find_owner_of_secret(session: Session, key_hash: str) -> tuple[str, str, str] | None:
    """Returns workspace, key and prefix of a secret that was ever valid, also of a revoked or expired key; None when
    unknown.
    """
    row = session.execute(
        select(ApiKey.workspace_id, ApiKey.id, ApiKeySecret.prefix)
        .join(ApiKey, ApiKey.id == ApiKeySecret.key_id)
        .where(ApiKeySecret.hash == key_hash)
    ).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def read_caller(session: Session, workspace_id: str, key_id: str) -> CallerRow | None:
    """Returns the key as it is in this transaction, without its prefix; None when it is revoked, expired or deleted."""
    return _caller(_READ_CALLER.row(session, {"key_id": key_id, "workspace_id": workspace_id, "at": now(session)}))


def note_key_use(session: Session, key_id: str) -> None:
    """Stores that the key was used, with at most one write per minute."""
    at = now(session)
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= at - MINUTE))
        .values(last_used_at=at)
    )


def list_keys(session: Session, workspace_id: str) -> list[KeyRow]:
    """Returns every key, newest first, with revoked ones."""
    keys = session.scalars(
        select(ApiKey).where(ApiKey.workspace_id == workspace_id).order_by(ApiKey.created_at.desc(), ApiKey.id)
    ).all()
    secrets: dict[str, list[ApiKeySecret]] = {}
    for secret in session.scalars(
        select(ApiKeySecret)
        .join(ApiKey, ApiKey.id == ApiKeySecret.key_id)
        .where(ApiKey.workspace_id == workspace_id)
        .order_by(ApiKeySecret.created_at)
    ):
        secrets.setdefault(secret.key_id, []).append(secret)
    return [_row(key, secrets[key.id], now(session)) for key in keys]


def list_keys_shown_to(session: Session, workspace_id: str, user_id: str) -> list[KeyRow]:
    """Returns the valid keys whose secret this person was shown, and may have copied."""
    at = now(session)
    return [key for key in list_keys(session, workspace_id) if user_id in key.shown_to and key.status(at) == "active"]


def get_key(session: Session, workspace_id: str, key_id: str) -> KeyRow:
    """Returns one key. Raises NotFound."""
    key = hold_key(session, workspace_id, key_id)
    secrets = session.scalars(
        select(ApiKeySecret).where(ApiKeySecret.key_id == key.id).order_by(ApiKeySecret.created_at)
    ).all()
    return _row(key, list(secrets), now(session))


def find_key_of_secret(session: Session, key_hash: str) -> tuple[str, str] | None:
    """Returns (workspace id, key id) for a key's hash, for a revoked key too: whoever holds a key may ask to whom it
    belongs.
    """
    row = session.execute(
        select(ApiKey.workspace_id, ApiKey.id)
        .join(ApiKeySecret, ApiKeySecret.key_id == ApiKey.id)
        .where(ApiKeySecret.hash == key_hash)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def hold_key(session: Session, workspace_id: str, key_id: str) -> ApiKey:
    """Returns the key's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(select(ApiKey).where(ApiKey.workspace_id == workspace_id, ApiKey.id == key_id)).one_or_none()
    if row is None:
        raise NotFound(
            f"No API key with the id `{key_id}`",
            remedy="Settings, API Keys and `app.py keys list` show the ids of your keys.",
        )
    return row


def find_concurrency(session: Session, key_id: str) -> int | None:
    """Returns the key's own limit of concurrent jobs; None when only its environment's limit applies."""
    return session.scalar(select(ApiKey.concurrency).where(ApiKey.id == key_id))


def insert_key(
    session: Session, workspace_id: str, environment: str, properties: KeyProperties, created_by: str
) -> ApiKey:
    """Adds a key without a secret, which `insert_key_secret` adds; returns its ORM row."""
    key = ApiKey(
        id=new_id("key"),
        workspace_id=workspace_id,
        environment=environment,
        created_at=now(session),
        created_by=created_by,
        **asdict(properties),
    )
    session.add(key)
    session.flush()
    return key


def insert_key_secret(
    session: Session, key_id: str, key_hash: str, *, prefix: str, last4: str, created_by: str
) -> None:
    """Stores the hash of a new secret, with which the key is valid from now on."""
    session.add(
        ApiKeySecret(
            hash=key_hash, key_id=key_id, prefix=prefix, last4=last4, created_at=now(session), created_by=created_by
        )
    )
    session.flush()


def end_secrets(session: Session, key_id: str, until: int) -> None:
    """Ends the validity of every secret of the key at `until` (milliseconds) at the latest."""
    session.execute(
        update(ApiKeySecret)
        .where(ApiKeySecret.key_id == key_id, or_(ApiKeySecret.valid_until.is_(None), ApiKeySecret.valid_until > until))
        .values(valid_until=until)
    )


def _caller(row: Any) -> CallerRow | None:
    if row is None:
        return None
    workspace_id, key_id, environment, label, prefix, stored, concurrency, monthly, plan = row
    flow_ids = from_json(stored)
    allowed = None if flow_ids is None else frozenset(flow_ids)
    requests = PLANS[plan].requests
    return CallerRow(workspace_id, key_id, environment, label, prefix, allowed, concurrency, monthly, requests)


def _row(key: ApiKey, secrets: list[ApiKeySecret], at: int) -> KeyRow:
    newest = next(secret for secret in secrets if secret.valid_until is None)
    older = [secret.valid_until for secret in secrets if secret.valid_until is not None and secret.valid_until > at]
    return KeyRow(
        id=key.id,
        label=key.label,
        environment=key.environment,
        prefix=newest.prefix,
        last4=newest.last4,
        flow_ids=None if key.flow_ids is None else frozenset(key.flow_ids),
        concurrency=key.concurrency,
        monthly=key.monthly,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        created_at=key.created_at,
        created_by=key.created_by,
        last_used_at=key.last_used_at,
        older_valid_until=max(older, default=None),
        shown_to=frozenset(
            secret.created_by
            for secret in secrets
            if secret.created_by is not None and (secret.valid_until is None or secret.valid_until > at)
        ),
    )
