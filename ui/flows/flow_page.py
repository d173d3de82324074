"""The page of a flow: title, state, Deploy API, and tabs for API, schedules and webhooks, versions,
jobs, monitoring and settings.
"""

from __future__ import annotations

from nicegui import ui
from starlette.requests import Request
from starlette.responses import Response

from engine.core.errors import NotFound
from storage.flows import FlowRow, find_flow, get_flow, list_versions
from ui.flows import flow_actions
from ui.flows.api_tab import ApiTab
from ui.flows.deploy import deploy_flow
from ui.flows.flow_page_tabs import FlowTabs
from ui.flows.flow_states import newer_draft, state_badges
from ui.flows.goal_page import way_to_answers
from ui.flows.try_it import try_keys_of
from ui.kit import feedback
from ui.kit.parts import button, link_button, menu_button, menu_item, words
from ui.kit.tab_bar import tab_bar
from ui.kit.text import _
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import base_address, every, nothing_here, one_at_a_time, opened
from ui.parts.quota import QuotaNote, quota_note

LOOK_SECONDS = 2.0
TABS = {
    "api": _("API"),
    "triggers": _("Schedules and webhooks"),
    "versions": _("Versions"),
    "jobs": _("Jobs"),
    "monitoring": _("Monitoring"),
    "settings": _("Settings"),
}


def register(app: App) -> None:
    """Registers `/flows/{flow_id}`."""

    @page_at("/flows/{flow_id}")
    async def open_flow(
        request: Request, flow_id: str, tab: str = "api", deploy: str = "", imported: str = ""
    ) -> Response | None:
        page_session = await open_page_session(app, request)
        try:
            flow = await page_session.query(get_flow, flow_id)
        except NotFound:
            return nothing_here(request)
        page = FlowPage(page_session, flow, await quota_note(page_session))
        await page.find_answers()
        await page.build(tab if tab in TABS else "api")
        if deploy:
            ui.timer(0.1, page.deploy, once=True)
        if imported:
            ui.timer(0.1, page.say_imported, once=True)
        return None


class FlowPage:
    """One open page of a flow."""

    def __init__(self, page_session: PageSession, flow: FlowRow, quota: QuotaNote) -> None:
        self.page_session = page_session
        self.flow = flow
        self.quota = quota
        self.deploying = False
        #: The address of the questions that made the flow; "" where there are none.
        self.answers = ""
        self.api = ApiTab(
            page_session,
            try_keys_of(page_session.app),
            base_address(page_session),
            self.compare,
            self.put_live_on_canvas,
        )
        self.tabs_of_flow = FlowTabs(page_session, lambda: self.flow, changed=self.look, show_api=self._show_api)

    async def find_answers(self) -> None:
        """Looks whether the flow can be changed by the answers that made it."""
        if self.page_session.may("edit flows"):
            self.answers = await way_to_answers(self.page_session, self.flow)

    async def build(self, tab: str) -> None:
        """Draws the page."""
        with opened(
            self.page_session,
            self.flow.title,
            active="flows",
            crumbs=((_("Saved Flows"), "/flows"),),
            sub=self.flow.description,
        ) as self.page:
            self.way = ui.element("p").classes("fp-row fp-wrap-row fp-s13 fp-way")
            self._draw_head()
            self.quota.draw()
            self.tabs = tab_bar(TABS, tab, self._open_tab)
            with ui.tab_panels(self.tabs, value=tab, animated=False):
                self.places = {}
                for name in TABS:
                    with ui.tab_panel(name):
                        self.places[name] = ui.element("div").classes("fp-col")
            await self._draw_tab(tab)
        every(LOOK_SECONDS, self.look)
        self.quota.watch()

    def say_imported(self) -> None:
        """Says under which title a file was imported; once, so the address loses what asked for it."""
        ui.navigate.history.replace(f"/flows/{self.flow.id}")
        feedback.told(_("Imported as “{title}”.").format(title=self.flow.title))

    @property
    def tab(self) -> str:
        """The name of the open tab."""
        return str(self.tabs.value)

    @one_at_a_time
    async def look(self) -> None:
        """Reads the flow again, to show changes made by other people and by commands."""
        fresh = await self.page_session.query_again(find_flow, self.flow.id)
        if self.tabs.is_deleted:  # the person has opened another page meanwhile
            return
        if fresh is None:
            ui.navigate.to("/flows")
        elif _shown(fresh) != _shown(self.flow):
            self.flow = fresh
            await self.find_answers()
            if self.tabs.is_deleted:
                return
            self._draw_head()
            if self.tab not in {"settings", "triggers"}:  # drawing again would discard text that is being typed
                await self._draw_tab(self.tab)
        else:
            self.flow = fresh

    def _show_api(self) -> None:
        self.tabs.value = "api"

    async def deploy(self) -> None:
        """Deploys the flow. While the dialog shows the endpoint, the page does not show it too."""
        self.deploying = True
        try:
            done = await deploy_flow(self.page_session, self.flow, on_live=self._went_live, on_saved=self.look)
        finally:
            self.deploying = False
        if self.tabs.is_deleted:
            return
        if done is not None:
            self.tabs.value = "api"
        await self.look()
        await self._draw_tab(self.tab)

    async def compare(self) -> None:
        """Compares the draft with the live version."""
        versions = await self.page_session.query(list_versions, self.flow.id)
        live = next((version for version in versions if version.number == self.flow.live_version), None)
        if live is not None:
            await self.tabs_of_flow.view(live, with_canvas=True)

    async def put_live_on_canvas(self) -> None:
        """Replaces the draft by the live version."""
        if self.flow.live_version is not None:
            await self.tabs_of_flow.restore(self.flow.live_version)

    async def _went_live(self) -> None:
        """Clears the open tab, so that only the dialog shows the endpoint. The next `look` updates the head."""
        for place in self.places.values():
            place.clear()

    async def undeploy(self) -> None:
        """Undeploys the flow after confirmation."""
        if await flow_actions.undeploy_flow(self.page_session, self.flow):
            await self.look()

    def _draw_head(self) -> None:
        flow = self.flow
        self.page.title(flow.title)
        self.page.sub(flow.description)
        self.page.badges.clear()
        with self.page.badges:
            state_badges(flow)
        self.way.clear()
        self.way.visible = bool(self.answers)
        with self.way:
            if self.answers:
                link_button(_("Change what you filled in"), self.answers, icon="edit", small=True)
                words(_("in the questions that made this flow"), "fp-t3")
        self.page.actions.clear()
        with self.page.actions:
            link_button(_("Open in Playground"), f"/playground/{flow.id}", icon="schema")
            may_deploy = self.page_session.may("deploy")
            if may_deploy and flow.live_version is not None:
                button(_("Undeploy API"), self.undeploy, icon="cloud_off")
            if may_deploy and flow.live_version is None:
                button(_("Deploy API"), self.deploy, icon="rocket_launch", kind="main", big=True)
            elif may_deploy and newer_draft(flow):
                button(_("Update API"), self.deploy, icon="rocket_launch", kind="main", big=True)
            with menu_button(_("More for {title}").format(title=flow.title)):
                if self.page_session.may("edit flows"):
                    menu_item(
                        _("Duplicate"),
                        lambda: flow_actions.duplicate(self.page_session, self.flow),
                        icon="content_copy",
                    )
                menu_item(_("Export"), lambda: flow_actions.export(self.page_session, self.flow), icon="download")
                with menu_item(
                    _("Export as YAML"),
                    lambda: flow_actions.export(self.page_session, self.flow, "yaml"),
                    icon="download",
                ):
                    ui.tooltip(_("The same flow as a file that programmers read and compare more easily."))
                if self.page_session.may("edit flows"):
                    if not flow.newest_version:
                        menu_item(_("Save As"), self._save_as, icon="save")
                    ui.separator()
                    menu_item(_("Delete..."), self._delete, icon="delete", danger=True)

    async def _open_tab(self, name: str) -> None:
        await self._draw_tab(name)
        if self.tabs.is_deleted:
            return
        ui.navigate.history.replace(f"/flows/{self.flow.id}" + ("" if name == "api" else f"?tab={name}"))

    async def _draw_tab(self, name: str) -> None:
        if self.tabs.is_deleted:
            return
        for place in self.places.values():
            place.clear()
        with self.places[name]:
            if self.deploying and self.flow.live_version is not None:
                return
            if name == "api":
                await self.api.draw(self.flow)
            else:
                await self.tabs_of_flow.draw(name)

    async def _save_as(self) -> None:
        if await flow_actions.save_flow_as(self.page_session, self.flow):
            await self.look()

    async def _delete(self) -> None:
        if await flow_actions.delete(self.page_session, self.flow):
            ui.navigate.to("/flows")


def _shown(flow: FlowRow) -> tuple[object, ...]:
    """The values on which the page's head and tabs depend."""
    return (
        flow.title,
        flow.description,
        flow.draft_differs,
        flow.differs_from_live,
        flow.newest_version,
        flow.live_version,
        flow.deployed_at,
        flow.settings,
    )
