"""Helpers for tests of pages: they create accepted, ended and refused jobs, and find elements on a page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_interaction import UserInteraction

from engine.actions.jobs import submit
from engine.actions.members import ensure_owner, sign_in
from engine.flow.document import Document, load_document
from engine.jobs.submit.accept import Caller
from engine.jobs.transitions import finish
from storage.flows import get_draft
from storage.job_changes import Lease, claim_job
from storage.members import list_people
from storage.refusals import Counted, RefusedRow, add_refusals
from storage.steps import Progress
from storage.tables import Step
from tests.ui.conftest import PASSWORD, Site, hashed
from ui.page_session import PageSession

FAILED = {
    "code": "http_status",
    "message": "`https://example.com` answered 500.",
    "why": "The server had a fault.",
    "remedy": "Try again later.",
    "node_id": "text_template",
    "node_label": "Greet",
    "item_index": None,
    "attempts": 3,
}


def accepted(site: Site, flow_id: str, environment: str = "live", key_id: str | None = None) -> str:
    """Creates a job that waits in the queue."""
    caller = Caller(
        workspace_id=site.workspace_id,
        key_id=key_id,
        environment=environment,
        label="Web shop",
        prefix=f"fp_{environment}_",
        flow_ids=None,
        concurrency=None,
        monthly=None,
    )
    return site.database.write_now(submit, caller, flow_id, {"name": "Ada"}).job_id


def ended(site: Site, flow_id: str, status: str = "completed", environment: str = "live", **options: Any) -> str:
    """Creates a job that ended the way a worker ends it."""
    job_id = accepted(site, flow_id, environment)
    site.database.write_now(claim_job, "boot_test", job_id)
    if status == "completed":
        options.setdefault("result", ('{"output":"Hello Ada"}', 22))
    if status == "failed":
        options.setdefault("error", FAILED)
    assert site.database.write_now(finish, job_id, status, lease=Lease("boot_test", 1), **options)
    return job_id


def went_on(site: Site, flow_id: str, *, status: str = "skipped", key_id: str | None = None) -> str:
    """Creates a completed job whose step `text_template` failed and was skipped or took its default value."""
    job_id = accepted(site, flow_id, key_id=key_id)
    site.database.write_now(claim_job, "boot_test", job_id)
    lease = Lease("boot_test", 1)
    step = {
        **dict.fromkeys(column.name for column in Step.__table__.columns if column.name != "job_id"),
        "node_id": "text_template",
        "index_path": "",
        "status": status,
        "attempt": 1,
        "tries": 1,
        "started_at": site.clock.now(),
        "ended_at": site.clock.now(),
        "duration_ms": 5,
        "error": FAILED,
        "cost_nanos": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "model_calls": 0,
        "simulated": False,
    }
    progress = Progress(job_id, site.workspace_id, flow_id, lease, (step,), (), (), (), 2, 0, 1)
    result = ('{"output":null}', 15)
    assert site.database.write_now(finish, job_id, "completed", lease=lease, result=result, progress=progress)
    return job_id


def refused(
    site: Site,
    flow_id: str,
    *,
    pointer: str = "/lang",
    code: str = "unknown_field",
    times: int = 1,
    sent: str = "string",
    missing: str = "",
    key_id: str = "",
) -> None:
    """Records calls that were refused because of a wrong field, and because of a `missing` one."""
    at = site.clock.now()
    call = RefusedRow(
        site.workspace_id, at, "req_1", key_id, "fp_live_", flow_id, 400, "validation_failed",
        (
            *([{"pointer": f"/{missing}", "code": "required", "detail": "missing"}] if missing else []),
            {"pointer": pointer, "code": code, "detail": "the flow has no field of this name", "sent": sent},
        ),
    )  # fmt: skip
    counted = Counted(at // 60_000, site.workspace_id, flow_id, key_id, "validation_failed")
    site.database.write_now(add_refusals, {counted: times}, [call] * times)


def draft(site: Site, flow_id: str) -> Document:
    """Returns the flow's draft as stored now."""
    return load_document(site.database.read_now(get_draft, site.workspace_id, flow_id).document)


async def until(true: Callable[[], Any], found: Callable[[], Any] = lambda: "it did not come") -> None:
    """Waits until the condition is true. `found` returns what the failure shows when it never is."""
    for _attempt in range(3_000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(found())


def open_page(site: Site, user: User) -> PageSession:
    """Returns what a page of the signed-in person works with, for what a test does without a page."""
    cookie = str(user.http_client.cookies["flowport_session"])
    return PageSession(site.app, cookie, "", site.database.read_now(list_people, site.workspace_id)[0])


def texts(user: User) -> list[str]:
    """Returns every text on the page, in order."""
    assert user.client is not None
    found = []
    for element in user.client.elements.values():
        text = getattr(element, "text", None)
        if isinstance(text, str) and text and element.visible:
            found.append(text)
    return found


def page_text(user: User) -> str:
    """Returns all texts of the page as one text."""
    return "\n".join(texts(user))


def buttons(user: User) -> list[str]:
    """Returns the labels of the buttons."""
    assert user.client is not None
    return [
        element.text for element in user.client.elements.values() if isinstance(element, ui.button) and element.text
    ]


def newest_button(user: User, name: str) -> ui.button:
    """Returns the button with this label that was created last: the one in the topmost dialog."""
    found = []
    with contextlib.suppress(AssertionError):
        found = [element for element in user.find(kind=ui.button, content=name).elements if element.text == name]
    assert found, (
        f"no button is called {name!r}: {buttons(user)}. `press_named` finds a button of an icon by its accessible name"
        f" ({labels(user)}), `choose` an entry of a menu ({[text for text, _ in entries(user)]})"
    )
    return max(found, key=lambda element: element.id)


def press(user: User, name: str) -> None:
    """Clicks the newest button with this label."""
    UserInteraction(user, {newest_button(user, name)}, None).click()


def labels(user: User) -> list[str]:
    """Returns the accessible names of the buttons that have one."""
    assert user.client is not None
    found = [one.props.get("aria-label") for one in user.client.elements.values() if isinstance(one, ui.button)]
    return [label for label in found if label]


def press_named(user: User, label: str) -> None:
    """Clicks the button with this accessible name."""
    assert user.client is not None
    found = [
        element
        for element in user.client.elements.values()
        if isinstance(element, ui.button) and element.props.get("aria-label") == label
    ]
    assert found, f"no button has the accessible name {label!r}: {labels(user)}. `press` finds {buttons(user)}"
    UserInteraction(user, {max(found, key=lambda element: element.id)}, None).click()


def entries(user: User) -> list[tuple[str, ui.menu_item]]:
    """Returns the entries of all menus, each with every text in it."""
    assert user.client is not None
    return [
        (text, element)
        for element in user.client.elements.values()
        if isinstance(element, ui.menu_item)
        for text in {getattr(child, "text", "") for child in element.descendants()} - {""}
    ]


def choose(user: User, name: str) -> None:
    """Clicks an entry of a menu."""
    entry = next((element for text, element in entries(user) if text == name), None)
    assert entry is not None, f"no menu has {name!r}: {[text for text, _ in entries(user)]}"
    UserInteraction(user, {entry}, None).click()


def box(user: User, label: str) -> ui.input:
    """Returns the field with this label."""
    assert user.client is not None
    found = [
        element
        for element in user.client.elements.values()
        if getattr(element, "text", "") == label and element.tag == "label"
    ]
    target = str(found[-1].props["for"]).removesuffix("-in")
    return next(element for element in user.client.elements.values() if element.html_id == target)  # type: ignore[return-value]


def code_block(user: User, name: str) -> str:
    """Returns the content of the code block with this name."""
    assert user.client is not None
    block = next(
        element
        for element in user.client.elements.values()
        if element.tag == "pre" and element.props.get("aria-label") == name
    )
    return "".join(getattr(child, "text", "") for child in block.descendants())


def h1(user: User) -> list[str]:
    """Returns the text of the page's h1; there must be exactly one."""
    assert user.client is not None
    return [getattr(element, "text", "") for element in user.client.elements.values() if element.tag == "h1"]


def hrefs(user: User) -> list[str]:
    """The addresses of the links on the page, in order."""
    assert user.client is not None
    return [str(one.props["href"]) for one in user.client.elements.values() if one.visible and one.props.get("href")]


async def somebody_else(site: Site) -> User:
    """Signs the owner of another workspace in, in the browser of the site."""
    site.database.write_now(ensure_owner, site.workspace_id, "mallory@example.com", hashed())
    cookie = await sign_in(site.database, "mallory@example.com", PASSWORD)
    site.user.http_client.cookies.set("flowport_session", cookie)
    return site.user
