"""Templates: ready-made flows from `assets/templates/`, each with samples that run at once on the practice site."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nicegui import ui
from starlette.requests import Request

from engine.actions.flows import create_flow
from engine.flow.document import FlowFile, parse_flow_file
from engine.flow.graph import Graph
from engine.nodes import CATALOG
from ui.look.parts import icon, link_button, tile, words
from ui.look.text import _, plural
from ui.opened import opened
from ui.visit import App, Visit, visit

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "templates"
#: The order on screen; templates that are not named here follow by title.
_FIRST = ("page-to-clean-text", "page-note", "facts-from-a-page", "summarise-a-text")


@dataclass(frozen=True)
class Template:
    """A flow file by name. `kinds`: (group, icon) of its nodes in order; `simulated`: a model answers with made-up text."""

    name: str
    file: FlowFile
    kinds: tuple[tuple[str, str], ...]
    simulated: bool


@cache
def all_templates() -> tuple[Template, ...]:
    """Every template whose nodes this server knows."""
    found = [_read(path) for path in sorted(FOLDER.glob("*.json"))]
    usable = [one for one in found if all(node.type in CATALOG for node in one.file.document.nodes)]
    return tuple(sorted(usable, key=lambda one: (_FIRST.index(one.name) if one.name in _FIRST else 99, one.file.title)))


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
        any(node.config.get("model") == "simulated" for node in ordered),
    )


def register(app: App) -> None:
    """Registers `/templates`."""

    @ui.page("/templates", language="en-US")
    def open_templates(request: Request) -> None:
        here = visit(app, request)
        sub = _("Flows that run at once, offline, with samples filled in. Use one, then change it.")
        with opened(here, _("Templates"), active="templates", sub=sub) as page:
            if here.may("edit flows"):
                with page.actions:
                    link_button(_("Empty canvas"), "/playground", icon="add")
            with ui.element("div").classes("fp-cards"):
                for template in all_templates():
                    template_card(here, template, heading="h2")


def template_card(here: Visit, template: Template, *, heading: str) -> None:
    """A card; a press anywhere on it uses the template."""
    with ui.element("article").classes("fp-card fp-template"):
        with ui.element("div").classes("fp-sketch").props("aria-hidden=true"):
            for number, (group, symbol) in enumerate(template.kinds):
                if number:
                    ui.element("span").classes("fp-sketch-line")
                tile(group, symbol, small=True)
        with ui.element("div").classes("fp-template-text"):
            words(template.file.title, tag=heading)
            words(template.file.description, "fp-s13 fp-t2", tag="p")
            words("", "fp-sp")
            with ui.element("div").classes("fp-row fp-s12"):
                if template.simulated:
                    icon("science", "fp-sim", size=14)
                    words(_("Simulated model, or yours"), "fp-sim")
                else:
                    icon("check", "fp-ok", size=14)
                    words(_("No key needed"), "fp-ok")
                words("", "fp-sp")
                words(plural(len(template.kinds), _("step"), _("steps")), "fp-t3")
            if here.may("edit flows"):
                use = ui.button(
                    _("Use this template"),
                    icon="sym_o_arrow_forward",
                    color=None,
                    on_click=lambda: use_template(here, template),
                )
                use.props("outline no-caps :ripple=false").classes("fp-use")
                use.props["aria-label"] = f"{_('Use this template')}: {template.file.title}"
            else:
                words(_("Editors can use it."), "fp-s12 fp-t3")


async def use_template(here: Visit, template: Template) -> None:
    """Makes a draft from the template and opens it in the Playground."""
    file = template.file
    flow_id = await here.try_do(create_flow, file.title, file.document, file.description)
    if flow_id is not None:
        ui.navigate.to(f"/playground/{flow_id}")
