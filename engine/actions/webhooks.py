"""Verbs of a flow's webhook: its address, what it is signed with, a test, and sending something again."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.clock import HOUR
from engine.errors import Conflict, FieldError, Invalid
from engine.jobs.webhooks import TEST_EVENT
from engine.vault.sealing import Vault
from engine.vault.webhook_secrets import add_signing_secret
from storage.audit import add_entry
from storage.database import now
from storage.flows import hold_flow
from storage.webhooks import add_delivery, hold_delivery

URL_SETTING = "webhook_url"
MAX_URL = 2_000
#: How long deliveries are signed with the old secret too, unless somebody says otherwise.
OVERLAP_MS = 24 * HOUR


def set_webhook(session: Session, principal: Principal, flow_id: str, url: str) -> None:
    """Jobs of this flow that end from now on are told to `url`; "" tells nobody. Raises Invalid, NotFound."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    url = url.strip()
    if url:
        _check(url)
    flow.settings = {name: value for name, value in flow.settings.items() if name != URL_SETTING}
    if url:
        flow.settings = {**flow.settings, URL_SETTING: url}
    add_entry(session, principal, "change webhook", flow.id, urlsplit(url).hostname or "none")


def renew_signing_secret(
    session: Session, principal: Principal, vault: Vault, flow_id: str, overlap_ms: int = OVERLAP_MS
) -> str:
    """A new `whsec_...`, shown this one time. For the overlap deliveries carry a signature of the old one too."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    add_entry(session, principal, "renew webhook secret", flow.id, flow.title)
    return add_signing_secret(session, vault, principal.workspace_id, flow.id, overlap_ms)


def send_test(session: Session, principal: Principal, flow_id: str) -> str:
    """Puts a `webhook.test` for the flow's address into the outbox; returns the delivery's id. Raises Conflict."""
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    url = flow.settings.get(URL_SETTING)
    if not url:
        raise Conflict("The flow has no webhook", remedy="Enter an address and save it first.")
    return add_delivery(session, principal.workspace_id, flow.id, "", url, TEST_EVENT)


def send_again(session: Session, principal: Principal, delivery_id: str) -> None:
    """A delivery is due again at once, with all its tries. Raises NotFound, and Conflict while it is on its way."""
    require_may(principal, "edit flows")
    delivery = hold_delivery(session, principal.workspace_id, delivery_id)
    if delivery.status == "waiting" and delivery.next_at is not None and delivery.next_at <= now(session):
        raise Conflict("It is being sent", remedy="Wait a moment: the list shows what comes of it.")
    delivery.status, delivery.tries, delivery.next_at = "waiting", 0, now(session)
    add_entry(session, principal, "send webhook again", delivery.id, delivery.job_id or delivery.batch_id or "")


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
