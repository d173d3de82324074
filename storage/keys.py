"""Queries for API keys: who calls with a key, and the list an owner sees. No key is stored, only its SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from engine.clock import MINUTE
from engine.errors import NotFound
from storage.database import now
from storage.models import ApiKey, ApiKeySecret


@dataclass(frozen=True)
class CallerRow:
    """Who calls: the key's workspace, environment and own limits. `flow_ids` None = every flow."""

    workspace_id: str
    key_id: str
    environment: str
    label: str
    prefix: str
    flow_ids: frozenset[str] | None
    concurrency: int | None
    monthly: int | None


@dataclass(frozen=True)
class KeyRow:
    """A key as its owner sees it: `prefix` and `last4` of its newest secret, never more. Times are milliseconds.

    `older_valid_until` is set while the secret from before a rotation still works.
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

    def status(self, at: int) -> str:
        """`active`, `expired` or `revoked` at that moment."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "active"

    @property
    def masked(self) -> str:
        """`fp_live_…9xQz`."""
        return f"{self.prefix}…{self.last4}"


def find_caller(session: Session, key_hash: str) -> CallerRow | None:
    """Who calls with this key now; None when it is unknown, revoked, expired or its overlap after a rotation has ended."""
    at = now(session)
    row = session.execute(
        select(
            ApiKey.workspace_id,
            ApiKey.id,
            ApiKey.environment,
            ApiKey.label,
            ApiKeySecret.prefix,
            ApiKey.flow_ids,
            ApiKey.concurrency,
            ApiKey.monthly,
        )
        .join(ApiKey, ApiKey.id == ApiKeySecret.key_id)
        .where(
            ApiKeySecret.hash == key_hash,
            or_(ApiKeySecret.valid_until.is_(None), ApiKeySecret.valid_until > at),
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > at),
        )
    ).one_or_none()
    if row is None:
        return None
    workspace_id, key_id, environment, label, prefix, flow_ids, concurrency, monthly = row
    return CallerRow(
        workspace_id,
        key_id,
        environment,
        label,
        prefix,
        None if flow_ids is None else frozenset(flow_ids),
        concurrency,
        monthly,
    )


def note_key_use(session: Session, key_id: str) -> None:
    """Remembers that the key was used; at most one write a minute."""
    at = now(session)
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= at - MINUTE))
        .values(last_used_at=at)
    )


def list_keys(session: Session, workspace_id: str) -> list[KeyRow]:
    """Every key, newest first, revoked ones too."""
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


def get_key(session: Session, workspace_id: str, key_id: str) -> KeyRow:
    """One key. Raises NotFound."""
    key = hold_key(session, workspace_id, key_id)
    secrets = session.scalars(
        select(ApiKeySecret).where(ApiKeySecret.key_id == key.id).order_by(ApiKeySecret.created_at)
    ).all()
    return _row(key, list(secrets), now(session))


def find_key_of_secret(session: Session, key_hash: str) -> tuple[str, str] | None:
    """(workspace id, key id) of a key's hash, also when it is revoked: whoever holds the key may ask whose it is."""
    row = session.execute(
        select(ApiKey.workspace_id, ApiKey.id)
        .join(ApiKeySecret, ApiKeySecret.key_id == ApiKey.id)
        .where(ApiKeySecret.hash == key_hash)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def hold_key(session: Session, workspace_id: str, key_id: str) -> ApiKey:
    """The key's row itself, for a verb to change. Raises NotFound."""
    row = session.scalars(select(ApiKey).where(ApiKey.workspace_id == workspace_id, ApiKey.id == key_id)).one_or_none()
    if row is None:
        raise NotFound(
            f"No API key with the id `{key_id}`",
            remedy="Settings, API Keys and `app.py keys list` show the ids of your keys.",
        )
    return row


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
    )
