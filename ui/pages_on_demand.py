"""Imports the modules of a page when the page is first opened, which keeps them out of the start and out of the memory
of a server that nobody looks at.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Protocol, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from ui.page_session import App

#: The first part of an address, and of settings the first two -> the modules that register the pages there.
MODULES = {
    "start": ("ui.flows.first_run",),
    "flows": ("ui.flows.list_page", "ui.flows.flow_page"),
    "templates": ("ui.flows.templates",),
    "datasets": ("ui.datasets.list_page", "ui.datasets.dataset_page"),
    "knowledge": ("ui.knowledge.list_page", "ui.knowledge.collection_page"),
    "jobs": ("ui.jobs.jobs_page", "ui.jobs.job_page"),
    "waiting": ("ui.waiting.page",),
    "monitoring": ("ui.monitoring.page",),
    "playground": ("ui.playground.routes",),
    "settings/about": ("ui.settings.about",),
    "settings/account": ("ui.settings.account",),
    "settings/audit": ("ui.settings.audit",),
    "settings/data": ("ui.settings.data",),
    "settings/keys": ("ui.settings.keys",),
    "settings/limits": ("ui.settings.limits",),
    "settings/models": ("ui.settings.models",),
    "settings/server": ("ui.settings.server",),
    "settings/team": ("ui.settings.team",),
    "settings/tools": ("ui.settings.tools",),
}


class PageModule(Protocol):
    """A module with pages."""

    def register(self, app: App) -> None:
        """Adds its pages to NiceGUI's app."""
        ...


class PagesOnDemand:
    """ASGI middleware around NiceGUI's app: registers the pages at the address of a request before `inner` gets it."""

    def __init__(self, inner: ASGIApp, app: App) -> None:
        self.app = inner  # NiceGUI finds its server by following `app` attributes
        self._flowport = app
        self._registered: set[str] = set()
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (place := place_of(scope["path"])) in MODULES and place not in self._registered:
            await self._register(place)
        await self.app(scope, receive, send)

    async def _register(self, place: str) -> None:
        async with self._lock:
            if place in self._registered:
                return
            for module in await asyncio.to_thread(import_pages, place):  # the loop serves others meanwhile
                module.register(self._flowport)
            self._registered.add(place)


def place_of(path: str) -> str:
    """Returns the key in `MODULES` of an address, if it has one."""
    parts = path.strip("/").split("/")
    return "/".join(parts[: 2 if parts[0] == "settings" else 1])


def import_pages(place: str) -> list[PageModule]:
    """Imports the modules of the pages at `place`."""
    return [cast("PageModule", import_module(name)) for name in MODULES[place]]
