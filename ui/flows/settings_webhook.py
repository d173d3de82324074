"""The webhooks of a flow: their addresses per environment, how requests are signed, and the results of deliveries."""

from __future__ import annotations

from nicegui import ui

from engine.actions.webhooks import OVERLAP_MS, renew_signing_secret, send_again, send_test, set_webhook
from engine.core.api_key_format import key_prefix
from engine.core.clock import HOUR
from engine.core.errors import Invalid, Refusal
from engine.core.web_addresses import split_url
from engine.jobs.submit.accept import WEBHOOK_SETTINGS, flow_webhook
from engine.secrets.opening import find_unreadable
from storage.webhooks import DeliveryRow, list_deliveries
from ui.flows.flow_settings import FlowSettings
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.parts import ENVIRONMENTS, Column, Kind, badge, button, card, copy_button, link, note, table, words
from ui.kit.text import _
from ui.page_shell import every, one_at_a_time, times_of

_LOOK_SECONDS = 2.0


def draw(settings: FlowSettings) -> None:
    """Draws the card in the current slot."""
    WebhookCard(settings).build()


class WebhookCard:
    """The form, and below it the newest deliveries, which are read again while the page is open."""

    def __init__(self, settings: FlowSettings) -> None:
        self.settings = settings
        self.page_session = settings.page_session
        self.flow_id = settings.flow.id
        self.boxes: dict[str, tuple[Field, ui.input]] = {}
        self.seen: list[DeliveryRow] | None = None

    def build(self) -> None:
        """Draws the card."""
        with card(_("Webhooks")), ui.element("div").classes("fp-form fp-narrow"):
            words(
                _(
                    "To be told elsewhere how runs end, for example in Teams or Slack or by e-mail, ask a programmer, or a "
                    "tool such as Zapier or Make, for a web address that takes messages, and write it here: Flowport calls "
                    "it whenever a run ends, also when it fails."
                ),
                tag="p",
            )
            words(
                _(
                    "When a job ends, Flowport calls the address of its environment with the job, signed as Standard "
                    "Webhooks asks. A call may name another address with X-Webhook-Url."
                ),
                "fp-hint",
                tag="p",
            )
            for environment in WEBHOOK_SETTINGS:
                self._draw_address(environment)
            if self.settings.may_edit:
                with ui.element("div").classes("fp-row fp-wrap-row"):
                    button(_("Save the webhooks"), self._keep)
                    button(_("New signing secret"), self._renew, kind="quiet")
            self.secret = ui.element("div")
            self.unreadable = note(
                _("Press New signing secret and give it to the receiver. Until then no call is sent."),
                kind="bad",
                icon="key_off",
                strong=_("The signing secret cannot be read any more."),
            )
            self.unreadable.visible = False
            with ui.element("p").classes("fp-hint"):
                link(_("How to check a signature"), "/docs/guides/webhooks", new_tab=True)
        self.list = ui.element("div")
        every(_LOOK_SECONDS, self._look)

    def _draw_address(self, environment: str) -> None:
        name, url = ENVIRONMENTS[environment][0], flow_webhook(self.settings.flow.settings, environment) or ""
        hint = _("Like https://example.com/hook. Empty: nobody is called.") if environment == "live" else ""
        field = Field(name, _("keys {key_prefix}").format(key_prefix=key_prefix(environment)), hint)
        with field.place, ui.element("div").classes("fp-row"):
            box = field.control(self.settings.box(ui.input(value=url)).props("inputmode=url").classes("fp-grow"))
            if url and self.settings.may_edit:
                test = button(_("Send a test"), lambda: self._test(environment), kind="quiet", small=True)
                test.props["aria-label"] = _("Send a test, {name}").format(name=name)
        self.boxes[environment] = (field, box)

    async def _keep(self) -> None:
        refused = False
        for environment, (field, box) in self.boxes.items():
            typed = (box.value or "").strip()
            if typed == (flow_webhook(self.settings.flow.settings, environment) or ""):
                field.error("")
                continue
            try:
                await self.page_session.execute(set_webhook, self.flow_id, typed, environment)
            except Invalid as refusal:
                field.error(str(refusal))
                refused = True
            except Refusal as refusal:
                feedback.refused(refusal)
                return
            else:
                field.error("")
        if refused:
            return
        feedback.told(_("Saved."), _("It counts for jobs that are sent from now on."))
        await self.settings.changed()

    async def _test(self, environment: str) -> None:
        if await self.page_session.try_execute(send_test, self.flow_id, environment) is not None:
            feedback.told(_("A test is on its way."), _("What comes of it stands below."))
            await self._look()

    async def _renew(self) -> None:
        if not await feedback.confirm(
            _("Make a new signing secret?"),
            _(
                "For {hours} hours calls are signed with the old one too, so that you can change it without a gap."
            ).format(hours=OVERLAP_MS // HOUR),
            verb=_("Make a new one"),
        ):
            return
        secret = await self.page_session.try_execute(renew_signing_secret, self.page_session.app.vault, self.flow_id)
        if secret is None:
            return
        self.unreadable.visible = False
        self.secret.clear()
        with self.secret, ui.element("div").classes("fp-row"):
            words(secret, "fp-mono fp-cut")
            copy_button(secret, _("Copy secret"))
            words(_("It is shown this one time."), "fp-hint")

    @one_at_a_time
    async def _look(self) -> None:
        if self.seen is None:
            vault = self.page_session.app.vault
            self.unreadable.visible = self.flow_id in await self.page_session.query(find_unreadable, vault)
        fresh = await self.page_session.query_again(list_deliveries, self.flow_id)
        if fresh != self.seen:
            self.seen = fresh
            self._draw(fresh)

    def _draw(self, deliveries: list[DeliveryRow]) -> None:
        self.list.clear()
        if not deliveries:
            return
        times = times_of(self.page_session)
        with self.list, ui.element("section").classes("fp-card"):
            columns = [
                Column(_("Sent")),
                Column(_("About")),
                Column(_("Answer")),
                Column(_("Tries"), right=True),
                Column(_("What to do"), hidden=True, right=True),
            ]
            rows = table(columns, label=_("Deliveries of the webhook"), stacks=True)
            for delivery in deliveries:
                with rows.row():
                    with rows.cell():
                        words(times.moment(delivery.log[-1]["at"] if delivery.log else delivery.created_at))
                    with rows.cell():
                        if delivery.job_id:
                            link(delivery.event.removeprefix("job."), f"/jobs/{delivery.job_id}")
                        elif delivery.batch_id:
                            words(_("a batch of calls"))
                        else:
                            words(_("a test"))
                        words(split_url(delivery.url).hostname or "", "fp-hint", tag="div")
                    with rows.cell(classes="fp-wrap-text"):
                        text, kind = _state(delivery)
                        badge(text, kind=kind)
                        if delivery.log and delivery.status != "delivered":
                            words(_told(delivery), "fp-hint", tag="div")
                    with rows.cell():
                        words(str(delivery.tries))
                    with rows.cell():
                        if self.settings.may_edit:
                            button(
                                _("Send again"),
                                lambda delivery=delivery: self._again(delivery),
                                small=True,
                                kind="quiet",
                            )

    async def _again(self, delivery: DeliveryRow) -> None:
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(send_again, delivery.id)
        if not outcome.refused:
            feedback.told(_("It is on its way."), "")
            await self._look()


def _state(delivery: DeliveryRow) -> tuple[str, Kind]:
    match delivery.status:
        case "delivered":
            return _("delivered, {status}").format(status=delivery.log[-1]["status"]), "ok"
        case "failed":
            return _("failed"), "bad"
    return (_("tried again") if delivery.tries else _("on its way")), "warn"


def _told(delivery: DeliveryRow) -> str:
    last = delivery.log[-1]
    return last["message"] or _("It answered with status {status}.").format(status=last["status"])
