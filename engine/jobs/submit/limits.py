"""The limits of an environment and of a key: taking a slot, and the refusal that says which limit is reached and what
to do.
"""

from __future__ import annotations

import math
from statistics import median

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import month_seconds, next_month
from engine.core.counted import counted
from engine.core.environments import ENVIRONMENT_TITLES
from engine.core.errors import ConcurrencyLimitExceeded, LimitReached, MonthlyQuotaExceeded
from storage.database import now
from storage.jobs import last_run_times
from storage.usage import Caps, SlotBook, Used, count_requests, read_usage, usage_subject
from storage.workspaces import get_limits

WHERE_TO_RAISE = "The owner can raise it under Settings, Limits and plan."
WHERE_TO_RAISE_KEY = "The owner can raise this key's own limit under Settings, API Keys."
#: How many seconds a caller is told to wait when the flow has no completed jobs.
GUESS = 2


class LimitsView(Struct, frozen=True):
    """The caller's limits and their use: those of the environment or of the key, whichever leave less. None:
    no limit.
    """

    concurrency: int | None
    active: int
    monthly: int | None
    used: int
    resets_in_seconds: int
    month_seconds: int


class LimitCounter(Struct, frozen=True):
    """One of the limits that a job counts for, with the words for its refusal."""

    subject: str
    caps: Caps
    name: str
    remedy: str

    def is_reached(self, used: Used) -> bool:
        """Whether no further job fits."""
        concurrency, monthly = self.caps.concurrency, self.caps.monthly
        return (concurrency is not None and used.active >= concurrency) or (
            monthly is not None and used.month_count >= monthly
        )


def limits_now(
    session: Session, workspace_id: str, environment: str, key_id: str | None = None, key_caps: Caps = Caps()
) -> LimitsView:
    """Returns the present limits and their use, without taking a slot."""
    counters = limit_counters(session, workspace_id, environment, key_id, key_caps, "")
    return _view(session, [(counter, read_usage(session, counter.subject)) for counter in counters])


def take_slots(session: Session, book: SlotBook, counters: list[LimitCounter], flow_id: str) -> LimitsView:
    """Takes a slot of each counter: the environment and the key. Raises MonthlyQuotaExceeded, or else
    ConcurrencyLimitExceeded; then none is taken.
    """
    for counter in counters:
        if counter.is_reached(book.used(counter.subject)):
            raise _refusal(session, book, counters, counter, flow_id)
    return _view(session, [(counter, book.take(counter.subject)) for counter in counters])


def count_batch(
    session: Session,
    workspace_id: str,
    environment: str,
    key_id: str | None,
    key_caps: Caps,
    key_label: str,
    items: int,
) -> None:
    """Counts all items in the month of the environment and of the key; takes no slot. Raises MonthlyQuotaExceeded."""
    counters = limit_counters(session, workspace_id, environment, key_id, key_caps, key_label)
    _refuse_more_than_a_month(counters, items)
    for counter in counters:
        monthly = counter.caps.monthly
        if not count_requests(session, counter.subject, items, monthly):
            left = max(0, (monthly or 0) - read_usage(session, counter.subject).month_count)
            at = now(session)
            raise MonthlyQuotaExceeded(
                f"The batch has {counted(items, 'item')}; {left:,} of the {counted(monthly or 0, 'request')} of {counter.name} for "
                f"this month {'is' if left == 1 else 'are'} left. The month begins again on the 1st at 00:00 UTC",
                remedy=counter.remedy,
                retry_after=math.ceil((next_month(at) - at) / 1000),
            )


def _refuse_more_than_a_month(counters: list[LimitCounter], items: int) -> None:
    """Refuses a batch that is larger than a whole month's quota. It sets no `retry_after`, since waiting does
    not help.
    """
    limited = [(counter.caps.monthly, counter) for counter in counters if counter.caps.monthly is not None]
    monthly, tightest = min(limited, key=lambda one: one[0], default=(items, None))
    if tightest is not None and items > monthly:
        raise MonthlyQuotaExceeded(
            f"The batch has {counted(items, 'item')} and can never be accepted: {tightest.name} may send "
            f"{counted(monthly, 'request')} in a whole month",
            remedy=f"Send at most {counted(monthly, 'item')}. {tightest.remedy}",
        )


def limit_counters(
    session: Session, workspace_id: str, environment: str, key_id: str | None, key_caps: Caps, key_label: str
) -> list[LimitCounter]:
    """Returns the counters of a job: that of its environment, and that of its key."""
    caps = get_limits(session, workspace_id).caps[environment]
    name = f"{ENVIRONMENT_TITLES[environment]} of this workspace"
    of_environment = LimitCounter(usage_subject(workspace_id, environment), caps, name, WHERE_TO_RAISE)
    if key_id is None:
        return [of_environment]
    return [of_environment, LimitCounter(key_id, key_caps, f"the key “{key_label}”", WHERE_TO_RAISE_KEY)]


def _view(session: Session, counters: list[tuple[LimitCounter, Used]]) -> LimitsView:
    at = now(session)
    concurrency = _tightest([(counter.caps.concurrency, used.active) for counter, used in counters])
    monthly = _tightest([(counter.caps.monthly, used.month_count) for counter, used in counters])
    first = counters[0][1]
    return LimitsView(
        concurrency=concurrency[0] if concurrency else None,
        active=concurrency[1] if concurrency else first.active,
        monthly=monthly[0] if monthly else None,
        used=monthly[1] if monthly else first.month_count,
        resets_in_seconds=math.ceil((next_month(at) - at) / 1000),
        month_seconds=month_seconds(at),
    )


def _tightest(limits: list[tuple[int | None, int]]) -> tuple[int, int] | None:
    """Returns (limit, used) of the counter with the least left; None when no counter has a limit."""
    known = [(limit - used, limit, used) for limit, used in limits if limit is not None]
    return min(known)[1:] if known else None


def _refusal(
    session: Session, book: SlotBook, counters: list[LimitCounter], full: LimitCounter, flow_id: str
) -> LimitReached:
    """Returns the refusal of a full counter.

    It names a used-up month before concurrency, since waiting some seconds would not help.
    """
    for counter in counters:
        used = book.used(counter.subject)
        if counter.caps.monthly is not None and used.month_count >= counter.caps.monthly:
            at = now(session)
            most = counter.caps.monthly
            requests = "The one request" if most == 1 else f"All {most:,} requests"
            return MonthlyQuotaExceeded(
                f"{requests} of {counter.name} for this month {'is' if most == 1 else 'are'} used; "
                "it begins again on the 1st at 00:00 UTC",
                remedy=counter.remedy,
                retry_after=math.ceil((next_month(at) - at) / 1000),
            )
    seconds = usual_seconds(session, flow_id)
    most = full.caps.concurrency or 0
    jobs = "The one job" if most == 1 else f"All {most:,} jobs"
    return ConcurrencyLimitExceeded(
        f"{jobs} that {full.name} may have at once {'is' if most == 1 else 'are'} running or queued",
        remedy=f"Send the request again in {seconds} s. {full.remedy}",
        retry_after=seconds,
    )


def usual_seconds(session: Session, flow_id: str) -> int:
    """Returns the median run time of the flow's last 21 completed jobs in whole seconds, 1 to 30; GUESS without any."""
    times = last_run_times(session, flow_id, most=21)
    return min(30, max(1, math.ceil(median(times) / 1000))) if times else GUESS
