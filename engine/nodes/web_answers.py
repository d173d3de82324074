"""How web nodes treat an answer: which statuses are failures, when another try may succeed, and what robots.txt
allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from engine.core.error_codes import JobErrorCode
from engine.core.redaction import cut
from engine.flow.node_context import NodeContext, NodeFailed
from engine.flow.node_http import HttpAnswer, SiteRules

#: What a status usually means, for an answer without a text of its own.
_REASONS = {
    401: "It wants to know who asks: a key or password is missing or wrong.",
    403: "It does not let this be read: a key or password is missing, or has no right to it.",
    404: "There is nothing at this address.",
    408: "It waited too long for the request.",
    410: "What was at this address is gone for good.",
    429: "It was asked too often.",
}


def shown(url: str) -> str:
    """Returns a URL as messages show it: at most 120 characters, without query, which may contain keys."""
    text = url.strip().split("?", 1)[0].split("#", 1)[0]
    return cut(text, 120, mark="…")


def media_type_shown(answer: HttpAnswer) -> str:
    """Returns the media type of an answer as messages show it: at most 120 characters; empty without one."""
    return cut(answer.content_type, 120, mark="…")


def status_failure(
    answer: HttpAnswer, asked: str, *, code: str = JobErrorCode.HTTP_STATUS, remedy: str = ""
) -> NodeFailed:
    """Returns the failure for an error status. 408, 425, 429 and 5xx may pass, so they can be retried, after their
    Retry-After.
    """
    passing = answer.status in {408, 425, 429} or answer.status >= 500
    said = cut(" ".join(cut(answer.text(), 2_000).split()), 200) if "html" not in answer.content_type else ""
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
    """Returns the seconds of the Retry-After header, which is a number or a date (RFC 9110, 10.2.3); None without a
    valid one.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


async def ask_robots(url: str, context: NodeContext, *, led_from: str = "") -> SiteRules:
    """Returns the rules of the page's site. Raises NodeFailed (`page_blocked_by_robots`) when they disallow the page.
    `led_from`: the address that led there.

    A site without a readable robots.txt allows everything. When its server fails, the rules are unknown, so the failure
    can be retried.
    """
    rules = await context.http.site_rules(url, timeout_seconds=context.timeout_seconds)
    page = f"`{shown(url)}`, where `{shown(led_from)}` leads," if led_from else f"`{shown(url)}`"
    if rules.failed_status is not None:
        raise NodeFailed(
            f"{page} was not read: the site's robots.txt answered {rules.failed_status}{phrase(rules.failed_status)}.",
            code=JobErrorCode.PAGE_BLOCKED_BY_ROBOTS,
            why="Without it nobody knows whether programs may read the page.",
            remedy="Try again later, or switch off “Respect robots.txt” if you have the site's permission.",
            passing=True,
            retry_after=retry_after(rules.answer_headers),
        )
    if not await context.in_thread(rules.may_read, url.strip()):
        raise NodeFailed(
            f"{page} was not read: the site's robots.txt closes it to programs.",
            code=JobErrorCode.PAGE_BLOCKED_BY_ROBOTS,
            why="The owner of a site decides there which pages programs may read.",
            remedy="Use another page, or switch off “Respect robots.txt” if you have the site's permission.",
        )
    return rules


def phrase(status: int) -> str:
    """Returns for example ` (Not Found)` for 404; an empty text for a status without a name."""
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
