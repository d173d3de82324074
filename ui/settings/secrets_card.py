"""Secrets that HTTP Request nodes use in headers: stored encrypted, replaced and removed here, never shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Sequence

from nicegui import ui

from engine.actions.secrets import (
    add_secret,
    close_secrets_notice,
    remove_secret,
    replace_secret,
    set_secret_hosts,
)
from engine.core.errors import Refusal
from storage.secrets import SecretRow
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.parts import button, card, icon, note, unreadable_badge, words
from ui.kit.text import _
from ui.kit.times import Times
from ui.page_session import PageSession

_HOSTS_HELP = _(
    "One a line: a name, *.name or an IP address, each with or without a port, like api.example.com. It is sent "
    "nowhere else."
)


def draw_secrets(  # noqa: C901 - draws one card from top to bottom
    page_session: PageSession,
    secrets: Sequence[SecretRow],
    times: Times,
    on_changed: Callable[[], Awaitable[None]],
    *,
    hosts_found: bool = False,
    unreadable: Container[str] = (),
) -> None:
    """Draws the card. People who may not manage connections see names and hosts only.

    `hosts_found`: the owner has not yet confirmed the hosts that the upgrade derived from the flows. `unreadable`: the ids
    of those that another key has sealed.
    """
    may = page_session.may("manage connections")

    async def add() -> None:
        if await ask_secret(page_session, None):
            await on_changed()

    async def replace(row: SecretRow) -> None:
        if await ask_secret(page_session, row):
            feedback.told(
                _("{name} is replaced.").format(name=row.name), _("Steps that begin from now on use the new value.")
            )
            await on_changed()

    async def change_hosts(row: SecretRow) -> None:
        if await ask_hosts(page_session, row):
            feedback.told(
                _("{name}: its hosts are changed.").format(name=row.name), _("They count from the next request on.")
            )
            await on_changed()

    async def looked() -> None:
        with feedback.refusals_told() as outcome:
            await page_session.execute(close_secrets_notice)
        if not outcome.refused:
            await on_changed()

    async def remove(row: SecretRow) -> None:
        told = _("HTTP Request nodes that name it fail until they name another.")
        if not await feedback.confirm(_("Remove {name}?").format(name=row.name), told, verb=_("Remove"), danger=True):
            return
        with feedback.refusals_told() as outcome:
            await page_session.execute(remove_secret, row.id)
        if not outcome.refused:
            await on_changed()

    with card(_("Secrets"), _("for headers of HTTP Request nodes")) as box:
        if may:
            with box.head:
                button(_("Add a secret"), add, icon="add", small=True)
        if not secrets:
            words(
                _(
                    "None yet. Keep the key or password of another service here: HTTP Request sends it, and nobody "
                    "can read it in a flow."
                ),
                "fp-s13 fp-t2",
            )
            return
        with ui.element("div").classes("fp-col"):
            _tell(secrets if may else (), hosts_found=hosts_found and may, looked=looked)
        with ui.element("ul").classes("fp-models"):
            for row in secrets:
                with ui.element("li"):
                    icon("key", size=16)
                    with ui.element("div").classes("fp-secret"):
                        words(row.name, "fp-b fp-s13 fp-wrap-text", tag="p")
                        if row.id in unreadable:
                            unreadable_badge()
                        words(hosts_in_words(row), "fp-s12 fp-t2 fp-wrap-text", tag="p")
                    words(_("set {updated_at}").format(updated_at=times.ago(row.updated_at)), "fp-s12 fp-t3 fp-nw")
                    if may:
                        for verb, act in ((_("Hosts"), change_hosts), (_("Replace"), replace), (_("Remove"), remove)):
                            press = button(verb, lambda act=act, row=row: act(row), kind="link", small=True)
                            press.props["aria-label"] = f"{verb} {row.name}"


def _tell(secrets: Sequence[SecretRow], *, hosts_found: bool, looked: Callable[[], Awaitable[None]]) -> None:
    """Draws the notes about hosts that the owner should check."""
    if hosts_found:
        with note(
            _(
                "A secret now goes only to hosts that it names. The upgrade took them from the flows that use it; "
                "please look whether they are right."
            ),
            icon="info",
        ):
            button(_("They are right"), looked, small=True)
    if any(row.hosts is None for row in secrets):
        note(
            _(
                "Whoever can change the address in a step can have such a secret sent to themselves. Name the "
                "servers it may go to. Until then it goes on as before, so that live APIs keep working."
            ),
            kind="warn",
            icon="warning",
        )


def hosts_in_words(row: SecretRow) -> str:
    """Returns the hosts of a secret as text."""
    if row.hosts is None:
        return _("any host (set before hosts were named)")
    return ", ".join(row.hosts) or _("no host yet: no step can send it")


async def ask_hosts(page_session: PageSession, row: SecretRow) -> bool:
    """Asks for the hosts to which a secret may be sent. Returns True when they are stored."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Hosts of {name}").format(name=row.name)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("Steps of every flow in this workspace may send it there."), tag="p")
        with ui.element("div").classes("fp-form"):
            field, area = hosts_field("\n".join(row.hosts or ()))

        async def save() -> None:
            try:
                await page_session.execute(set_secret_hosts, row.id, area.value or "", began=row)
            except Refusal as refusal:
                field.error(" ".join(f"{part.rstrip('.')}." for part in (refusal.detail, refusal.remedy) if part))
                return
            dialog.submit(True)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Keep them"), save, kind="main")
    return bool(await answer_of(dialog))


def hosts_field(text: str) -> tuple[Field, ui.textarea]:
    """Draws the field for the hosts of a secret."""
    field = Field(_("Hosts"), "", _HOSTS_HELP)
    with field.place:
        area = field.control(ui.textarea(value=text).props("outlined dense autogrow spellcheck=false autocomplete=off"))
    return field, area


async def ask_secret(page_session: PageSession, row: SecretRow | None) -> bool:
    """Asks for a new secret or for another value of `row`. Returns True when it is stored."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Replace {name}").format(name=row.name) if row else _("A new secret")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("Kept sealed on this server; nobody can read it here again."), tag="p")
        with ui.element("div").classes("fp-form"):
            named = Field(_("Name"))
            with named.place:
                name = named.control(ui.input(value=row.name if row else "").props("outlined dense maxlength=100"))
            named.visible = row is None
            valued = Field(_("Value"))
            with valued.place:
                value = valued.control(ui.input(password=True).props("outlined dense autocomplete=new-password"))
            hosted, hosts = hosts_field("")
            hosted.visible = row is None

        async def save() -> None:
            vault = page_session.app.vault
            try:
                if row is None:
                    await page_session.execute(
                        add_secret, vault, name.value or "", value.value or "", hosts.value or ""
                    )
                else:
                    await page_session.execute(replace_secret, vault, row.id, value.value or "")
            except Refusal as refusal:
                wrong = {error.pointer: error.detail for error in refusal.errors}
                named.error(wrong.get("/name", ""))
                hosted.error(wrong.get("/hosts", ""))
                valued.error("" if {"/name", "/hosts"} & set(wrong) else f"{refusal.detail}. {refusal.remedy}")
                return
            value.value = ""
            dialog.submit(True)

        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            button(_("Keep it"), save, kind="main")
    return bool(await answer_of(dialog))
