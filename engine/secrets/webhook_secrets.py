"""The signing secrets of a flow's webhooks: created on first use, stored encrypted, rotated with an overlap."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.core.errors import SecretUnreadable
from engine.core.ids import new_id
from engine.secrets.opening import open_readable
from engine.secrets.sealing import Vault
from engine.secrets.webhook_signing import new_signing_secret
from storage.database import now
from storage.webhooks import end_signing_secrets, insert_signing_secret, valid_secrets


def signing_secrets(session: Session, vault: Vault, workspace_id: str, flow_id: str) -> list[str]:
    """Returns the valid signing secrets, the current one first; creates one for a flow that has none.

    Those that were sealed with another key are left out. Raises SecretUnreadable when that leaves none.
    """
    rows = valid_secrets(session, flow_id)
    if not rows:
        return [add_signing_secret(session, vault, workspace_id, flow_id)]
    secrets = open_readable(vault, ((workspace_id, row.id, row.sealed) for row in rows))
    if not secrets:
        raise SecretUnreadable(
            "The call cannot be signed",
            remedy="Press New signing secret in the flow's Settings, under Webhooks, and give the receiver the new one.",
        )
    return secrets


def add_signing_secret(session: Session, vault: Vault, workspace_id: str, flow_id: str, overlap_ms: int = 0) -> str:
    """Creates and returns a new current signing secret, which is shown only once.

    The old ones expire after `overlap_ms`.
    """
    end_signing_secrets(session, flow_id, now(session) + overlap_ms)
    secret, secret_id = new_signing_secret(), new_id("whsec")
    insert_signing_secret(session, workspace_id, flow_id, secret_id, vault.seal(workspace_id, secret_id, secret))
    return secret
