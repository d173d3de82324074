"""A note that the month's requests are nearly used up, with who can raise the limit, for pages that show calls."""

from __future__ import annotations

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.core.clock import next_month
from storage.database import now
from storage.environments import EnvironmentUse, read_environments
from storage.members import list_people
from storage.workspaces import get_limits
from ui.kit.parts import ENVIRONMENTS, link_button, note
from ui.kit.text import _, number
from ui.page_session import PageSession
from ui.page_shell import every, one_at_a_time, times_of

LOOK_SECONDS = 5.0


class Quota(Struct, frozen=True):
    """The environments whose monthly quota is nearly used up. `owners` can raise the limit."""

    nearly: tuple[EnvironmentUse, ...]
    resets_at: int
    owners: tuple[str, ...]


def load_quota(session: Session, workspace_id: str) -> Quota:
    """Reads the use of the quotas; the owners' names are read only when a quota is nearly used up."""
    environments = read_environments(session, workspace_id, get_limits(session, workspace_id))
    nearly = tuple(use for use in environments if use.nearly)
    people = list_people(session, workspace_id) if nearly else ()
    owners = tuple(person.name or person.email for person in people if person.role == "owner")
    return Quota(nearly, next_month(now(session)), owners)


class QuotaNote:
    """The notes of the environments whose quota is nearly used up.

    `draw` draws them into the current container; `watch` is called after the page's last await.
    """

    def __init__(self, page_session: PageSession, seen: Quota) -> None:
        self.page_session = page_session
        self.seen = seen
        self.times = times_of(page_session)

    def draw(self) -> None:
        """Creates the container, and the notes when a quota is nearly used up."""
        self.place = ui.element("div").classes("fp-quota").props("role=status")
        self._draw()

    def watch(self) -> None:
        """Updates the notes periodically while the page is open."""
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(load_quota)
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    def _draw(self) -> None:
        self.place.clear()
        self.place.visible = bool(self.seen.nearly)
        with self.place:
            for use in self.seen.nearly:
                self._tell(use)

    def _tell(self, use: EnvironmentUse) -> None:
        reader = self.times.reader
        title = ENVIRONMENTS[use.environment][0]
        share = _("{month_count} of {monthly}").format(
            month_count=number(use.used.month_count, reader), monthly=number(use.caps.monthly or 0, reader)
        )
        state = _("are used up.") if use.full else _("are nearly used up.")
        strong = " ".join((_("This month's requests of"), title, state))
        then = _("The month begins again on {day} (UTC).").format(day=self.times.day(self.seen.resets_at))
        refused = f"{_('Until then calls are refused.')} " if use.full else ""
        said = f"{share}. {then} {refused}{self._who()}"
        kind = "bad" if use.full else "warn"
        with note(said, kind=kind, icon="error" if use.full else "warning", strong=strong):
            link_button(_("Limits and plan"), "/settings/limits", small=True)

    def _who(self) -> str:
        if self.page_session.may("change the plan"):
            return _("You can raise the limit.")
        names = f" {_('or')} ".join(self.seen.owners[:3]) or _("The owner")
        return _("{names} can raise the limit.").format(names=names)


async def quota_note(page_session: PageSession) -> QuotaNote:
    """Reads the use of the quotas and returns the note, which the page draws."""
    return QuotaNote(page_session, await page_session.query(load_quota))
