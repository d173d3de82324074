"""The form of a model connection: its fields follow the provider (`engine/providers.py`). The key is written, never read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypedDict

from nicegui import ui

from engine.actions.connections import add_connection, change_connection
from engine.errors import Refusal
from engine.providers import (
    AZURE_API_VERSION,
    PROVIDERS,
    USUAL_CONCURRENCY,
    USUAL_LOCAL_CONCURRENCY,
    Provider,
)
from storage.connections import ConnectionRow
from ui.forms.form import Field
from ui.look.parts import button, link, words
from ui.look.text import _
from ui.visit import Visit


class Written(TypedDict):
    """What stands in the boxes, as text."""

    base_url: str
    api_version: str
    named_models: str
    max_concurrency: str


class ConnectionForm:
    """Adds a connection, or changes `row`. `on_made` gets its name."""

    def __init__(
        self,
        here: Visit,
        on_made: Callable[[str], Awaitable[None]],
        on_cancel: Callable[[], None],
        *,
        row: ConnectionRow | None = None,
    ) -> None:
        self.here = here
        self.on_made = on_made
        self.row = row
        self.boxes: dict[str, ui.input | ui.textarea] = {}
        self.fields: dict[str, Field] = {}
        with ui.element("div").classes("fp-form fp-narrow"):
            self._draw_provider()
            self._draw_name()
            self.rest = ui.element("div").classes("fp-form")
            with self.rest:
                self._draw_rest()
            with ui.element("div").classes("fp-row"):
                button(_("Save and test"), self._save, kind="main")
                button(_("Cancel"), on_cancel, kind="quiet")

    @property
    def kind(self) -> Provider:
        """The provider that is chosen."""
        return PROVIDERS[str(self.provider.value)]

    def _draw_provider(self) -> None:
        field = self.fields["/provider"] = Field(_("Provider"))
        with field.place:
            titles = {name: provider.title for name, provider in PROVIDERS.items()}
            first = self.row.provider if self.row else next(iter(PROVIDERS))
            self.provider = field.control(ui.select(titles, value=first)).props("outlined dense options-dense")
            if self.row is not None:
                self.provider.props("readonly")
        self.provider.on_value_change(self._follow)

    def _draw_name(self) -> None:
        field = self.fields["/name"] = Field(
            _("Name"), help_text=_("A Prompt names its model with it, like `openai:gpt-4.1-mini`.")
        )
        with field.place:
            said = self.row.name if self.row else _first_name(self.kind)
            self.name = field.control(ui.input(value=said).props("outlined dense maxlength=63 autocomplete=off"))
            if self.row is not None:
                self.name.props("readonly")

    def _follow(self) -> None:
        """Another provider: other hints; what was written stays."""
        kept = {name: box.value for name, box in self.boxes.items()}
        if self.name.value in {"", *(_first_name(provider) for provider in PROVIDERS.values())}:
            self.name.value = _first_name(self.kind)
        self.rest.clear()
        with self.rest:
            self._draw_rest()
        for name, value in kept.items():
            if name in self.boxes:
                self.boxes[name].value = value

    def _draw_rest(self) -> None:
        kind, row = self.kind, self.row
        self.boxes.clear()
        self._text_box(
            "base_url",
            Field(_("Base URL"), "" if kind.needs_address else _("optional"), _address_help(kind)),
            row.base_url or "" if row else "",
            placeholder=kind.address_hint or kind.address,
        )
        self._draw_key()
        if kind.wire == "azure":
            self._text_box(
                "api_version",
                Field(
                    _("API version"),
                    _("optional"),
                    _("A date as Azure lists them, or `v1` for the address without dates."),
                ),
                row.api_version or "" if row else "",
                placeholder=AZURE_API_VERSION,
            )
        named = _("Deployments") if kind.wire == "azure" else _("More models")
        told = (
            _("Azure does not list what you deployed: name each deployment, one a line.")
            if kind.wire == "azure"
            else _("Models that the provider's list leaves out, one a line.")
        )
        field = self.fields["/named_models"] = Field(named, "" if kind.wire == "azure" else _("optional"), told)
        with field.place:
            text = "\n".join(row.named_models) if row else ""
            box = ui.textarea(value=text, placeholder=kind.model_hint).props("outlined dense rows=2 autogrow")
            self.boxes["named_models"] = field.control(box.props("spellcheck=false"))
        usual = USUAL_CONCURRENCY if kind.needs_key else USUAL_LOCAL_CONCURRENCY
        self._text_box(
            "max_concurrency",
            Field(
                _("Calls at once"), _("optional"), _("Further calls wait for their turn. It counts for each worker.")
            ),
            str(row.max_concurrency or "") if row else "",
            placeholder=str(usual),
        ).props("inputmode=numeric")

    def _draw_key(self) -> None:
        kept = self.row is not None and self.row.has_key
        told = (
            _("A key is stored. Leave this empty to keep it.")
            if kept
            else _("Kept sealed on this server; nobody can read it here again.")
        )
        field = self.fields["/key"] = Field(_("Key"), "" if self.kind.needs_key else _("optional"), told)
        with field.place:
            box = ui.input(password=True).props("outlined dense autocomplete=new-password")
            self.boxes["key"] = field.control(box)
        if self.kind.key_page:
            with field, ui.element("p").classes("fp-hint fp-row"):
                words(_("Keys are made at"))
                link(self.kind.key_page, self.kind.key_page, new_tab=True)

    def _text_box(self, name: str, field: Field, value: str, *, placeholder: str) -> ui.input:
        self.fields[f"/{name}"] = field
        with field.place:
            box = ui.input(value=value, placeholder=placeholder).props(
                "outlined dense autocomplete=off spellcheck=false"
            )
            self.boxes[name] = field.control(box)
        return box

    async def _save(self) -> None:
        for field in self.fields.values():
            field.error("")
        written = {name: (box.value or "").strip() for name, box in self.boxes.items()}
        at_once = written["max_concurrency"]
        if at_once and not at_once.isdecimal():
            self.fields["/max_concurrency"].error(_("Write a whole number, or leave it empty."))
            return
        settings = {
            "base_url": written["base_url"],
            "api_version": written.get("api_version"),
            "named_models": written["named_models"].split("\n"),
            "max_concurrency": int(at_once) if at_once else None,
        }
        name = self.row.name if self.row else (self.name.value or "").strip()
        vault, key = self.here.app.vault, written["key"] or None
        try:
            if self.row is None:
                await self.here.do(add_connection, vault, name, self.kind.name, key=key, **settings)
            else:
                await self.here.do(change_connection, vault, name, key=key, **settings)
        except Refusal as refusal:
            self._show(refusal)
            return
        self.boxes["key"].value = ""
        await self.on_made(name)

    def _show(self, refusal: Refusal) -> None:
        named = self.fields["/name"]
        if not refusal.errors:
            named.error(f"{refusal.detail or refusal.title}. {refusal.remedy}")
        for error in refusal.errors:
            self.fields.get(error.pointer, named).error(error.detail[:1].upper() + error.detail[1:])


def _first_name(provider: Provider) -> str:
    return {"azure_openai": "azure", "openai_compatible": "local"}.get(provider.name, provider.name)


def _address_help(provider: Provider) -> str:
    allowed = _("It is allowed for model calls.")
    if provider.needs_address:
        return f"{_('Where it is reached, like')} `{provider.address_hint}`. {allowed}"
    if provider.needs_key:
        return f"{_('Only for another server than')} `{provider.address}`. {allowed}"
    return f"{_('Only when it is not at')} `{provider.address}`. {allowed}"
