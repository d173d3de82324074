"""Tests of Monitoring in a browser: empty at first, live while jobs run, filtered by the address, and as a table."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from engine.actions.connections import add_connection, set_price
from engine.actions.deployments import endpoint_path
from engine.core.ids import FlowId
from storage.tables import Connection
from tests.live.caller import Terminal
from tests.live_server import LiveServer
from tests.stand_ins.local_server import Places
from tests.stand_ins.openai_server import OpenAIServer, Said

pytestmark = pytest.mark.browser

#: The highest price: a cent for an input token, so that a call of 12 tokens costs $0.12 and is visible on screen.
NANOS_PER_MILLION = 10_000_000_000_000
#: The refused calls in Jobs, narrowed to what was pressed.
REFUSED = re.compile(r"/jobs\?.*tab=refused")


@dataclass
class World:
    """A server with a deployed flow of two questions to a model, and a key that may call it."""

    server: LiveServer
    model: OpenAIServer
    flow_id: str
    key: str
    workspace_id: str

    def call(self, payload: dict[str, Any]) -> httpx.Response:
        return httpx.post(
            f"{self.server.url}{endpoint_path(FlowId(self.flow_id))}",
            json=payload,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=10,
        )


def _flow() -> dict[str, Any]:
    def prompt(name: str) -> dict[str, Any]:
        text = "Answer {{ api_input.out.topic }}"
        return {"id": name, "type": "prompt", "config": {"model": "stand:small-model"}, "inputs": {"prompt": text}}

    fields = [{"name": "topic", "type": "string", "required": True}]
    return {
        "format": 1,
        "title": "Two questions",
        "nodes": [
            {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
            prompt("first"),
            prompt("second"),
        ],
        "edges": [
            {"id": "e1", "source": "api_input", "target": "first"},
            {"id": "e2", "source": "first", "target": "second"},
        ],
    }


@pytest.fixture(scope="module")
def model(places: Places) -> Iterator[OpenAIServer]:
    with OpenAIServer().at_place(places) as running:
        yield running


@pytest.fixture(scope="module")
def world(terminal: Terminal, model: OpenAIServer) -> World:
    store, owner = terminal.store, terminal.owner
    store.write_now(add_connection, owner, terminal.vault, "stand", "openai_compatible", base_url=model.url)
    store.write_now(set_price, owner, "stand", "small-model", NANOS_PER_MILLION, 0)
    # A model on this machine costs nothing, so the test declares its connection to be a remote server.
    of_mine = update(Connection).where(Connection.workspace_id == terminal.workspace_id)
    store.write_now(lambda session: session.execute(of_mine.values(local=False)))
    return World(terminal.server, model, terminal.flow(_flow()), terminal.caller().key, terminal.workspace_id)


def tile(page: Page, name: str) -> Any:
    return page.locator(".fp-tile", has_text=name).locator("b")


def test_before_the_first_call_it_says_how_to_send_one(page: Page, world: World) -> None:
    page.goto("/monitoring")

    expect(page.get_by_role("heading", name="No calls in the last 24 hours")).to_be_visible()
    page.get_by_role("link", name="How to send one").click()

    expect(page).to_have_url(f"{world.server.url}/flows/{world.flow_id}")


def test_the_cost_moves_after_a_model_call_while_the_job_runs(page: Page, world: World) -> None:
    page.goto("/monitoring")
    expect(tile(page, "Requests")).to_have_text("0")
    go_on = threading.Event()

    def second(_body: dict[str, Any]) -> Said:
        assert go_on.wait(60)
        return Said("two")

    world.model.say(Said("one"))
    world.model.answer_with = second

    assert world.call({"topic": "bread"}).status_code == 202

    expect(tile(page, "Cost")).to_have_text("$0.12")
    expect(tile(page, "Running")).to_have_text("1 of 6")
    go_on.set()
    expect(tile(page, "Cost")).to_have_text("$0.24")
    expect(tile(page, "Success")).to_have_text("100 %")
    expect(tile(page, "Running")).to_have_text("0 of 6")
    row = page.get_by_role("table", name="Endpoints").get_by_role("row").nth(1)
    expect(row).to_contain_text("Two questions")
    expect(row).to_contain_text("$0.24")
    expect(page.locator(".fp-chart .main-svg").first).to_be_visible()
    world.model.answer_with = None


def test_a_refused_call_is_seen_and_leads_to_the_refused_ones(page: Page, world: World) -> None:
    page.goto("/monitoring")

    assert world.call({"topik": "bread"}).status_code == 400

    expect(page.get_by_role("img", name="Errors by kind: What was sent did not fit, 1 refused")).to_be_visible()
    page.get_by_text("Show as a table").nth(3).click()
    page.get_by_role("table", name="Errors by kind").get_by_role("link", name="What was sent did not fit").click()
    expect(page).to_have_url(REFUSED)


def test_a_press_on_a_bar_leads_to_its_jobs(page: Page, world: World) -> None:
    world.call({"topik": "bread"})
    page.goto("/monitoring")
    bar = page.locator(".fp-chart--pick .bars path").first
    bar.wait_for(state="attached")
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box is not None

    page.mouse.click(box["x"] + 10, box["y"] + box["height"] / 2)

    expect(page).to_have_url(REFUSED)


def test_what_is_chosen_stands_in_the_address(page: Page, world: World) -> None:
    page.goto("/monitoring")
    page.get_by_role("button", name="Flow: All flows").click()
    page.get_by_role("menuitem", name="Two questions").click()
    page.get_by_role("button", name="7 d").click()
    page.get_by_role("button", name="Key: All keys").click()
    page.get_by_role("menuitem", name="Shop, Production").click()

    expect(page).to_have_url(re.compile(rf"/monitoring\?range=7d&flow={world.flow_id}&key=key_\w+$"))
    page.reload()
    expect(page.get_by_role("button", name="Flow: Two questions")).to_be_visible()
    expect(page.get_by_role("button", name="Key: Shop, Production")).to_be_visible()
    expect(tile(page, "Requests")).to_have_text("1")
    page.get_by_role("button", name="Key: Shop, Production").click()
    page.get_by_role("menuitem", name="All of Staging").click()
    expect(page.get_by_role("heading", name="No calls in the last 7 days")).to_be_visible()


def test_every_chart_has_a_name_and_the_same_numbers_as_a_table(page: Page, world: World) -> None:
    page.goto("/monitoring")
    page.locator(".fp-chart .main-svg").first.wait_for()

    names = [chart.get_attribute("aria-label") for chart in page.locator(".fp-chart").all()]
    for place in range(6):
        page.get_by_text("Show as a table").nth(place).click()

    assert len(names) == 6
    assert all(names)
    expect(page.get_by_role("table", name="Requests by status")).to_contain_text("Completed")
    expect(page.get_by_role("table", name="Cost")).to_contain_text("$0.24")
    expect(page.locator(".fp-chart-rows table")).to_have_count(6)


def test_charts_take_the_colours_of_the_theme_and_a_change_of_it(page: Page, world: World) -> None:
    page.goto("/monitoring")
    bar = page.locator(".fp-chart .bars path").first
    bar.wait_for(state="attached")
    colours = "element => getComputedStyle(element).fill"

    light = bar.evaluate(colours)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('.fp-chart .bars path')).fill === 'rgb(138, 184, 240)'"
    )

    assert light == "rgb(31, 95, 168)"


def test_a_flows_page_shows_its_own_figures(page: Page, world: World) -> None:
    page.goto(f"/flows/{world.flow_id}?tab=monitoring")

    expect(tile(page, "Requests")).to_have_text("1")
    expect(page.locator(".fp-chart .main-svg").first).to_be_visible()
    page.get_by_role("button", name="30 d").click()
    expect(tile(page, "Cost")).to_have_text("$0.24")
    expect(page.get_by_text("per day").first).to_be_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page, world: World) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/monitoring")
    page.locator(".fp-chart .main-svg").first.wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.get_by_role("table", name="Endpoints")).to_contain_text("Two questions")


def test_the_numbers_on_the_page_are_those_of_plain_sql_and_costs_add_up(page: Page, world: World) -> None:
    """Costs add up from model calls to steps, to jobs, to the page; accepted calls add up to the month's requests in
    Settings.
    """
    for said in (Said("two"), Said(status=400, message="no more")):
        world.model.say(Said("one"))
        world.model.default = said
        _end(world, world.call({"topic": "bread"}).json()["job_id"])
    world.call({"topik": "bread"})
    since = int((time.time() - 86_400) * 1000)
    mine = f"workspace_id = '{world.workspace_id}'"
    of_jobs = f"from jobs where {mine} and environment <> 'playground' and created_at > {since}"
    count = dict(_sql(world, f"select status, count(*) {of_jobs} group by status"))
    ((requests, nanos),) = _sql(world, f"select count(*), sum(cost_nanos) {of_jobs}")
    assert count == {"completed": 2, "failed": 1}

    page.goto("/monitoring")
    expect(tile(page, "Requests")).to_have_text(str(requests))
    expect(tile(page, "Cost")).to_have_text(f"${nanos / 1e9:.2f}")
    expect(tile(page, "Success")).to_have_text(f"{100 * count['completed'] / requests:.1f} %")
    row = page.get_by_role("table", name="Endpoints").get_by_role("row").nth(1)
    ((refused,),) = _sql(world, f"select sum(count) from refusal_counts where {mine}")
    for name, text in (("requests", str(requests)), ("cost", f"${nanos / 1e9:.2f}"), ("refused", str(refused))):
        expect(row.locator(f"td[data-name={name}]")).to_have_text(text)
    for name in ("typical", "slowest 5 %"):
        expect(row.locator(f"[data-name='{name}']")).to_have_text(re.compile(r"^\d+ ms$|^[\d.]+ s$"))
    of_each = "select cost_nanos, (select sum(cost_nanos) from {} where job_id = jobs.id) from jobs where " + mine
    for table in ("model_calls", "steps"):
        assert all(of_job == of_parts for of_job, of_parts in _sql(world, of_each.format(table))), table
    page.goto("/settings/limits")
    ((month,),) = _sql(world, f"select month_count from usage where subject = '{world.workspace_id}'")
    assert month == requests
    expect(page.get_by_text(re.compile(rf"^{month} of 1,000$"))).to_be_visible()


def test_on_a_phone_the_row_of_settings_shows_where_one_is_and_graphs_stay_whole(page: Page, world: World) -> None:
    job_id = world.call({"topic": "bread"}).json()["job_id"]
    _end(world, job_id)  # the job's page shows the failure above the graph
    page.goto(f"/jobs/{job_id}")
    graph = page.locator(".fp-graph")
    graph.locator("[data-loaded=true]").wait_for()
    page.set_viewport_size({"width": 390, "height": 844})
    graph.scroll_into_view_if_needed()
    for node in graph.locator("[data-testid^=node-]").all():
        expect(node).to_be_in_viewport(ratio=0.99)

    page.goto(f"/flows/{world.flow_id}?tab=versions")
    page.get_by_role("button", name="View version 1").click()
    beside = page.get_by_role("dialog").locator(".fp-graph--small")
    beside.locator("[data-loaded=true]").nth(1).wait_for()
    for one in beside.all():
        assert one.evaluate("one => one.querySelector('.fp-flow').offsetHeight === one.clientHeight"), "it is cut off"

    page.goto("/settings/about")
    places = page.get_by_role("navigation", name="Settings")
    expect(places.get_by_role("link", name="About")).to_be_in_viewport(ratio=1)


def _end(world: World, job_id: str) -> None:
    """Waits until the job has ended."""
    url, headers = f"{world.server.url}/public/v1/jobs/{job_id}?wait=20", {"Authorization": f"Bearer {world.key}"}
    assert httpx.get(url, headers=headers, timeout=30).json()["status"] in {"completed", "failed"}


def _sql(world: World, statement: str) -> list[tuple[Any, ...]]:
    """Reads the database file directly, without code of the product."""
    with contextlib.closing(sqlite3.connect(f"file:{world.server.data / 'flowport.db'}?mode=ro", uri=True)) as database:
        return database.execute(statement).fetchall()
