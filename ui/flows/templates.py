"""Templates: flows from `assets/templates/`, each with samples that run at once against the practice site."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct
from nicegui import ui
from starlette.requests import Request

from engine.actions.datasets import bring_samples
from engine.actions.flows import create_flow
from engine.actions.knowledge import bring_documents
from engine.core.paths import ASSETS
from engine.flow.document import Document
from engine.flow.flow_file import FlowFile, parse_flow_file
from engine.flow.goals import all_goals
from engine.flow.graph import Graph
from engine.knowledge.samples import sample_documents
from engine.nodes import CATALOG, known_datasets
from engine.outbound.practice_site import PRACTICE_HOST
from engine.table_files.samples import sample_tables
from storage.connections import list_connections
from ui.kit.finding import Said, best
from ui.kit.not_yet import nearest_not_yet
from ui.kit.parts import card, icon, link_button, note, tile, words
from ui.kit.search import Hit
from ui.kit.text import _, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import not_twice, opened
from ui.parts.ask_owners import asking
from ui.parts.model_wanted import ModelWanted, model_button

FOLDER = ASSETS / "templates"
#: The templates for beginners; the first-run page shows them too.
FIRST = ("page-to-clean-text", "facts-from-a-page", "summarise-a-text", "website-analyzer")
#: Purpose -> file names, in the order on screen. A template that is not named here stands below “Keep data” when it uses a
#: dataset, else below “More”.
SHELVES = {
    _("Read the web"): (
        "page-to-clean-text",
        "summarise-a-page",
        "page-mentions-a-word",
        "links-of-a-page",
        "check-links",
        "map-a-website",
        "contact-details",
        "page-note",
        "fetch-from-a-service",
    ),
    _("Ask a model about a page"): (
        "facts-from-a-page",
        "details-from-a-page",
        "pick-from-a-page",
        "prices-of-pages",
        "compare-two-pages",
        "summarise-pages",
        "report-about-pages",
    ),
    _("Ask a model about a text"): (
        "summarise-a-text",
        "translate-a-text",
        "sort-a-text",
        "list-from-a-text",
        "details-from-a-text",
        "score-a-text",
        "compare-two-texts",
        "answer-from-your-text",
    ),
    _("Read files"): (
        "text-of-a-file",
        "table-of-a-file",
        "read-an-invoice",
        "sort-invoices",
        "summarise-a-document",
        "describe-a-picture",
        "describe-pictures",
    ),
    _("Let a model work with tools"): ("assistant-that-looks-things-up",),
    _("Write"): ("write-a-text", "reply-to-a-message", "ask-before-sending", "rewrite-a-text", "fill-a-letter"),
    _("Answer from your documents"): ("answer-from-documents", "keep-pages"),
    _("Whole websites"): ("website-analyzer", "deep-analysis"),
    _("Work on lists"): (
        "count-reviews",
        "classify-a-list",
        "translate-a-list",
        "filter-a-list",
        "cheapest-of-a-list",
        "find-one-row",
        "add-up-rows",
    ),
    _("Decide and shape"): ("answer-by-word", "answer-by-kind", "find-in-a-text", "order-from-a-text"),
}
_DATA, _MORE, _ALL = _("Keep data"), _("More"), _("All of them")
#: Columns of steps that fit into a card at their usual size.
_MAX_LARGE = 5
#: Words by which people search for flows that run at set times.
_AT_TIMES = (
    "every week, weekly, every day, daily, every morning, every monday, every month, monthly, every hour, regularly, "
    "schedule, scheduled, automatic, at set times"
)
#: Words by which people search for pages to try something with.
_PRACTICE = "practice shop, practice site, practice pages, example pages, bakery"


class Template(Struct, frozen=True):
    """A flow file by name.

    `kinds`: (group, icon) of its nodes in order; `columns`: the same as they are drawn, those that run side by side in
    one column; `simulated`: one of its nodes uses the Simulated model.
    """

    name: str
    file: FlowFile
    kinds: tuple[tuple[str, str], ...]
    columns: tuple[tuple[tuple[str, str], ...], ...]
    simulated: bool
    keeps_data: bool = False
    #: A sample of it reads pages of the practice site.
    practices: bool = False

    @property
    def said(self) -> Said:
        """What the search looks in: the texts of the template and of its nodes."""
        nodes = self.file.document.nodes
        titles = [CATALOG[node.type].title for node in nodes if node.type in CATALOG]
        labels = [node.label for node in nodes]
        return Said(self.file.title, " ".join([self.file.description, *titles, *labels]), self.synonyms)

    @property
    def synonyms(self) -> str:
        """Further words for a template that is made to start by itself, or that reads the practice site."""
        timed = any(goal.timed and goal.template == self.name for goal in all_goals().goals)
        return ", ".join([*([_AT_TIMES] if timed else []), *([_PRACTICE] if self.practices else [])])


@cache
def all_templates() -> tuple[Template, ...]:
    """Returns every template whose node types this server has."""
    found = [_read(path) for path in sorted(FOLDER.glob("*.json"))]
    usable = [one for one in found if all(node.type in CATALOG for node in one.file.document.nodes)]
    return tuple(sorted(usable, key=lambda one: (FIRST.index(one.name) if one.name in FIRST else 99, one.file.title)))


def find_template(name: str) -> Template:
    """Returns the template of this name. Raises StopIteration when there is none; tests hold that goals name real ones."""
    return next(one for one in all_templates() if one.name == name)


def shelves(templates: Sequence[Template]) -> list[tuple[str, list[Template]]]:
    """Groups the templates by purpose; groups without templates are left out."""
    by_name = {one.name: one for one in templates}
    found = [(title, [by_name[name] for name in names if name in by_name]) for title, names in SHELVES.items()]
    named = {name for names in SHELVES.values() for name in names}
    rest = [one for one in templates if one.name not in named]
    found += [
        (_DATA, [one for one in rest if one.keeps_data]),
        (_MORE, [one for one in rest if not one.keeps_data]),
    ]
    return [(title, shelf) for title, shelf in found if shelf]


def matching(
    templates: Sequence[Template], words_: str, shelf: str, *, no_key: bool
) -> list[tuple[str, list[Template]]]:
    """Filters the groups: templates that the words find, in this group ("" for any) and, if asked, without a model.

    The best match stands first: groups and their templates are in the order of what was found.
    """
    found = best([(one, one.said) for one in templates], words_)
    fits = [one for one in found if not (no_key and one.simulated)]
    if not words_.strip():
        return [(title, shown) for title, shown in shelves(fits) if shelf in ("", title)]
    place = {one.name: at for at, one in enumerate(fits)}
    ranked = [(title, sorted(shown, key=lambda one: place[one.name])) for title, shown in shelves(fits)]
    ranked.sort(key=lambda one: place[one[1][0].name])
    return [(title, shown) for title, shown in ranked if shelf in ("", title)]


def _read(path: Path) -> Template:
    file, problems = parse_flow_file(path.read_bytes(), fallback_title=path.stem)
    if file is None:
        raise ValueError(f"{path.name}: {problems}")
    nodes = {node.id: node for node in file.document.nodes}
    ordered = [nodes[node_id] for node_id in Graph(file.document).order]
    kinds = [CATALOG[node.type] for node in ordered if node.type in CATALOG]
    return Template(
        path.stem,
        file,
        tuple((kind.group, kind.icon) for kind in kinds),
        _columns(file.document),
        any(node.config.get("model") == "simulated" for node in ordered),
        any(node.type in known_datasets.TYPES for node in ordered),
        any(PRACTICE_HOST in str(node.config.get("samples", "")) for node in ordered),
    )


def _columns(document: Document) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The steps by their distance from the beginning: the branches of a flow come to stand below each other."""
    types = {node.id: node.type for node in document.nodes}
    graph = Graph(document)
    columns: dict[str, int] = {}
    for node_id in graph.order:
        before = [columns[edge.source] for edge in graph.edges if edge.target == node_id and edge.source in columns]
        columns[node_id] = 1 + max(before, default=-1)
    found: list[list[tuple[str, str]]] = [[] for _at in range(max(columns.values(), default=-1) + 1)]
    for node_id, at in columns.items():
        if (kind := CATALOG.get(types[node_id])) is not None:
            found[at].append((kind.group, kind.icon))
    return tuple(tuple(column) for column in found if column)


@cache
def as_hits() -> tuple[Hit, ...]:
    """Returns what the search of the frame finds of the templates."""
    return tuple(
        Hit(
            one.file.title,
            f"/templates?q={quote(one.file.title)}",
            one.file.description,
            symbol="dashboard",
            synonyms=one.synonyms,
        )
        for one in all_templates()
    )


def register(app: App) -> None:
    """Registers `/templates`."""

    @page_at("/templates")
    async def open_templates(request: Request) -> None:
        page_session = await open_page_session(app, request)
        connections = await page_session.query(list_connections)
        wanted = ModelWanted(page_session, _("the templates that ask a model"), on_connected=_model_connected)
        await wanted.load()
        may_edit = page_session.may("edit flows")
        sub = _("Ready-made flows with a sample filled in. Run one, then change it.")
        if not may_edit:
            sub = asking(page_session, _("Ready-made flows. Editors and owners begin with one."))
        with opened(page_session, _("Templates"), active="templates", sub=sub) as page:
            if may_edit:
                with page.actions:
                    link_button(_("Empty canvas"), "/playground/new", icon="add")
            if not connections:
                with card(_("Some templates ask a model")), ui.element("div").classes("fp-col"):
                    words(
                        _("Until one is connected the Simulated model answers them, with made-up text that says so."),
                        "fp-s13 fp-t2",
                        tag="p",
                    )
                    wanted.draw(connections)
            _Gallery(page_session, request.query_params.get("q", "")[:200]).draw()


class _Gallery:
    """The groups, with a search box and two filters above them."""

    def __init__(self, page_session: PageSession, sought: str) -> None:
        self.page_session = page_session
        self.words = sought
        self.shelf = ""
        self.no_key = False

    def draw(self) -> None:
        """Draws the gallery in the current slot."""
        every = [title for title, _found in shelves(all_templates())]
        with ui.element("div").classes("fp-row fp-gallery-bar"):
            search = ui.input(placeholder=_("Find a template"), value=self.words).props(
                "outlined dense clearable type=search"
            )
            search.props["aria-label"] = _("Find a template")
            search.on_value_change(lambda event: self._narrow(words_=str(event.value or "")))
            chosen = ui.select([_ALL, *every], value=_ALL).props("outlined dense options-dense")
            chosen.props["aria-label"] = _("What it does")
            chosen.on_value_change(lambda event: self._narrow(shelf="" if event.value == _ALL else str(event.value)))
            switch = ui.switch(_("No model needed")).props("dense")
            switch.on_value_change(lambda event: self._narrow(no_key=bool(event.value)))
        self.said = words("", "fp-hide").props("role=status")
        self.place = ui.element("div")
        self._fill()

    def _draw_nothing(self) -> None:
        missing = nearest_not_yet(self.words)
        if missing is not None:
            words(f"{missing.title} {missing.instead}", "fp-t2", tag="p")
        else:
            words(_("No template is about this. Take a word away, or begin with an empty canvas."), "fp-t2", tag="p")

    def _narrow(self, *, words_: str | None = None, shelf: str | None = None, no_key: bool | None = None) -> None:
        self.words = self.words if words_ is None else words_
        self.shelf = self.shelf if shelf is None else shelf
        self.no_key = self.no_key if no_key is None else no_key
        self._fill()

    def _fill(self) -> None:
        found = matching(all_templates(), self.words, self.shelf, no_key=self.no_key)
        count = sum(len(shelf) for _title, shelf in found)
        self.said.text = plural(count, _("template"), _("templates"))
        self.place.clear()
        with self.place:
            if not found:
                self._draw_nothing()
            for title, shelf in found:
                words(title, "fp-shelf", tag="h2")
                with ui.element("div").classes("fp-cards"):
                    for template in shelf:
                        template_card(self.page_session, template, heading="h3")


def simulated_note(page_session: PageSession) -> None:
    """Draws a note that models are simulated while no connection exists, with a link to add one."""
    with note(
        _("answers with made-up text, so you can try a flow before you have a key. Every such result says so."),
        kind="sim",
        icon="science",
        strong=_("The Simulated model"),
    ):
        model_button(page_session, _("the first flows"))


async def _model_connected(name: str) -> None:
    ui.navigate.to("/settings/models")


def template_card(page_session: PageSession, template: Template, *, heading: str) -> None:
    """Draws a card; a click anywhere on it uses the template."""
    with ui.element("article").classes("fp-card fp-template"):
        template_sketch(template)
        with ui.element("div").classes("fp-template-text"):
            words(template.file.title, tag=heading)
            words(template.file.description, "fp-s13 fp-t2", tag="p")
            words("", "fp-sp")
            with ui.element("div").classes("fp-row fp-s12"):
                if template.simulated:
                    icon("science", "fp-sim", size=14)
                    words(_("Needs a model, or simulated"), "fp-sim")
                else:
                    icon("check", "fp-ok", size=14)
                    words(_("No key needed"), "fp-ok")
                words("", "fp-sp")
                words(plural(len(template.kinds), _("step"), _("steps")), "fp-t3 fp-nw")
            if page_session.may("edit flows"):
                use = ui.button(
                    _("Use this template"),
                    icon="sym_o_arrow_forward",
                    color=None,
                    on_click=not_twice(lambda: use_template(page_session, template)),
                )
                use.props("outline no-caps :ripple=false").classes("fp-use")
                use.props["aria-label"] = _("Use this template: {title}").format(title=template.file.title)


def template_sketch(template: Template) -> None:
    """Draws the steps of a template as a row of icons, and its branches below each other."""
    many = len(template.columns) > _MAX_LARGE or max(map(len, template.columns), default=0) > 2
    with ui.element("div").classes("fp-sketch").classes("fp-sketch--many" if many else "").props("aria-hidden=true"):
        width = 1
        for number, column in enumerate(template.columns):
            if number:
                _draw_lines(width, len(column))
            with ui.element("span").classes("fp-sketch-column"):
                for group, symbol in column:
                    tile(group, symbol, small=True)
            width = len(column)


def _draw_lines(before: int, after: int) -> None:
    """Draws the lines between two columns of this many steps: one for each branch, which begin or end at one step."""
    parts = max(before, after)
    with ui.element("span").classes("fp-sketch-lines") as lines:
        if parts > 1:
            lines.classes("fp-sketch-lines--split").style(f"--fp-parts: {parts}")
        if min(before, after) == 1 < parts:
            lines.classes("fp-sketch-lines--fork" if before == 1 else "fp-sketch-lines--join")
        for _part in range(parts):
            ui.element("span").classes("fp-sketch-line")


async def use_template(page_session: PageSession, template: Template) -> bool:
    """Creates a draft from the template, with the datasets and documents it brings, and opens the draft in the Playground.
    Returns False when it was refused.
    """
    file = template.file
    if (samples := sample_tables(file.document)) and await page_session.try_execute(bring_samples, samples) is None:
        return False
    documents = sample_documents(file.document)
    if documents and await page_session.try_execute(bring_documents, documents) is None:
        return False
    flow_id = await page_session.try_execute(
        create_flow, file.title, file.document, file.description, template=template.name
    )
    if flow_id is not None:
        ui.navigate.to(f"/playground/{flow_id}")
    return flow_id is not None
