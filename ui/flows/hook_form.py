"""The form of an incoming webhook: which service calls, and which value of its call fills which field."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui

from engine.actions.hooks import MAX_TITLE, NewHook, add_hook, change_hook
from engine.core.errors import Refusal
from engine.flow.contract import input_fields
from engine.flow.document import Document
from engine.triggers.body_mapping import offers_of, path_words
from storage.hooks import HookRow, LastCall
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.parts import button, note, words
from ui.kit.text import _, type_word
from ui.page_session import PageSession
from ui.page_shell import not_twice

#: Preset -> (its name, what the service has to be able to do).
SERVICES = {
    "link": (
        _("Any service"),
        _("A secret in the address. For a form on a web page, and services that can only call an address."),
    ),
    "github": (_("GitHub"), _("GitHub signs its calls with a secret that you enter there.")),
    "stripe": (_("Stripe"), _("Stripe signs its calls with a secret that it shows you.")),
    "standard": (
        _("Standard Webhooks"),
        _("For services that sign as Standard Webhooks says, like Svix, Clerk or Resend."),
    ),
}
_AUTO, _ALL, _TEXT, _PATH, _NONE = "auto", "all", "text", "path", "none"


class HookForm:
    """Draws the form in the current slot. `on_done` gets the new webhook with its secret, or None."""

    def __init__(
        self,
        page_session: PageSession,
        flow_id: str,
        document: Document,
        *,
        hook: HookRow | None,
        last_call: LastCall | None,
        on_done: Callable[[NewHook | None, str], Awaitable[None]],
    ) -> None:
        self.page_session = page_session
        self.flow_id = flow_id
        self.fields = input_fields(document)
        self.hook = hook
        self.on_done = on_done
        self.last_call = last_call
        self.mapping: dict[str, dict[str, Any]] = {
            name: dict(source) for name, source in (hook.mapping if hook else {}).items()
        }
        self.preset = hook.preset if hook else "link"
        self._draw()

    def _draw(self) -> None:
        with ui.element("div").classes("fp-form fp-trigger-form"):
            if self.hook is None:
                service = Field(_("Which service calls?"))
                with service.place:
                    box = ui.select({name: one[0] for name, one in SERVICES.items()}, value=self.preset)
                    service.control(box.props("outlined dense options-dense").classes("w-full"))
                box.on_value_change(lambda event: self._set_preset(event.value))
                self.about = words("", "fp-hint", tag="p")
            title = Field(_("Name"), "", _("Shown in the list of jobs, for example “New issues”."))
            with title.place:
                named = ui.input(value=self.hook.title if self.hook else SERVICES[self.preset][0])
                self.title = title.control(named.props(f"outlined dense maxlength={MAX_TITLE} autocomplete=off"))
            self.title_field = title
            self.secret_place = ui.element("div")
            self.secret: ui.input | None = None
            if self.hook is None:
                self._draw_secret()
            words(_("What fills the fields of the flow"), "fp-b", tag="h3")
            self._draw_mapping()
            self.wrong = ui.element("div").props("role=alert")
            with ui.element("div").classes("fp-row fp-wrap-row"):
                button(_("Save the webhook"), not_twice(self._save), kind="main", icon="check")
                button(_("Cancel"), lambda: self.on_done(None, ""), kind="quiet")

    def _set_preset(self, preset: str) -> None:
        named = {one[0] for one in SERVICES.values()}
        if not self.title.value or self.title.value in named:
            self.title.value = SERVICES[preset][0]
        self.preset = preset
        self._draw_secret()

    def _draw_secret(self) -> None:
        self.about.text = SERVICES[self.preset][1]
        self.secret_place.clear()
        self.secret = None
        if self.preset == "link":
            return
        with self.secret_place:
            help_text = {
                "github": _("Leave it empty: a new secret is made, and you enter it at GitHub."),
                "stripe": _(
                    "Stripe shows it when you add the address there (it begins with `whsec_`). Leave it empty for now, and enter it with New secret when you have it."
                ),
                "standard": _(
                    "Enter the secret that the service shows you. Leave it empty when the service asks you for one."
                ),
            }[self.preset]
            field = Field(_("Secret"), _("optional"), help_text)
            with field.place:
                box = ui.input(value="", password=True, password_toggle_button=True)
                self.secret = field.control(box.props("outlined dense maxlength=500 autocomplete=off"))

    # What fills the fields.

    def _draw_mapping(self) -> None:
        if not self.fields:
            words(_("This flow takes no input."), "fp-t2", tag="p")
            return
        offers = []
        if self.last_call is not None:
            offers = offers_of(json.loads(self.last_call.body))
            words(_("Choose from the last call that came."), "fp-hint", tag="p")
        else:
            note(
                _("Save it and let the service send a test. Then press Change, and choose here from what came."),
                strong=_("No call has come yet."),
            )
        for one in self.fields:
            self._draw_field(one, offers)

    def _draw_field(self, one: Mapping[str, Any], offers: list[Any]) -> None:
        name = str(one.get("name"))
        need = f", {_('required')}" if one.get("required") else ""
        options: dict[str, str] = {_AUTO: _("The value called “{name}”").format(name=name)}
        options |= {_key(offer.path): f"{offer.label}   ({offer.sample})" for offer in offers}
        headers = sorted(self.last_call.headers) if self.last_call else []
        options |= {_ALL: _("All that was sent")}
        options |= {f"header {header}": _("Header {header}").format(header=header) for header in headers}
        options |= {_PATH: _("A value that I name myself"), _TEXT: _("Always the same text"), _NONE: _("Nothing")}
        source = self.mapping.get(name)
        chosen = _chosen(source)
        if source is not None and chosen not in options:
            options[chosen] = (
                path_words(source["path"])
                if source["from"] == "body"
                else _("Header {name}").format(name=source["name"])
            )
        field = Field(name, f"{type_word(one)}{need}", str(one.get("description") or ""))
        with field.place:
            box = ui.select(options, value=chosen, with_input=len(options) > 12)
            field.control(box.props("outlined dense options-dense").classes("w-full"))
        more = ui.element("div")
        box.on_value_change(lambda event: self._choose(name, str(event.value or _AUTO), more))
        self._draw_more(name, chosen, more)

    def _choose(self, name: str, chosen: str, more: ui.element) -> None:
        if chosen == _AUTO:
            self.mapping.pop(name, None)
        elif chosen in (_ALL, _NONE):
            self.mapping[name] = {"from": chosen}
        elif chosen == _TEXT:
            self.mapping[name] = {"from": "text", "text": ""}
        elif chosen == _PATH:
            self.mapping[name] = {"from": "body", "path": [name]}
        elif chosen.startswith("header "):
            self.mapping[name] = {"from": "header", "name": chosen.removeprefix("header ")}
        else:
            self.mapping[name] = {"from": "body", "path": json.loads(chosen)}
        self._draw_more(name, chosen, more)

    def _draw_more(self, name: str, chosen: str, more: ui.element) -> None:
        more.clear()
        source = self.mapping.get(name) or {}
        with more:
            if chosen == _TEXT:
                field = Field(_("Text"), unseen=True)
                with field.place:
                    box = field.control(ui.input(value=source.get("text", "")).props("outlined dense maxlength=2000"))
                box.on_value_change(lambda event: source.__setitem__("text", str(event.value or "")))
            elif chosen == _PATH:
                field = Field(_("Path"), "", _("Names with points between them, like `issue.title` or `items.0.name`."))
                with field.place:
                    box = field.control(
                        ui.input(value=".".join(map(str, source.get("path", [])))).props("outlined dense")
                    )
                box.on_value_change(lambda event: source.__setitem__("path", _path_of(str(event.value or ""))))

    # Saving.

    async def _save(self) -> None:
        self.wrong.clear()
        try:
            if self.hook is not None:
                await self.page_session.execute(
                    change_hook, self.hook.id, self.title.value or "", self.mapping, began=self.hook
                )
                made = None
            else:
                made = await self.page_session.execute(
                    add_hook,
                    self.page_session.app.vault,
                    self.flow_id,
                    self.title.value or "",
                    self.preset,
                    self.mapping,
                    (self.secret.value if self.secret is not None else "") or "",
                )
        except Refusal as refusal:
            with self.wrong:
                feedback.refusal_card(refusal)
            return
        await self.on_done(made, self.preset)


def _key(path: tuple[str | int, ...]) -> str:
    return json.dumps(list(path))


def _chosen(source: Mapping[str, Any] | None) -> str:
    """Returns the entry of the list that stands for a source."""
    if source is None:
        return _AUTO
    match source["from"]:
        case "body":
            return _key(tuple(source["path"]))
        case "header":
            return f"header {source['name']}"
    return str(source["from"])


def _path_of(text: str) -> list[str | int]:
    return [int(part) if part.isdecimal() and len(part) < 6 else part for part in text.strip().split(".") if part]
