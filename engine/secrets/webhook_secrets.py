"""What a flow's webhooks are signed with: made when it is first needed, sealed, replaced with an overlap."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.core.ids import new_id
from engine.secrets.sealing import Vault
from engine.secrets.webhook_signing import new_signing_secret
from storage.database import now
from storage.webhooks import end_signing_secrets, insert_signing_secret, valid_secrets


def signing_secrets(session: Session, vault: Vault, workspace_id: str, flow_id: str) -> list[str]:
    """The valid secrets, the current one first. A flow without one gets it now. Raises SecretUnreadable."""
    rows = valid_secrets(session, flow_id)
    if not rows:
        return [add_signing_secret(session, vault, workspace_id, flow_id)]
    return [vault.open(workspace_id, row.id, row.sealed) for row in rows]


def add_signing_secret(session: Session, vault: Vault, workspace_id: str, flow_id: str, overlap_ms: int = 0) -> str:
    """A new current secret, returned this one time. The one before stays valid for the overlap."""
    end_signing_secrets(session, flow_id, now(session) + overlap_ms)
    secret, secret_id = new_signing_secret(), new_id("whsec")
    insert_signing_secret(session, workspace_id, flow_id, secret_id, vault.seal(workspace_id, secret_id, secret))
    return secret
