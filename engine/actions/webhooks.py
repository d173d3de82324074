"""Verbs of a flow's webhooks: an address for each environment, what it is signed with, a test, and sending something again."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.clock import HOUR
from engine.core.environments import ENVIRONMENT_TITLES
from engine.core.errors import Conflict, FieldError, Invalid
from engine.jobs.submit.accept import WEBHOOK_SETTINGS
from engine.jobs.webhook_delivery import TEST_EVENT
from engine.secrets.sealing import Vault
from engine.secrets.webhook_secrets import add_signing_secret
from storage.audit import add_entry
from storage.database import now
from storage.flows import hold_flow
from storage.webhooks import add_delivery, hold_delivery

MAX_URL = 2_000
#: How long deliveries are signed with the old secret too, unless somebody says otherwise.
OVERLAP_MS = 24 * HOUR


def set_webhook(session: Session, principal: Principal, flow_id: str, url: str, environment: str = "live") -> None:
    """Jobs of an environment that are sent from now on are told to `url` when they end; "" tells nobody.

    Raises Invalid, NotFound.
    """
    require_may(principal, "edit flows")
    name = _setting(environment)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    url = url.strip()
    if url:
        _check(url)
    others = {other: value for other, value in flow.settings.items() if other != name}
    flow.settings = {**others, name: url} if url else others
    detail = f"{ENVIRONMENT_TITLES[environment]}: {urlsplit(url).hostname or 'none'}"
    add_entry(session, principal, "change webhook", flow.id, detail)


def renew_signing_secret(
    session: Session, principal: Principal, vault: Vault, flow_id: str, overlap_ms: int = OVERLAP_MS
) -> str:
    """A new `whsec_...`, shown this one time. For the overlap deliveries carry a signature of the old one too."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    add_entry(session, principal, "renew webhook secret", flow.id, flow.title)
    return add_signing_secret(session, vault, principal.workspace_id, flow.id, overlap_ms)


def send_test(session: Session, principal: Principal, flow_id: str, environment: str = "live") -> str:
    """Puts a `webhook.test` for an environment's address into the outbox; returns the delivery's id. Raises Conflict."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    url = flow.settings.get(_setting(environment))
    if not url:
        raise Conflict(
            f"The flow has no webhook for {ENVIRONMENT_TITLES[environment]}",
            remedy="Enter an address and save it first.",
        )
    return add_delivery(session, principal.workspace_id, flow.id, "", url, TEST_EVENT)


def send_again(session: Session, principal: Principal, delivery_id: str) -> None:
    """A delivery is due again at once, with all its tries. Raises NotFound, and Conflict while it is on its way."""
    require_may(principal, "edit flows")
    delivery = hold_delivery(session, principal.workspace_id, delivery_id)
    if delivery.status == "waiting" and delivery.next_at is not None and delivery.next_at <= now(session):
        raise Conflict("It is being sent", remedy="Wait a moment: the list shows what comes of it.")
    delivery.status, delivery.tries, delivery.next_at = "waiting", 0, now(session)
    add_entry(session, principal, "send webhook again", delivery.id, delivery.job_id or delivery.batch_id or "")


def _setting(environment: str) -> str:
    name = WEBHOOK_SETTINGS.get(environment)
    if name is None:
        said = f"choose one of {', '.join(WEBHOOK_SETTINGS)}"
        raise Invalid(
            f"`{environment}` is no environment with a webhook",
            remedy=f"{said.capitalize()}.",
            errors=(FieldError("/environment", "enum", said),),
        )
    return name


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port  # raises for a port that is none
    except ValueError:
        fits = False
    if not fits or len(url) > MAX_URL or any(ord(letter) <= 32 for letter in url):
        raise Invalid(
            "The webhook's address is not a web address",
            remedy="Enter one like https://example.com/hook, without user or password.",
            errors=(FieldError("/url", "format", "a web address"),),
        )
