"""Watching an API: the table of jobs, what it costs, what failed and why, how long it takes, and the first calls."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.live_server import LiveServer, live_server
from tests.seed.person import Person
from tests.seed.world import World, flow_file, text_field
from tests.stand_ins.openai_server import OpenAIServer, Said
from tests.stand_ins.web_site import WebSite

pytestmark = pytest.mark.browser

#: A name that only the proxy knows: the model is a vendor's for Flowport, so what it says has a price.
VENDOR = "http://models.vendor.test/v1"


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer(models=("gpt-4.1-mini",)) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, site: WebSite, model: OpenAIServer) -> Iterator[LiveServer]:
    allowed = {
        "FLOWPORT_OUTBOUND_ALLOW": site.origin.removeprefix("http://"),
        "FLOWPORT_OUTBOUND_PROXY": model.origin,
    }
    with live_server(tmp_path_factory.mktemp("watching") / "data", env=allowed) as running:
        yield running


def test_the_jobs_table_shows_every_request_and_its_status(world: World, person: Person) -> None:
    page = person.page
    good = world.caller.run(world.greet, {"name": "Ada"})
    bad = world.caller.run(world.fetch, {"url": world.site.at("/nowhere")})
    held = world.hold(1)
    world.caller.submit(world.greet, {"nom": "Ada"})

    person.open("/flows")
    person.menu("Jobs")
    table = page.get_by_role("table", name="Jobs")
    for job_id, word in ((good["job_id"], "Completed"), (bad["job_id"], "Failed"), (held[0], "Running")):
        row = table.get_by_role("row").filter(has=page.locator(f"a[href='/jobs/{job_id}']"))
        expect(row).to_contain_text(word)
        expect(row).to_contain_text("Shop")
    world.caller.cancel(*held)
    cancelled = table.get_by_role("row").filter(has=page.locator(f"a[href='/jobs/{held[0]}']"))
    expect(cancelled).to_contain_text("Cancelled")

    page.get_by_role("tab", name="Refused").click()
    refused = page.get_by_role("table", name="Refused calls")
    expect(refused).to_contain_text("400")
    refused.get_by_role("button", name="Explain").first.click()
    expect(page.locator(".fp-explain")).to_contain_text("/nom")


def test_costs_are_tracked_while_they_arise(world: World, person: Person, model: OpenAIServer) -> None:
    page = person.page
    person.open("/settings/models")
    page.get_by_role("button", name="Add a connection").click()
    person.choose("Provider", "OpenAI", exact=True)
    page.get_by_label("Name", exact=True).fill("vendor")
    page.get_by_label("Base URL").fill(VENDOR)
    page.get_by_label("Key", exact=True).fill("sk-test")
    page.get_by_role("button", name="Save and test").click()
    page.get_by_text("gpt-4.1-mini").first.wait_for()
    page.get_by_role("button", name="Set a price: gpt-4.1-mini", exact=True).click()
    person.dialog.get_by_label("Input").fill("2")
    person.dialog.get_by_label("Output").fill("10")
    person.dialog.get_by_role("button", name="Save the price").click()
    expect(page.get_by_text("your price")).to_be_visible()

    question = {"prompt": "{{ api_input.out.question }}"}
    prompts = [
        {"id": name, "type": "prompt", "config": {"model": "vendor:gpt-4.1-mini"}, "inputs": question}
        for name in ("prompt", "prompt_2")
    ]
    file = flow_file(prompts[0], text_field("question"))
    file["nodes"].append(prompts[1])
    file["edges"].append({"id": "e2", "source": "prompt", "target": "prompt_2"})
    flow_id = world.live("Ask twice", file)

    person.open("/monitoring")
    cost = page.locator(".fp-tile", has_text="Cost").locator("b")
    go_on = threading.Event()

    def second(_body: dict[str, Any]) -> Said:
        go_on.wait(40)
        return Said("Paris", output_tokens=0)

    model.say(Said("Paris", input_tokens=1_000_000, output_tokens=100_000))
    model.answer_with = second
    accepted = world.caller.submit(flow_id, {"question": "Which city?"}).json()
    expect(cost).to_contain_text("3.00", timeout=30_000)
    assert world.caller.job(accepted["job_id"])["status"] == "processing", "the cost is there while the job runs"
    go_on.set()
    job = world.caller.ended(accepted["job_id"])
    assert job["usage"]["cost_usd"] == pytest.approx(3.000024)
    person.open(f"/jobs/{job['job_id']}")
    expect(page.get_by_text(re.compile(r"\$3\.00")).first).to_be_visible()


def test_error_logs_show_failed_requests_with_a_detailed_message(world: World, person: Person) -> None:
    page = person.page
    job = world.caller.run(world.fetch, {"url": world.site.at("/missing")})
    assert job["status"] == "failed"
    assert (job["error"]["node_id"], job["error"]["node_label"]) == ("http_request", "Fetch")
    assert "404" in job["error"]["message"]

    person.open("/jobs?status=failed")
    page.get_by_label("Search in jobs").fill(job["job_id"])
    page.locator(f"a[href='/jobs/{job['job_id']}']").first.click()
    expect(page.get_by_text("Fetch failed")).to_be_visible()
    expect(page.get_by_text(re.compile("404")).first).to_be_visible()
    expect(page.get_by_role("button", name="Copy with job id")).to_be_visible()


def test_execution_times_are_shown_for_each_endpoint(world: World, person: Person) -> None:
    world.caller.run(world.greet, {"name": "Ada"})
    world.caller.run(world.fetch, {"url": world.site.at("/slow")})
    person.open("/flows")
    person.menu("Monitoring")
    table = person.page.get_by_role("table", name="Endpoints")
    slow = table.get_by_role("row", name="Fetch a page")
    quick = table.get_by_role("row", name="Greeting")
    for name in ("p50", "p95"):
        expect(slow.locator(f"[data-name={name}]")).to_have_text(re.compile(r"^3\.\d s$"))
        expect(quick.locator(f"[data-name={name}]")).to_have_text(re.compile(r"^\d+ ms$|^0\.\d+ s$"))


def test_the_first_requests_are_watched_closely(world: World, person: Person) -> None:
    page = person.page
    flow_id = world.live("Just deployed", flow_file({"id": "set_fields", "type": "set_fields"}, text_field("name")))
    person.open(f"/flows/{flow_id}")
    expect(page.get_by_text("watching, 0 of 5")).to_be_visible()
    world.caller.run(flow_id, {"name": "Ada"})
    world.caller.submit(flow_id, {"nom": "Ada"})
    calls = page.locator(".fp-call")
    expect(calls).to_have_count(2)
    expect(calls.nth(0)).to_contain_text("400, refused")
    expect(calls.nth(1)).to_contain_text("202, completed")
