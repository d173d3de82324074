"""Settings, Limits and plan: limits and use of each environment, and the owner's own limits instead of the plan's."""

from __future__ import annotations

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.limits import UNLIMITED, Caps, set_plan
from engine.core.clock import next_month
from engine.core.errors import Refusal
from engine.core.plans import PLANS, quarter
from storage.database import now
from storage.environments import EnvironmentUse, read_environments
from storage.workspaces import Limits, get_limits
from ui.forms.form import Field
from ui.forms.values import read_count
from ui.kit import feedback
from ui.kit.parts import ENVIRONMENTS, button, card, environment_badge, meter, sentence, words
from ui.kit.text import _, number
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, not_twice, one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.settings.navigation import settings_page

LOOK_SECONDS = 2.0


class SeenLimits(Struct, frozen=True):
    """The limits in effect and the use of each environment."""

    limits: Limits
    environments: tuple[EnvironmentUse, ...]
    resets_at: int


def load_limits(session: Session, workspace_id: str) -> SeenLimits:
    """Reads plan and use of a workspace."""
    limits = get_limits(session, workspace_id)
    return SeenLimits(limits, read_environments(session, workspace_id, limits), next_month(now(session)))


def register(app: App) -> None:
    """Registers `/settings/limits`."""

    @page_at("/settings/limits")
    async def open_limits(request: Request) -> None:
        page_session = await open_page_session(app, request)
        await LimitsPage(page_session).build()


class LimitsPage:
    """One open page of limits."""

    def __init__(self, page_session: PageSession) -> None:
        self.page_session = page_session
        self.times = times_of(page_session)

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self.page_session.query(load_limits)
        sub = _("Each environment has limits of its own. Refused calls and runs in the Playground do not count.")
        with settings_page(self.page_session, "limits", sub):
            self.used = ui.element("div").classes("fp-col")
            self._draw_used()
            if self.page_session.may("change the plan"):
                PlanCard(self).build()
            else:
                ask_note(self.page_session, _("Owners change the plan."))
        every(LOOK_SECONDS, self.look)

    @one_at_a_time
    async def look(self) -> None:
        """Shows the current limits and use."""
        fresh = await self.page_session.query_again(load_limits)
        if fresh != self.seen:
            self.seen = fresh
            self._draw_used()

    def _draw_used(self) -> None:
        limits, reader = self.seen.limits, self.times.reader
        self.used.clear()
        with self.used, card(_("{title} plan").format(title=limits.title)):
            with ui.element("div").classes("fp-environments"):
                for use in self.seen.environments:
                    self._draw_environment(use)
            again = _("The month starts again at 0 on {day} (UTC).").format(day=self.times.day(self.seen.resets_at))
            said = _("A call above a limit is refused; the caller may send it again later. {again}").format(again=again)
            if (requests := PLANS[limits.plan].requests) is not None:
                said += " " + _("One key may send {requests} calls a second; asking for a result counts, too.").format(
                    requests=number(requests, reader)
                )
            words(said, "fp-hint", tag="p")

    def _draw_environment(self, use: EnvironmentUse) -> None:
        with ui.element("section").classes("fp-form") as place:
            name = ENVIRONMENTS[use.environment][0]
            place.props["aria-label"] = name
            with ui.element("div"):
                environment_badge(use.environment)
            self._line(name, _("Jobs at once"), use.used.active, use.caps.concurrency)
            self._line(name, _("Requests this month"), use.used.month_count, use.caps.monthly)
            if use.nearly:
                said = _("This month's requests are used up.") if use.full else _("Nearly used up.")
                words(said, "fp-s13 fp-warn", tag="p")

    def _line(self, environment: str, what: str, value: int, limit: int | None) -> None:
        reader = self.times.reader
        with ui.element("div"):
            with ui.element("div").classes("fp-row"):
                words(what, "fp-s13")
                words("", "fp-sp")
                most = _("of {limit}").format(limit=number(limit, reader)) if limit is not None else _("no limit")
                words(f"{number(value, reader)} {most}", "fp-num fp-s13 fp-nw")
            if limit is not None:
                meter(value, limit, label=f"{environment}, {what}").classes("fp-meter-line")


class PlanCard:
    """The owner's form: the plan, and own limits for each environment."""

    def __init__(self, page: LimitsPage) -> None:
        self.page = page
        self.boxes: dict[tuple[str, str], tuple[Field, ui.input]] = {}

    def build(self) -> None:
        """Draws the card."""
        words_of = {
            name: _("{title}: {concurrency} at once, {monthly} a month").format(
                title=plan.title, concurrency=_number(plan.concurrency), monthly=_number(plan.monthly)
            )
            for name, plan in PLANS.items()
        }
        limits = self.began = self.page.seen.limits
        with (
            card(_("Change the plan"), _("It counts for the next request.")),
            ui.element("div").classes("fp-form fp-narrow"),
        ):
            self.plan = Field(_("Plan"))
            with self.plan.place:
                select = ui.select(words_of, value=limits.plan, on_change=self._say_planned)
                self.choice = self.plan.control(select.props("outlined dense options-dense"))
            hint = _(
                "Limits of your own. A field that stays empty has the plan's limit; Staging and Development each "
                "get a quarter of Production's on top. Write `unlimited` for no limit."
            )
            sentence(hint, "fp-hint")
            with ui.element("div").classes("fp-own-limits"):
                for environment, own in limits.own.items():
                    name = ENVIRONMENTS[environment][0]
                    self._add(environment, "concurrency", _("{name}, jobs at once").format(name=name), own.concurrency)
                    self._add(environment, "monthly", _("{name}, requests a month").format(name=name), own.monthly)
            self._say_planned()
            with ui.element("div"):
                button(_("Save the plan"), not_twice(self._save))

    def _add(self, environment: str, name: str, label: str, own: int | None) -> None:
        field = Field(label)
        with field.place:
            value = "" if own is None else "unlimited" if own == UNLIMITED else str(own)
            box = ui.input(value=value, on_change=self._say_planned if environment == "live" else None)
            self.boxes[environment, name] = (field, field.control(box.props("outlined dense")))

    def _say_planned(self) -> None:
        """Shows the limits that apply to empty fields as their placeholders."""
        plan = PLANS[self.choice.value]
        for name, planned in (("concurrency", plan.concurrency), ("monthly", plan.monthly)):
            if (live := self.boxes.get(("live", name))) is None:
                return
            wrong, own = _read(live[1].value or "")
            whole = planned if wrong or own is None else None if own == UNLIMITED else own
            for environment in ENVIRONMENTS:
                if (one := self.boxes.get((environment, name))) is not None:
                    one[1].props["placeholder"] = _number(planned if environment == "live" else quarter(whole))

    async def _save(self) -> None:
        own: dict[tuple[str, str], int | None] = {}
        wrong = ""
        for key, (field, box) in self.boxes.items():
            said, own[key] = _read(box.value or "")
            field.error(said)
            wrong = wrong or said
        if wrong:
            return
        caps = {name: Caps(own[name, "concurrency"], own[name, "monthly"]) for name in ("live", "test", "dev")}
        live = caps["live"]
        try:
            self.began = await self.page.page_session.execute(
                set_plan,
                self.choice.value,
                concurrency=live.concurrency,
                monthly=live.monthly,
                test=caps["test"],
                dev=caps["dev"],
                began=self.began,
            )
        except Refusal as refusal:
            self.plan.error(f"{refusal.detail}. {refusal.remedy}")
            return
        feedback.told(_("Saved."), _("It counts for the next request."))
        await self.page.look()


def _number(limit: int | None) -> str:
    return _("any number") if limit is None else number(limit)


def _read(text: str) -> tuple[str, int | None]:
    """Parses a limit: (error message, the limit as `set_plan` takes it)."""
    text = text.strip().lower()
    if not text:
        return "", None
    if text == "unlimited":
        return "", UNLIMITED
    if limit := read_count(text):
        return "", limit
    return _("Write a whole number of 1 or more, `unlimited`, or nothing."), None
