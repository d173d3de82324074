"""The frame of every page: navigation, search, theme, account menu and title.

    person = FramePerson(name="Mara Lindt", email="mara@example.com", role="owner", plan="Pro")
    with frame("Saved Flows", active="flows", person=person, sub="5 flows, 3 live.", search=find_flows) as page:
        with page.actions:
            button("New flow", make_one, icon="add", kind="main")
        ...                                   # the page's content

    frame(title, *, active, person, crumbs=(), sub=None, rail=False, h1=True, search=None)
        active   "start" | "playground" | "flows" | "templates" | "datasets" | "knowledge" | "jobs" | "waiting" | "monitoring" |
                 "settings"
        crumbs   ((text, path), ...) before the title; path None for plain text
        rail     56 px navigation and a page without padding that fills the window (Playground); its h1 is not visible
        h1       False when the page writes its own h1; the frame then draws no title
        search   (text) -> Sequence[Hit] or an awaitable of it: flows and templates, for Ctrl+K
    page.actions, page.badges                 slots to enter: buttons at the right, badges beside the title
    page.title("...")                         changes the h1, the last breadcrumb and the document's title
    Hit(title, path, note="")                 one search result
    show_waiting(3), show_failed(2)           change the numbers beside the entries Waiting and Jobs
    reader() -> Reader                        number format and time zone of the page's viewer (ui/kit/text.py)

Pages are decorated with `@page_at(path)`. Sign-out posts to `/sign-out`, so it needs no script. The theme is in the
cookie `fp_theme` (light, dark; without it the system's theme), which works without NiceGUI's session storage and is
read by plain pages too. The browser's time zone is in the cookie `fp_zone`, the number signs of its language in
`fp_signs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from weakref import WeakKeyDictionary

from msgspec import Struct
from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement

from engine.core.job_status import MAX_TOLD
from ui.kit.assets import asset_url
from ui.kit.feedback import toast_area
from ui.kit.parts import button, drop_menu, icon, icon_button, link, link_button, menu_item, words
from ui.kit.places import places_for
from ui.kit.roles import role_word
from ui.kit.search import Hit, Search, search_dialog
from ui.kit.text import ENGLISH, Reader, _, plural

__all__ = [
    "AREAS",
    "THEME_COOKIE",
    "Area",
    "FramePerson",
    "Hit",
    "PageFrame",
    "Search",
    "frame",
    "reader",
    "show_failed",
    "show_waiting",
]

Area = Literal[
    "start", "playground", "flows", "templates", "datasets", "knowledge", "jobs", "waiting", "monitoring", "settings"
]
Theme = Literal["light", "dark", "system"]
THEME_COOKIE = "fp_theme"

#: Area -> (label, icon, path), in the order of the navigation.
AREAS: dict[Area, tuple[str, str, str]] = {
    "start": (_("Start"), "lightbulb", "/start"),
    "playground": (_("Flow Playground"), "schema", "/playground"),
    "flows": (_("Saved Flows"), "folder_open", "/flows"),
    "templates": (_("Templates"), "dashboard", "/templates"),
    "datasets": (_("Datasets"), "table_rows", "/datasets"),
    "knowledge": (_("Knowledge"), "manage_search", "/knowledge"),
    "jobs": (_("Jobs"), "list_alt", "/jobs"),
    "waiting": (_("Waiting"), "how_to_reg", "/waiting"),
    "monitoring": (_("Monitoring"), "monitoring", "/monitoring"),
    "settings": (_("Settings"), "settings", "/settings"),
}

_SCRIPTS = ("page.js", "kept_focus.js", "kept_menu.js", "kept_press.js")
_HEAD = (
    f'<link rel="stylesheet" href="{asset_url("theme.css")}">'
    f'<link rel="preload" href="/assets/fonts/inter-latin.woff2" as="font" type="font/woff2" crossorigin>'
    + "".join(f'<script src="{asset_url(name)}"></script>' for name in _SCRIPTS)
)

#: Sets the dark background before Quasar starts; otherwise a dark page is white for a moment.
_DARK_AT_ONCE = "body:not(.body--light):not(.body--dark){background:#151618}"
_EARLY_PAINT: dict[Theme, str] = {
    "light": "",
    "dark": f"<style>{_DARK_AT_ONCE}</style>",
    "system": f"<style>@media (prefers-color-scheme: dark){{{_DARK_AT_ONCE}}}</style>",
}


class FramePerson(Struct, frozen=True):
    """The signed-in person as the frame shows them.

    `role` is owner, editor or viewer; `plan` is the plan's name (`Pro`); `asked` is the number of open notes to this
    owner; `waiting` is the number of questions that wait for a person; `failed` is the number of runs that failed and
    that the person has not seen in Jobs; `owners` names whom to ask for what the role may not do.
    """

    name: str
    email: str
    role: str = ""
    plan: str = ""
    asked: int = 0
    owners: str = ""
    waiting: int = 0
    failed: int = 0

    @property
    def initials(self) -> str:
        """`ML` for Mara Lindt; without a name the first letter of the e-mail address."""
        parts = self.name.split() or [self.email or "?"]
        return (parts[0][0] + (parts[-1][0] if len(parts) > 1 else "")).upper()


#: Where numbers that change stand on each open page: the entry, the place in it, and whether in the narrow navigation.
_places: WeakKeyDictionary[Client, list[tuple[Area, ui.element, ui.element, bool]]] = WeakKeyDictionary()


class PageFrame:
    """The parts of the frame that a page can change after it is drawn."""

    def __init__(
        self,
        heading: TextElement | None,
        badges: ui.element,
        actions: ui.element,
        crumb: TextElement | None = None,
        sub: TextElement | None = None,
    ) -> None:
        self._heading = heading
        self._crumb = crumb
        self._sub = sub
        self.badges = badges
        self.actions = actions

    def title(self, text: str) -> None:
        """Changes the h1, the last breadcrumb and the document's title."""
        for place in (self._heading, self._crumb):
            if place is not None:
                place.text = text
        ui.page_title(_document_title(text))

    def sub(self, text: str) -> None:
        """Changes the sentence under the h1 of a page that was drawn with one; an empty text hides it."""
        if self._sub is not None:
            self._sub.text = text
            self._sub.visible = bool(text)


def reader() -> Reader:
    """Returns the number format and time zone of the page's viewer."""
    request = ui.context.client.request
    return Reader.of(request.cookies) if request is not None else ENGLISH


@contextmanager
def frame(
    title: str,
    *,
    active: Area,
    person: FramePerson,
    crumbs: Sequence[tuple[str, str | None]] = (),
    sub: str | None = None,
    rail: bool = False,
    h1: bool = True,
    search: Search | None = None,
) -> Iterator[PageFrame]:
    """Draws the frame and enters the slot of the page's content (see the module's docstring)."""
    theme = _chosen_theme()
    ui.page_title(_document_title(title))
    ui.add_head_html(_HEAD + _EARLY_PAINT[theme])
    dark = ui.dark_mode({"light": False, "dark": True, "system": None}[theme])
    areas = [Hit(word, path, symbol=symbol) for word, symbol, path in AREAS.values()]
    open_search = search_dialog(search, areas, places_for(person.role, person.owners))
    client = ui.context.client
    client.layout.classes("fp-app fp-app--rail" if rail else "fp-app")
    client.page_container.classes("fp-page")
    main = client.page_container.default_slot.children[0].props("tabindex=-1")  # NiceGUI's own <main>
    with client.layout:
        _bars(active, person, dark, open_search, rail=rail, main_id=main.html_id)
    words("", "fp-hide").props("id=fp-said role=status")  # page.js announces "Copied" here
    toast_area()
    if rail:
        heading = words(title, "fp-hide", tag="h1") if h1 else None
        aside = ui.element("div")
        aside.visible = False
        yield PageFrame(heading, aside, aside)
    else:
        with ui.element("div").classes("fp-wrap"):
            yield _head(title, crumbs, sub) if h1 else PageFrame(None, ui.element("div"), ui.element("div"))


def _bars(
    active: Area,
    person: FramePerson,
    dark: ui.dark_mode,
    open_search: Callable[..., Any],
    *,
    rail: bool,
    main_id: str,
) -> None:
    """Draws what precedes the page's content: the skip link, the top bar of small screens and the navigation."""
    layout = ui.context.client.layout
    with ui.dialog().props("position=left full-height") as menu:
        menu.props["aria-label"] = _("Menu")
        card = ui.card().classes("fp-menu-card")

    def open_menu() -> None:
        """Draws the menu when it is first opened, because large screens never show it."""
        if not card.default_slot.children:
            with card:
                _navigation(active, person, dark, open_search, rail=False, name=_("Menu"))
        menu.open()

    link(_("Skip to the content"), f"#{main_id}", "fp-skip").move(layout, 0)
    with ui.element("header").classes("fp-mtop fp-mob") as bar:
        icon_button("menu", _("Menu"), open_menu, tip=False)
        with ui.element("span").classes("fp-brand"):
            _mark()
            words("Flowport")
        words("", "fp-sp")
        icon_button("search", _("Search"), open_search, tip=False).props("data-fp-search")
    bar.move(layout, 1)
    _navigation(active, person, dark, open_search, rail=rail, name=_("Main"), classes="fp-desk").move(layout, 2)


def _document_title(title: str) -> str:
    return f"{title} - Flowport" if title else "Flowport"


def _chosen_theme() -> Theme:
    request = ui.context.client.request
    chosen = request.cookies.get(THEME_COOKIE) if request is not None else None
    return "light" if chosen == "light" else "dark" if chosen == "dark" else "system"


def _head(title: str, crumbs: Sequence[tuple[str, str | None]], sub: str | None) -> PageFrame:
    crumb = None
    if crumbs:
        with ui.element("nav").classes("fp-crumb") as trail:
            trail.props["aria-label"] = _("Breadcrumbs")
            for text, path in crumbs:
                if path is None:
                    words(text)
                else:
                    link(text, path)
                icon("chevron_right", size=14)
            crumb = words(title, "fp-cut")
            crumb.props("aria-current=page")
    with ui.element("div").classes("fp-head"):
        with ui.element("div").classes("fp-titles"):
            with ui.element("div").classes("fp-named"):
                heading = words(title, tag="h1")
                badges = ui.element("div").classes("fp-row")
            below = None if sub is None else words(sub, "fp-sub", tag="p")
        actions = ui.element("div").classes("fp-acts")
    return PageFrame(heading, badges, actions, crumb, below)


def _navigation(
    active: Area,
    person: FramePerson,
    dark: ui.dark_mode,
    open_search: Callable[..., Any],
    *,
    rail: bool,
    name: str,
    classes: str = "",
) -> ui.element:
    with ui.element("nav").classes("fp-nav").classes(classes) as nav:
        nav.props["aria-label"] = name
        with link("", "/flows", "fp-brand") as home:
            home.props["aria-label"] = "Flowport"
            _mark()
            if not rail:
                words("Flowport")
        with ui.element("button").classes("fp-seek").props("type=button").on("click", open_search, []) as seek:
            seek.props("data-fp-search")
            icon("search", size=16)
            words(_("Search"), "fp-sp")
            words("Ctrl K", tag="kbd")
            if rail:
                seek.props["aria-label"] = _("Search")
                _tip(_("Search (Ctrl+K)"))
        for area, (word, symbol, path) in AREAS.items():
            with link("", path, "fp-on" if area == active else "") as entry:
                number = {"waiting": person.waiting, "jobs": person.failed}.get(area)
                icon(symbol, size=20)
                if rail:
                    entry.props["aria-label"] = word
                    _tip(word)
                else:
                    words(word)
                if area == "settings" and person.asked:
                    _count(person.asked, plural(person.asked, _("note to you"), _("notes to you")), rail=rail)
                if number is not None:
                    with ui.element("span").classes("fp-count-place") as place:
                        _number(area, number, rail=rail)
                    entry.props["href"] = _path(area, number)
                    _places.setdefault(ui.context.client, []).append((area, entry, place, rail))
            if area == active:
                entry.props("aria-current=page")
        words("", "fp-sp")
        _account(person, dark, rail=rail)
    return nav


def show_waiting(number: int) -> None:
    """Changes how many questions wait for a person, beside the entry Waiting of this page's navigation."""
    _show_number("waiting", number)


def show_failed(number: int) -> None:
    """Changes how many runs failed that the person has not seen, beside the entry Jobs, which leads to them."""
    _show_number("jobs", number)


def _show_number(area: Area, number: int) -> None:
    for one, entry, place, rail in _places.get(ui.context.client, ()):
        if one == area and not place.is_deleted:
            entry.props["href"] = _path(area, number)
            place.clear()
            with place:
                _number(area, number, rail=rail)


def _path(area: Area, number: int) -> str:
    """Where an entry with this number beside it leads."""
    path = AREAS[area][2]
    return f"{path}?status=failed" if area == "jobs" and number else path


def _number(area: Area, number: int, *, rail: bool) -> None:
    if not number:
        return
    if area == "waiting":
        _count(number, plural(number, _("question waits for a person"), _("questions wait for a person")), rail=rail)
        return
    said = plural(number, _("run failed since you last looked"), _("runs failed since you last looked"))
    if number > MAX_TOLD:
        said = _("More than {most} runs failed since you last looked").format(most=MAX_TOLD)
    _count(number, said, rail=rail).classes("fp-count--bad")


def _count(number: int, said: str, *, rail: bool) -> ui.element:
    """Draws a number beside an entry, with `said` for screen readers; the narrow navigation shows a dot."""
    shown = f"{MAX_TOLD}+" if number > MAX_TOLD else str(number)
    with words("" if rail else shown, "fp-count fp-count--dot" if rail else "fp-count") as count:
        count.props["title"] = said
        words(f", {said}" if not rail else said, "fp-hide")
    return count


def _tip(text: str) -> None:
    ui.tooltip(text).props('anchor="center right" self="center left" :offset="[8, 0]"')


def _account(person: FramePerson, dark: ui.dark_mode, *, rail: bool) -> None:
    with ui.element("div").classes("fp-who"):
        with ui.element("button").classes("fp-account").props("type=button aria-haspopup=dialog"):
            words(_("Account:"), "fp-hide")
            words(person.initials, "fp-ava").props("aria-hidden=true")
            if rail:
                words(person.name or person.email, "fp-hide")
            else:
                with ui.element("span").classes("fp-cut"):
                    words(person.name or person.email, "fp-b fp-cut", tag="div")
                    words(_standing(person), "fp-t3 fp-s12 fp-standing", tag="div")
            with ui.menu().props('anchor="top left" self="bottom left" :offset="[0, 6]" role=dialog') as menu:
                menu.props["aria-label"] = _("Account")
                with ui.element("div").classes("fp-person"):
                    words(person.name, "fp-b", tag="div")
                    words(person.email, "fp-t2", tag="div")
                    words(role_word(person.role), "fp-t3 fp-s12", tag="div")
                ui.separator()
                link_button(_("Your account"), "/settings/account", icon="manage_accounts", kind="quiet").props(
                    "align=left"
                ).classes("w-full")
                with ui.element("div"):
                    link_button(_("Docs"), "/docs", icon="help", kind="quiet", new_tab=True).props("align=left")
                # A plain form works even when the page has lost its socket.
                with ui.element("form").classes("fp-plain-form").props("method=post action=/sign-out"):
                    button(_("Sign out"), icon="logout", kind="quiet").props("type=submit align=left").classes("w-full")
        place = 'anchor="top right" self="bottom right" :offset="[0, 6]"'
        with icon_button("contrast", _("Theme")).props("aria-haspopup=menu"), drop_menu(_("Theme"), place):
            choices: dict[Theme, tuple[str, str]] = {
                "light": (_("Light"), "light_mode"),
                "dark": (_("Dark"), "dark_mode"),
                "system": (_("As the system"), "contrast"),
            }
            for choice, (word, symbol) in choices.items():
                menu_item(word, lambda choice=choice: _set_theme(dark, choice), icon=symbol)


def _standing(person: FramePerson) -> str:
    """Returns the role and the plan: `Viewer, Free plan`."""
    plan = _("{plan} plan").format(plan=person.plan) if person.plan else ""
    return ", ".join(part for part in (role_word(person.role), plan) if part)


def _set_theme(dark: ui.dark_mode, choice: Theme) -> None:
    dark.value = {"light": False, "dark": True, "system": None}[choice]
    ui.run_javascript(f"window.fpTheme('{choice}')")  # the choice is one of three constants, so it needs no escaping


def _mark() -> None:
    """Draws the Flowport logo in the colours of the theme."""
    with ui.element("svg").props('viewBox="0 0 24 24" fill=none aria-hidden=true width=24 height=24'):
        ui.element("rect").props('width=24 height=24 rx=7 fill="var(--fp-accent)"')
        line = ui.element("path").props('stroke="var(--fp-on-accent)" stroke-width=2.1 stroke-linecap=round')
        line.props["d"] = "M7 16.5V10a2.5 2.5 0 0 1 2.5-2.5H13m-6 5h6"
        ui.element("circle").props('cx=16.3 cy=7.5 r=1.9 fill="var(--fp-on-accent)"')
        ui.element("circle").props('cx=16.3 cy=12.5 r=1.9 fill="var(--fp-on-accent)"')
