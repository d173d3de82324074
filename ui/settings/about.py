"""Settings, About: versions and licences of Flowport and its packages, and the support file."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

from starlette.requests import Request

from engine.core.paths import PROJECT
from engine.core.version import VERSION, read_commit
from storage.support import database_version
from storage.workspaces import is_first_workspace
from ui.kit.feedback import fold
from ui.kit.parts import card, key_values, table, words
from ui.kit.text import _
from ui.page_session import App, open_page_session, page_at
from ui.settings.navigation import settings_page
from ui.settings.support import SupportCard

#: Fonts and scripts that are part of Flowport instead of a Python package.
_CARRIED = (
    ("Inter", "SIL Open Font License 1.1", "assets/fonts/inter-LICENSE.txt"),
    ("Material Symbols and Material Icons", "Apache License 2.0", "assets/fonts/material-LICENSE.txt"),
    ("Vue Flow and the parts of the canvas", "MIT", "assets/canvas/dist/licences.txt"),
)
#: The packages whose versions are needed first to answer a support request.
_TOLD = ("nicegui", "fastapi", "starlette", "uvicorn", "sqlalchemy", "huey", "pydantic", "httpx")


@cache
def flowport_version() -> str:
    """The version in `pyproject.toml`, with the commit of a git checkout: it may have later changes than the release."""
    commit = read_commit()
    return _("{version}, commit {commit}").format(version=VERSION, commit=commit) if commit else VERSION


@cache
def packages() -> tuple[tuple[str, str, str], ...]:
    """Returns (name, version, licence) of the installed packages, sorted by name."""
    found = {}
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if name:
            found[name.lower()] = (name, one.version, _licence(one.metadata))
    return tuple(found[name] for name in sorted(found))


def _licence(meta: metadata.PackageMetadata) -> str:
    said = _first(meta, "License-Expression")
    if not said:
        classifiers = [
            line.rpartition(" :: ")[2] for line in meta.get_all("Classifier") or [] if line.startswith("License ::")
        ]
        said = ", ".join(one for one in classifiers if one != "OSI Approved")
    if not said:
        said = _first(meta, "License").split("\n")[0][:60]
    return said or _("see the package")


def _first(meta: metadata.PackageMetadata, name: str) -> str:
    return str((meta.get_all(name) or [""])[0])


def register(app: App) -> None:
    """Registers `/settings/about`."""

    @page_at("/settings/about")
    async def open_about(request: Request) -> None:
        page_session = await open_page_session(app, request)
        runs_it = page_session.may("change the server") and await page_session.query(is_first_workspace)
        with settings_page(page_session, "about", _("Flowport runs on this server alone; it sends nothing home.")):
            database = await app.database.read(database_version)
            with card(_("Versions")):
                key_values(
                    [
                        ("Flowport", flowport_version()),
                        ("Python", platform.python_version()),
                        database,
                        ("NiceGUI", metadata.version("nicegui")),
                        (_("Data folder"), str(app.settings.data.resolve())),
                        (_("Address"), app.settings.base_url),
                    ]
                    if runs_it
                    else [("Flowport", flowport_version()), ("Python", platform.python_version())]
                )
            if runs_it:
                said = {name.lower(): version for name, version, _licence_text in packages()}
                SupportCard(
                    page_session, {"flowport": flowport_version()} | {name: said.get(name, "") for name in _TOLD}
                )
            with card(_("Licences"), _("Flowport itself is MIT"), padded=False):
                rows = table([_("Part"), _("Version"), _("Licence")], label=_("Licences"), stacks=True).props(
                    "tabindex=0"
                )
                for name, version, licence in packages():
                    with rows.row():
                        rows.cell(name, "fp-b")
                        rows.cell(version, "fp-t2")
                        rows.cell(licence, "fp-t2 fp-wrap-text")
            with card(_("Fonts and scripts")):
                for name, licence, file in _CARRIED:
                    path = PROJECT / file
                    with fold(f"{name}: {licence}"):
                        text = path.read_text(errors="replace")[:20_000] if path.exists() else _("see its project")
                        words(text, "fp-code fp-code--in fp-code--wrap fp-licence", tag="pre").props("tabindex=0")
