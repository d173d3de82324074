"""What a flow's webhooks are signed with: made when it is first needed, sealed, replaced with an overlap."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.core.ids import new_id
from engine.secrets.sealing import Vault
from engine.secrets.webhook_signing import new_signing_secret
from storage.database import now
from storage.tables import WebhookSecret
from storage.webhooks import forget_ended_secrets, valid_secrets


def signing_secrets(session: Session, vault: Vault, workspace_id: str, flow_id: str) -> list[str]:
    """The valid secrets, the current one first. A flow without one gets it now. Raises SecretUnreadable."""
    rows = valid_secrets(session, flow_id)
    if not rows:
        return [add_signing_secret(session, vault, workspace_id, flow_id)]
    return [vault.open(workspace_id, row.id, row.sealed) for row in rows]


def add_signing_secret(session: Session, vault: Vault, workspace_id: str, flow_id: str, overlap_ms: int = 0) -> str:
    """A new current secret, returned this one time. The one before stays valid for the overlap."""
    at = now(session)
    for row in valid_secrets(session, flow_id):
        row.ends_at = at + overlap_ms if row.ends_at is None else min(row.ends_at, at + overlap_ms)
    session.flush()
    forget_ended_secrets(session, flow_id)
    secret, secret_id = new_signing_secret(), new_id("whsec")
    session.add(
        WebhookSecret(
            id=secret_id,
            workspace_id=workspace_id,
            flow_id=flow_id,
            sealed=vault.seal(workspace_id, secret_id, secret),
            created_at=at,
            ends_at=None,
        )
    )
    session.flush()
    return secret
