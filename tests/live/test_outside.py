"""Flows that send requests: pages, forbidden addresses, cancellation, and time limits."""

from __future__ import annotations

import pytest

from tests.live import flows
from tests.live.holding_site import HoldingSite, wait_until
from tests.stand_ins.web_site import Page


@pytest.fixture(scope="module")
def scrape(terminal) -> str:
    return terminal.flow(flows.one_node(flows.read_page(), flows.URL))


@pytest.fixture(scope="module")
def fetch(terminal) -> str:
    return terminal.flow(flows.one_node(flows.fetch(), flows.URL))


def test_a_page_of_an_allowed_site_is_read(caller, scrape, site):
    job = caller.run(scrape, {"url": site.at("/story")})
    assert job["status"] == "completed", job
    page = job["result"]["output"]
    assert page["title"] == "The lighthouse"
    assert "writes the weather into a blue book" in page["text"]
    assert page["url"] == page["final_url"] == site.at("/story")
    assert job["progress"] == {"steps_total": 2, "steps_done": 2, "items_failed": 0}


@pytest.mark.parametrize("kind", ["another port", "this server", "localhost", "metadata", "private", "decimal"])
def test_an_address_inside_that_nobody_allowed_is_refused(caller, scrape, fetch, server, kind):
    with HoldingSite({"/story": "secret"}) as closed:
        url = {
            "another port": closed.at("/story"),
            "this server": f"{server.url}/healthz",
            "localhost": f"http://localhost:{closed.port}/story",
            "metadata": "http://169.254.169.254/latest/meta-data/",
            "private": "http://10.1.2.3/",
            "decimal": f"http://2130706433:{closed.port}/story",
        }[kind]
        for flow_id, node in ((scrape, "Read the page"), (fetch, "Fetch")):
            job = caller.run(flow_id, {"url": url})
            assert (job["status"], job["result"]) == ("failed", None)
            assert (job["error"]["code"], job["error"]["node_label"]) == ("address_not_allowed", node)
        assert closed.requests == []


def test_a_redirect_to_an_address_inside_is_refused(caller, fetch, site):
    with HoldingSite({"/story": "secret"}) as closed:
        site.pages["/away"] = Page.redirect(closed.at("/story"))
        job = caller.run(fetch, {"url": site.at("/away")})
        assert job["error"]["code"] == "address_not_allowed"
        assert closed.requests == []


@pytest.mark.parametrize(("path", "code"), [("/gone", "page_not_found"), ("/picture", "node_failed")])
def test_a_page_that_cannot_be_read_says_why(caller, scrape, site, path, code):
    site.pages["/picture"] = Page(b"\x89PNG", content_type="image/png")
    error = caller.run(scrape, {"url": site.at(path)})["error"]
    assert error["code"] == code
    assert error["node_id"] == "page_scraper"
    assert error["message"]


def test_cancelling_a_running_job_hangs_up_outside(caller, fetch, site):
    job_id = caller.accepted(fetch, {"url": site.hold("cancel")})
    site.wait_until_held("cancel")
    answer = caller.cancel(job_id)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    wait_until(lambda: "cancel" in site.hung_up, "the outbound call goes on")
    job = caller.job(job_id)
    assert (job["status"], job["result"], job["error"]) == ("cancelled", None, None)
    assert job["completed_at"]
    assert caller.events(job_id)[-1][1] == "job.cancelled"
    assert caller.cancel(job_id).status_code == 200


def test_a_job_that_has_ended_cannot_be_cancelled(caller, fetch, site):
    job = caller.run(fetch, {"url": site.at("/story")})
    answer = caller.cancel(job["job_id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_cancellable")
    assert caller.job(job["job_id"]) == job


def test_a_node_that_takes_too_long_is_tried_again_as_often_as_is_said_and_hangs_up(terminal, caller, site):
    flow_id = terminal.flow(flows.one_node(flows.fetch(timeout_seconds=3, retries=1), flows.URL))
    job = caller.run(flow_id, {"url": site.hold("slow-node")})
    assert (job["status"], job["error"]["code"], job["error"]["node_id"]) == ("failed", "timeout", "http_request")
    assert job["error"]["attempts"] == 2
    assert job["execution_time_seconds"] >= 6, "each try has its whole time"
    asked = site.hits("/hold/slow-node")
    assert asked <= 2
    wait_until(lambda: site.hung_up.count("slow-node") == asked, "the outbound calls go on")


def test_a_node_may_be_skipped_or_replaced_when_it_fails(terminal, caller, site):
    after = {"id": "set_fields", "type": "set_fields", "inputs": {"got": "{{ http_request.out }}"}}
    replaced = flows.fetch(on_error="use_default", default={"body": "instead"})
    flow_id = terminal.flow(flows.in_a_row([replaced, after], flows.URL))
    assert caller.run(flow_id, {"url": site.at("/gone")})["result"] == {"output": {"got": {"body": "instead"}}}


def test_a_job_ends_at_its_callers_deadline(caller, fetch, site):
    job = caller.run(fetch, {"url": site.hold("deadline")}, Cancel_After="3")
    assert (job["status"], job["error"]["code"]) == ("failed", "timeout")
    assert job["execution_time_seconds"] >= 3
    asked = site.hits("/hold/deadline")
    wait_until(lambda: site.hung_up.count("deadline") == asked, "the outbound call goes on")
