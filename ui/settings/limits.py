"""Settings, Limits and plan: what the plan allows, what is used of it, and what is running."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.limits import UNLIMITED, set_plan
from engine.clock import next_month
from engine.errors import Refusal
from engine.plans import PLANS
from storage.database import now
from storage.usage import Used, read_usage
from storage.workspaces import Limits, get_limits
from ui.forms.form import Field
from ui.look import feedback
from ui.look.parts import button, card, meter, words
from ui.look.text import _, number
from ui.opened import every, one_at_a_time, times_of
from ui.settings.places import settings_page
from ui.visit import App, Visit, page_at, visit

LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class SeenLimits:
    """The limits that count now, and what is used."""

    limits: Limits
    used: Used
    resets_at: int


def look_at_limits(session: Session, workspace_id: str) -> SeenLimits:
    """Plan and use of a workspace."""
    return SeenLimits(get_limits(session, workspace_id), read_usage(session, workspace_id), next_month(now(session)))


def register(app: App) -> None:
    """Registers `/settings/limits`."""

    @page_at("/settings/limits")
    async def open_limits(request: Request) -> None:
        here = visit(app, request)
        await LimitsPage(here).build()


class LimitsPage:
    """One open page of limits."""

    def __init__(self, here: Visit) -> None:
        self.here = here
        self.times = times_of(here)

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self.here.see(look_at_limits)
        sub = _("Refused calls and runs in the Playground do not count.")
        with settings_page(self.here, "limits", sub):
            self.used = ui.element("div").classes("fp-col")
            self._draw_used()
            if self.here.may("change the plan"):
                self._draw_plan()
            else:
                words(_("The owner changes the plan."), "fp-s13 fp-t2", tag="p")
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.here.see(look_at_limits)
        if fresh != self.seen:
            self.seen = fresh
            self._draw_used()

    def _draw_used(self) -> None:
        limits, used, reader = self.seen.limits, self.seen.used, self.times.reader
        self.used.clear()
        with self.used:
            with card(f"{limits.title} {_('plan')}"), ui.element("div").classes("fp-form"):
                self._line(
                    _("Running now"), used.active, limits.concurrency, _("jobs at once"), _("A call above it gets 429.")
                )
                self._line(
                    _("This month"),
                    used.month_count,
                    limits.monthly,
                    _("requests a month"),
                    f"{_('It starts again at 0 on')} {self.times.day(self.seen.resets_at)} (UTC).",
                )
                if (requests := PLANS[limits.plan].requests) is not None:
                    said = f"{_('One key may send')} {number(requests, reader)} {_('calls a second, polling too.')}"
                    words(said, "fp-hint", tag="p")
            if limits.monthly is not None and used.month_count >= limits.monthly * 0.8:
                share = f"{number(used.month_count, reader)} {_('of')} {number(limits.monthly, reader)}"
                words(f"{share} {_('requests of this month are used.')}", "fp-s13 fp-warn", tag="p")

    def _line(self, name: str, value: int, limit: int | None, unit: str, hint: str) -> None:
        reader = self.times.reader
        with ui.element("div"):
            with ui.element("div").classes("fp-row"):
                words(name, "fp-b")
                words("", "fp-sp")
                most = number(limit, reader) if limit is not None else _("any number of")
                words(f"{number(value, reader)} {_('of')} {most} {unit}", "fp-num")
            if limit is not None:
                meter(value, limit, label=name).classes("fp-meter-line")
            words(hint, "fp-hint", tag="p")

    def _draw_plan(self) -> None:
        limits = self.seen.limits
        words_of = {
            name: f"{plan.title}: {_number(plan.concurrency)} {_('at once')}, {_number(plan.monthly)} {_('a month')}"
            for name, plan in PLANS.items()
        }
        with (
            card(_("Change the plan"), _("It counts for the next request.")),
            ui.element("div").classes("fp-form fp-narrow"),
        ):
            plan = Field(_("Plan"))
            with plan.place:
                choice = plan.control(ui.select(words_of, value=limits.plan).props("outlined dense options-dense"))
            base = PLANS[limits.plan]
            own_concurrency = limits.concurrency if limits.concurrency != base.concurrency else ""
            own_monthly = limits.monthly if limits.monthly != base.monthly else ""
            hint = _("Empty: as the plan says. `unlimited` takes the limit away.")
            at_once = Field(_("Jobs at once"), _("own limit"), hint)
            with at_once.place:
                at_once_box = at_once.control(ui.input(value=_own(own_concurrency)).props("outlined dense"))
            monthly = Field(_("Requests a month"), _("own limit"), hint)
            with monthly.place:
                monthly_box = monthly.control(ui.input(value=_own(own_monthly)).props("outlined dense"))

            async def save() -> None:
                numbers = []
                for field, box in ((at_once, at_once_box), (monthly, monthly_box)):
                    wrong, value = _read(box.value or "")
                    field.error(wrong)
                    if wrong:
                        return
                    numbers.append(value)
                try:
                    await self.here.do(set_plan, choice.value, concurrency=numbers[0], monthly=numbers[1])
                except Refusal as refusal:
                    plan.error(f"{refusal.detail}. {refusal.remedy}")
                    return
                feedback.told(_("Saved."), _("It counts for the next request."))
                await self._look()

            with ui.element("div"):
                button(_("Save the plan"), save)


def _number(limit: int | None) -> str:
    return _("any number") if limit is None else number(limit)


def _own(limit: int | str | None) -> str:
    return "unlimited" if limit is None else str(limit)


def _read(text: str) -> tuple[str, int | None]:
    """(what is wrong, the limit as `set_plan` takes it)."""
    text = text.strip().lower()
    if not text:
        return "", None
    if text == "unlimited":
        return "", UNLIMITED
    if text.isdigit() and 0 < int(text) < 1 << 31:
        return "", int(text)
    return _("Write a whole number of 1 or more, `unlimited`, or nothing."), None
