"""The month's requests are nearly used up: said where people look at calls, with who can raise the limit."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui
from sqlalchemy.orm import Session

from engine.clock import next_month
from storage.database import now
from storage.members import list_people
from storage.usage import read_usage
from storage.workspaces import get_limits
from ui.look.parts import link_button, note
from ui.look.text import _, number
from ui.opened import every, one_at_a_time, times_of
from ui.visit import Visit

#: From this share of the month's requests on it is said.
NEARLY = 0.8
LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Quota:
    """The month's requests. `limit` None: there is none. `owners` can raise it."""

    used: int
    limit: int | None
    resets_at: int
    plan: str
    owners: tuple[str, ...]

    @property
    def full(self) -> bool:
        """The next call is refused."""
        return self.limit is not None and self.used >= self.limit

    @property
    def nearly(self) -> bool:
        """It is time to say so."""
        return self.limit is not None and self.used >= self.limit * NEARLY


def look_at_quota(session: Session, workspace_id: str) -> Quota:
    """What is used of the month; the owners' names only when they matter."""
    limits = get_limits(session, workspace_id)
    used = read_usage(session, workspace_id).month_count
    quota = Quota(used, limits.monthly, next_month(now(session)), limits.title, ())
    if not quota.nearly:
        return quota
    people = list_people(session, workspace_id)
    owners = tuple(person.name or person.email for person in people if person.role == "owner")
    return Quota(quota.used, quota.limit, quota.resets_at, quota.plan, owners)


class QuotaNote:
    """The strip; nothing while there is enough left. `draw` it where it stands, `watch` it after the page's last await."""

    def __init__(self, here: Visit, seen: Quota) -> None:
        self.here = here
        self.seen = seen
        self.times = times_of(here)

    def draw(self) -> None:
        """Makes the place, and the strip when it is time."""
        self.place = ui.element("div").classes("fp-quota").props("role=status")
        self._draw()

    def watch(self) -> None:
        """Looks again while the page is open."""
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.here.see(look_at_quota)
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    def _draw(self) -> None:
        self.place.clear()
        self.place.visible = self.seen.nearly
        if not self.seen.nearly or self.seen.limit is None:
            return
        reader = self.times.reader
        share = f"{number(self.seen.used, reader)} {_('of')} {number(self.seen.limit, reader)}"
        strong = (
            _("This month's requests are used up.")
            if self.seen.full
            else _("This month's requests are nearly used up.")
        )
        then = f"{_('The month begins again on')} {self.times.day(self.seen.resets_at)} (UTC)."
        refused = f"{_('Calls get 429 until then.')} " if self.seen.full else ""
        said = f"{share} {_('of the')} {self.seen.plan} {_('plan.')} {then} {refused}{self._who()}"
        kind = "bad" if self.seen.full else "warn"
        with self.place, note(said, kind=kind, icon="error" if self.seen.full else "warning", strong=strong):
            link_button(_("Limits and plan"), "/settings/limits", small=True)

    def _who(self) -> str:
        if self.here.may("change the plan"):
            return _("You can raise the limit.")
        names = f" {_('or')} ".join(self.seen.owners[:3]) or _("The owner")
        return f"{names} {_('can raise the limit.')}"


async def quota_note(here: Visit) -> QuotaNote:
    """Reads what is used; the note is drawn by the page."""
    return QuotaNote(here, await here.see(look_at_quota))
