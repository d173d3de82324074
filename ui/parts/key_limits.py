"""How often a key may call, in words: its own limits, and those that all keys of its environment share."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.plans import PLANS
from storage.keys import KeyRow
from storage.workspaces import Limits
from ui.kit.parts import ENVIRONMENTS
from ui.kit.text import Reader, _, number
from ui.kit.times import Times


def own_limits(key: KeyRow, reader: Reader) -> list[str]:
    """Returns the limits that a key has beside those of its environment."""
    said = []
    if key.concurrency is not None:
        said.append(_("at most {count} at once").format(count=number(key.concurrency, reader)))
    if key.monthly is not None:
        said.append(_("at most {count} requests a month").format(count=number(key.monthly, reader)))
    return said


def ends(key: KeyRow, times: Times) -> str:
    """Returns until when a key works."""
    if key.expires_at is None:
        return _("does not end")
    return _("works until {day}").format(day=times.last_day(key.expires_at))


def shared_limits(limits: Limits, environments: Iterable[str], reader: Reader) -> str:
    """Returns what a key may send a second, and what all keys of each of these environments may together."""
    a_second = PLANS[limits.plan].requests
    said = [
        _("Each key may send any number of calls a second.")
        if a_second is None
        else _("Each key may send {count} calls a second.").format(count=number(a_second, reader))
    ]
    for environment in dict.fromkeys(environments):
        caps = limits.caps[environment]
        monthly = _("any number of") if caps.monthly is None else number(caps.monthly, reader)
        at_once = _("any number") if caps.concurrency is None else number(caps.concurrency, reader)
        said.append(
            _("All keys of {environment} together: {monthly} requests a month, {at_once} at once.").format(
                environment=ENVIRONMENTS[environment][0], monthly=monthly, at_once=at_once
            )
        )
    return " ".join(said)
