"""What web nodes make of an answer: which statuses are faults, when another try may help, and what robots.txt allows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from engine.flow.node_type import HttpAnswer, NodeContext, NodeFailed, SiteRules

#: What a status usually means, for an answer that says nothing itself.
_REASONS = {
    401: "It wants to know who asks: a key or password is missing or wrong.",
    403: "It does not let this be read: a key or password is missing, or has no right to it.",
    404: "There is nothing at this address.",
    408: "It waited too long for the request.",
    410: "What was at this address is gone for good.",
    429: "It was asked too often.",
}


def shown(url: str) -> str:
    """A URL as a message shows it: without query, which may hold keys."""
    text = url.strip().split("?", 1)[0].split("#", 1)[0]
    return text if len(text) <= 120 else f"{text[:119]}…"


def status_failure(answer: HttpAnswer, asked: str, *, code: str = "http_status", remedy: str = "") -> NodeFailed:
    """The failure for an answer with an error status. 408, 425, 429 and 5xx are passing and keep the Retry-After."""
    passing = answer.status in {408, 425, 429} or answer.status >= 500
    said = " ".join(answer.text()[:2_000].split())[:200] if "html" not in answer.content_type else ""
    return NodeFailed(
        f"`{shown(asked)}` answered {answer.status}{phrase(answer.status)}.",
        code=code,
        why=f"It said: {said}" if said else _usual_reason(answer.status),
        remedy=remedy or ("Try again later." if passing else "Check the address and what is sent to it."),
        passing=passing,
        retry_after=retry_after(answer.headers) if passing else None,
    )


def _usual_reason(status: int) -> str:
    if status >= 500:
        return "The server there has a fault, or too much to do."
    return _REASONS.get(status, "The server there did not take what it was asked.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the Retry-After header asks for, written as a number or as a date."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None


async def ask_robots(url: str, context: NodeContext) -> SiteRules:
    """The rules of the page's site. Raises NodeFailed (`page_blocked_by_robots`) when they close the page to programs.

    A site without a readable robots.txt allows everything; one whose server fails says nothing yet, so it is a passing fault.
    """
    rules = await context.http.site_rules(url, timeout_seconds=context.timeout_seconds)
    if rules.failed_status is not None:
        raise NodeFailed(
            f"`{shown(url)}` was not read: the site's robots.txt answered {rules.failed_status}{phrase(rules.failed_status)}.",
            code="page_blocked_by_robots",
            why="Without it nobody knows whether programs may read the page.",
            remedy="Try again later, or switch off “Respect robots.txt” if you have the site's permission.",
            passing=True,
            retry_after=retry_after(rules.answer_headers),
        )
    if not rules.may_read(url.strip()):
        raise NodeFailed(
            f"`{shown(url)}` was not read: the site's robots.txt closes it to programs.",
            code="page_blocked_by_robots",
            why="The owner of a site decides there which pages programs may read.",
            remedy="Use another page, or switch off “Respect robots.txt” if you have the site's permission.",
        )
    return rules


def phrase(status: int) -> str:
    """` (Not Found)` for 404, nothing for a number without a name."""
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
