"""The form of a model connection. Its fields depend on the provider; a stored key can be replaced but not read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypedDict

from nicegui import ui

from engine.actions.connections import add_connection, change_connection
from engine.core.errors import Refusal
from engine.models.provider_catalog import (
    AZURE_API_VERSION,
    PROVIDERS,
    USUAL_CONCURRENCY,
    USUAL_LOCAL_CONCURRENCY,
    Provider,
)
from storage.connections import ConnectionRow
from ui.forms.form import Field
from ui.kit.parts import button, link, words
from ui.kit.text import _
from ui.page_session import PageSession

#: The provider whose address and model a person was given.
_ANY_SERVER: Final = "openai_compatible"
_HAVE_ADDRESS: Final = _("I have an address")


class ConnectionFormText(TypedDict):
    """The content of the fields, as text."""

    base_url: str
    api_version: str
    named_models: str
    max_concurrency: str


class ConnectionForm:
    """Adds a connection or changes `row`. `on_made` gets its name. `opens_address`: calls of models may go to the address
    without an entry in the list of allowed ones.
    """

    def __init__(
        self,
        page_session: PageSession,
        on_made: Callable[[str], Awaitable[None]],
        on_cancel: Callable[[], None],
        *,
        opens_address: bool,
        row: ConnectionRow | None = None,
    ) -> None:
        self.page_session = page_session
        self.opens_address = opens_address
        self.on_made = on_made
        self.row = row
        self.boxes: dict[str, ui.input | ui.textarea] = {}
        self.fields: dict[str, Field] = {}
        with ui.element("div").classes("fp-form fp-narrow"):
            self.charges = words(
                _(
                    "This takes a key from the provider of the model, for which it charges. When you have none, ask "
                    "whoever looks after such accounts where you work. Until then everything works with made-up answers."
                ),
                "fp-s13 fp-t2",
                tag="p",
            )
            self._draw_provider()
            self._draw_name()
            self._draw_rest()
            self._tell()
            with ui.element("div").classes("fp-row"):
                button(_("Save and test"), self._save, kind="main")
                button(_("Cancel"), on_cancel, kind="quiet")

    @property
    def kind(self) -> Provider:
        """The selected provider."""
        return PROVIDERS[str(self.provider.value)]

    def _draw_provider(self) -> None:
        field = self.fields["/provider"] = Field(_("Provider"))
        with field.place:
            titles = {name: provider.title for name, provider in PROVIDERS.items()}
            own = _("{title} (your company's own, or any other server)").format(title=titles[_ANY_SERVER])
            titles |= {_ANY_SERVER: own}
            first = self.row.provider if self.row else next(iter(PROVIDERS))
            self.provider = field.control(ui.select(titles, value=first)).props("outlined dense options-dense")
            if self.row is not None:
                self.provider.props("readonly")
        self.provider.on_value_change(self._follow)
        with ui.element("div").classes("fp-row fp-wrap-row") as self.lead:
            words(
                _("Were you given an address, like {address}?").format(address=PROVIDERS[_ANY_SERVER].address_hint),
                "fp-s13",
            )
            button(_HAVE_ADDRESS, self._take_address, icon="link", small=True)

    def _draw_name(self) -> None:
        field = self.fields["/name"] = Field(
            _("Name"), help_text=_("A Prompt names its model with it, like `openai:gpt-4.1-mini`.")
        )
        with field.place:
            said = self.row.name if self.row else _first_name(self.kind)
            self.name = field.control(ui.input(value=said).props("outlined dense maxlength=63 autocomplete=off"))
            if self.row is not None:
                self.name.props("readonly")
        self.name.on_value_change(lambda: self._look_for_address(field, self.name))

    def _take_address(self) -> None:
        """Selects the provider whose address a person was given. One that was put into another field becomes the address."""
        self.provider.value = _ANY_SERVER
        address = self.boxes["base_url"]
        for box, instead in ((self.boxes["key"], ""), (self.name, _first_name(self.kind))):
            written = (box.value or "").strip()
            if _is_address(written):
                address.value, box.value = written, instead
        address.run_method("focus")

    def _look_for_address(self, field: Field, box: ui.input | ui.textarea) -> None:
        """Says where an address goes that stands in the field for something else."""
        where = (
            _("This is an address. Press “{button}” under the provider.").format(button=_HAVE_ADDRESS)
            if self.lead.visible
            else _("This is an address. It goes under “Base URL”.")
        )
        field.error(where if _is_address((box.value or "").strip()) else "")

    def _follow(self) -> None:
        """Updates labels and hints after another provider was selected. Typed values and the focus stay."""
        if self.name.value in {"", *(_first_name(provider) for provider in PROVIDERS.values())}:
            self.name.value = _first_name(self.kind)
        self._tell()
        for name, box in (("key", self.boxes["key"]), ("name", self.name)):
            self._look_for_address(self.fields[f"/{name}"], box)

    def _draw_rest(self) -> None:
        row = self.row
        self._text_box("base_url", row.base_url if row else None)
        self._draw_key()
        self._text_box("api_version", row.api_version if row else None)
        field = self.fields["/named_models"] = Field("")
        with field.place:
            box = ui.textarea(value="\n".join(row.named_models) if row else "").props("outlined dense rows=2 autogrow")
            self.boxes["named_models"] = field.control(box.props("spellcheck=false"))
        self._text_box("max_concurrency", str(row.max_concurrency or "") if row else None).props("inputmode=numeric")

    def _draw_key(self) -> None:
        field = self.fields["/key"] = Field("")
        with field.place:
            box = ui.input(password=True).props("outlined dense autocomplete=new-password")
            self.boxes["key"] = field.control(box)
        box.on_value_change(lambda: self._look_for_address(field, box))
        with field, ui.element("p").classes("fp-hint fp-row") as self.key_page:
            words(_("Keys are made at"))
            self.key_link = link("", "", new_tab=True)

    def _text_box(self, name: str, value: str | None) -> ui.input:
        field = self.fields[f"/{name}"] = Field("")
        with field.place:
            box = ui.input(value=value or "").props("outlined dense autocomplete=off spellcheck=false")
            self.boxes[name] = field.control(box)
        return box

    def _tell(self) -> None:
        """Sets labels, hints and visibility of the fields according to the provider."""
        kind, azure, optional = self.kind, self.kind.wire == "azure", _("optional")
        self.charges.visible = self.row is None and kind.needs_key
        self.lead.visible = self.row is None and not kind.needs_address
        self._say("base_url", _("Base URL"), "" if kind.needs_address else optional, self._address_help(kind))
        self._hint("base_url", kind.address_hint or kind.address)
        kept = self.row is not None and self.row.has_key
        told = (
            _(
                "A key is stored. Leave this empty to keep it; an address of another server, or one without https, drops it."
            )
            if kept
            else _("Kept sealed on this server; nobody can read it here again.")
        )
        self._say("key", _("Key"), "" if kind.needs_key else optional, told)
        self.key_page.visible = bool(kind.key_page)
        self.key_link.text = self.key_link.props["href"] = kind.key_page
        self.fields["/api_version"].visible = azure
        told = _("A date as Azure lists them, or `v1` for the address without dates.")
        self._say("api_version", _("API version"), optional, told)
        self._hint("api_version", AZURE_API_VERSION)
        if azure:
            told = _("Azure does not list what you deployed: name each deployment, one a line.")
            self._say("named_models", _("Deployments"), "", told)
        else:
            told = _("Models that the provider's list leaves out, one a line.")
            if kind.name == _ANY_SERVER:
                told = _(
                    "The name of the model that you were given, like `{model}`; several are written one a line. Leave it empty "
                    "to take what the server lists."
                ).format(model=kind.model_hint)
            self._say("named_models", _("More models"), optional, told)
        self._hint("named_models", kind.model_hint)
        told = _("Further calls wait for their turn. It counts for each worker.")
        self._say("max_concurrency", _("Calls at once"), optional, told)
        self._hint("max_concurrency", str(USUAL_CONCURRENCY if kind.needs_key else USUAL_LOCAL_CONCURRENCY))

    def _address_help(self, provider: Provider) -> str:
        allowed = (
            _("It is allowed for model calls.")
            if self.opens_address
            else _(
                "One inside a private network is refused until the owner of this server allows it under Settings, Server."
            )
        )
        if provider.needs_address:
            return _("Where it is reached, like `{address_hint}`. {allowed}").format(
                address_hint=provider.address_hint, allowed=allowed
            )
        if provider.needs_key:
            return _("Only for another server than `{address}`. {allowed}").format(
                address=provider.address, allowed=allowed
            )
        return _("Only when it is not at `{address}`. {allowed}").format(address=provider.address, allowed=allowed)

    def _say(self, name: str, label: str, type_text: str, help_text: str) -> None:
        self.fields[f"/{name}"].tell(label, type_text, help_text)
        self.fields[f"/{name}"].error("")

    def _hint(self, name: str, text: str) -> None:
        self.boxes[name].props["placeholder"] = text

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
            "api_version": written["api_version"] if self.kind.wire == "azure" else None,
            "named_models": written["named_models"].split("\n"),
            "max_concurrency": int(at_once) if at_once else None,
        }
        name = self.row.name if self.row else (self.name.value or "").strip()
        vault, key = self.page_session.app.vault, written["key"] or None
        try:
            if self.row is None:
                await self.page_session.execute(add_connection, vault, name, self.kind.name, key=key, **settings)
            else:
                await self.page_session.execute(change_connection, vault, name, key=key, began=self.row, **settings)
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


def _is_address(text: str) -> bool:
    return text.casefold().startswith(("http://", "https://"))


def _first_name(provider: Provider) -> str:
    return {"azure_openai": "azure", "openai_compatible": "local"}.get(provider.name, provider.name)
