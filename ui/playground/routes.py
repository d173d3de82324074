"""The addresses of the Flow Playground: the last flow, a new one, and one flow."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse

from engine.actions.flows import begin_flow
from engine.core.errors import NotFound
from engine.flow.times_asked import time_asked
from storage.flows import get_flow, list_flows
from ui.kit import feedback
from ui.kit.frame import frame
from ui.kit.text import _
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import opened
from ui.parts.open_drafts import drafts_of
from ui.playground.next_step_line import NEXT_COOKIE
from ui.playground.page import LAST_COOKIE, STEPS_COOKIE, PlaygroundPage

#: How long, in seconds, NiceGUI keeps a page whose connection is lost. Within this time the canvas reconnects and sends
#: its unacknowledged edits to the same page (docs/dev/canvas_protocol.md).
RECONNECT_SECONDS = 60.0


def register(app: App) -> None:
    """Registers `/playground` (the last flow), `/playground/new` and `/playground/{id}`."""
    drafts = drafts_of(app)

    @page_at("/playground")
    async def open_last(request: Request) -> RedirectResponse | None:
        page_session = await open_page_session(app, request)
        flows = [flow.id for flow in await page_session.query(list_flows)]
        last = request.cookies.get(LAST_COOKIE, "")
        if flows:
            return RedirectResponse(f"/playground/{last if last in flows else flows[0]}")
        if page_session.may("edit flows"):
            return RedirectResponse("/playground/new")
        _draw_nothing_here(page_session)
        return None

    @page_at("/playground/new")
    async def open_new(request: Request, asked: str = "") -> RedirectResponse:
        page_session = await open_page_session(app, request)
        if not page_session.may("edit flows"):
            return RedirectResponse("/playground")
        several = app.database.is_postgres
        times = time_asked(asked)[0]
        flow_id = await page_session.execute(begin_flow, drafts.shown, several_servers=several, times=times)
        return RedirectResponse(f"/playground/{flow_id}")

    @page_at("/playground/{flow_id}", reconnect_timeout=RECONNECT_SECONDS)
    async def open_flow(
        request: Request, flow_id: str, node: str = "", job: str = "", field: str = "", dataset: str = ""
    ) -> None:
        page_session = await open_page_session(app, request)
        try:
            flow = await page_session.query(get_flow, flow_id)
            draft = await drafts.open(page_session, flow_id)
        except NotFound as refusal:
            with frame(_("Flow not found"), active="playground", person=page_session.frame_person):
                feedback.refusal_card(refusal)
            return
        page = PlaygroundPage(
            page_session,
            drafts,
            draft,
            flow,
            as_steps=request.cookies.get(STEPS_COOKIE) == "1",
            next_hidden=request.cookies.get(NEXT_COOKIE) == "0",
        )
        await page.build(select=node, job=job, field=field, dataset=dataset)


def _draw_nothing_here(page_session: PageSession) -> None:
    """Tells somebody who may only look that there is no flow."""
    with (
        opened(page_session, _("Flow Playground"), active="playground", sub=""),
        feedback.empty(
            "account_tree",
            _("There is no flow to look at yet"),
            _(
                "Flows show up here as soon as somebody has made one. You can look at them; editors and owners make them."
            ),
        ),
    ):
        pass
