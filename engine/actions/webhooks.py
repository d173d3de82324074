"""Actions on a flow's webhooks: set the URL per environment, rotate the signing secret, send a test, repeat a
delivery.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.clock import HOUR
from engine.core.environments import ENVIRONMENT_TITLES
from engine.core.errors import Conflict, FieldError, Invalid
from engine.core.web_addresses import LONGEST_ADDRESS, split_url
from engine.jobs.submit.accept import WEBHOOK_SETTINGS
from engine.jobs.webhook_delivery import TEST_EVENT, is_being_sent
from engine.outbound.practice_site import PRACTICE_HOST
from engine.secrets.sealing import Vault
from engine.secrets.webhook_secrets import add_signing_secret
from storage.audit import add_entry
from storage.database import now
from storage.flows import hold_flow
from storage.webhooks import hold_delivery, insert_delivery

#: Default period after a rotation, in milliseconds, in which deliveries are also signed with the old secret.
OVERLAP_MS = 24 * HOUR


def set_webhook(session: Session, principal: Principal, flow_id: str, url: str, environment: str = "live") -> None:
    """Sets the webhook URL for jobs of an environment that are submitted from now on; "" removes it.

    Raises Invalid and NotFound.
    """
    require_may(principal, "edit flows")
    name = _setting(environment)
    flow = hold_flow(session, principal.workspace_id, flow_id)
    url = url.strip()
    if url:
        _check(url)
    others = {other: value for other, value in flow.settings.items() if other != name}
    flow.settings = {**others, name: url} if url else others
    detail = f"{ENVIRONMENT_TITLES[environment]}: {split_url(url).hostname or 'none'}"
    add_entry(session, principal, "change webhook", flow.id, detail)


def renew_signing_secret(
    session: Session, principal: Principal, vault: Vault, flow_id: str, overlap_ms: int = OVERLAP_MS
) -> str:
    """Creates and returns a new signing secret (`whsec_...`), which is shown only once.

    During the overlap deliveries are also signed with the old secret.
    """
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    add_entry(session, principal, "renew webhook secret", flow.id, flow.title)
    return add_signing_secret(session, vault, principal.workspace_id, flow.id, overlap_ms)


def send_test(session: Session, principal: Principal, flow_id: str, environment: str = "live") -> str:
    """Queues a `webhook.test` delivery to an environment's URL and returns its id.

    Raises Conflict when no URL is set.
    """
    require_may(principal, "edit flows")
    flow = hold_flow(session, principal.workspace_id, flow_id)
    url = flow.settings.get(_setting(environment))
    if not url:
        raise Conflict(
            f"The flow has no webhook for {ENVIRONMENT_TITLES[environment]}",
            remedy="Enter an address and save it first.",
        )
    return insert_delivery(session, principal.workspace_id, flow.id, "", url, TEST_EVENT)


def send_again(session: Session, principal: Principal, delivery_id: str) -> None:
    """Queues a delivery again for immediate sending, with the full number of attempts.

    Raises NotFound, and Conflict while it is being sent.
    """
    require_may(principal, "edit flows")
    delivery = hold_delivery(session, principal.workspace_id, delivery_id)
    if is_being_sent(delivery, now(session)):
        raise Conflict("It is being sent", remedy="Wait a moment: the list shows what comes of it.")
    delivery.status, delivery.tries, delivery.next_at = "waiting", 0, now(session)
    add_entry(session, principal, "send webhook again", delivery.id, delivery.job_id or delivery.batch_id or "")


def _setting(environment: str) -> str:
    name = WEBHOOK_SETTINGS.get(environment)
    if name is None:
        message = f"choose one of {', '.join(WEBHOOK_SETTINGS)}"
        raise Invalid(
            f"`{environment}` is no environment with a webhook",
            remedy=f"{message.capitalize()}.",
            errors=(FieldError("/environment", "enum", message),),
        )
    return name


def _check(url: str) -> None:
    try:
        parts = split_url(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        fits = False
    if not fits or len(url) > LONGEST_ADDRESS or any(ord(letter) <= 32 for letter in url):
        raise Invalid(
            "The webhook's address is not a web address",
            remedy="Enter one like https://example.com/hook, without user or password.",
            errors=(FieldError("/url", "format", "a web address"),),
        )
    if (split_url(url).hostname or "").rstrip(".") == PRACTICE_HOST:
        raise Invalid(
            "Nobody receives what is sent to the practice site, which can only be read",
            remedy="Enter an address of your own server, like https://example.com/hook.",
            errors=(FieldError("/url", "format", "an address where somebody receives"),),
        )
