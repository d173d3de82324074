"""Templates and patterns that try to exhaust the machine, in real jobs: they are stopped, and the server stays
responsive.
"""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.live import flows
from tests.live.holding_site import wait_until

LOOPS = "{% for a in api_input.out['items'] %}{% for b in api_input.out['items'] %}{% for c in api_input.out['items'] %}{% endfor %}{% endfor %}{% endfor %}"
ITEMS = {"name": "items", "type": "array"}


def template(text):
    return {"id": "text_template", "type": "text_template", "inputs": {"template": text}}


def test_a_template_that_does_not_end_fails_its_job_and_data_is_no_template(terminal, caller):
    endless = terminal.flow(flows.one_node(template(LOOPS), ITEMS, title="Endless"))
    told = terminal.flow(
        flows.one_node(template("{% for x in api_input.out['items'] %}{{ x }}{% endfor %}"), ITEMS, title="Told")
    )
    job = caller.run(endless, {"items": list(range(2_000))})
    assert (job["status"], job["error"]["code"]) == ("failed", "template_error")
    assert "longer than 2 seconds" in job["error"]["message"]
    odd = "{{ 7*7 }}{% for x in [1] %}{{ x }}{% endfor %}"
    assert caller.run(told, {"items": [odd, 1]})["result"] == {"output": f"{odd}1"}


@pytest.mark.slow
def test_the_server_answers_at_once_while_templates_and_patterns_attack(terminal, caller, server):
    def resident():
        return int(Path(f"/proc/{server.process.pid}/status").read_text().split("VmRSS:")[1].split()[0]) << 10

    pattern = {
        "id": "p",
        "type": "extract_pattern",
        "config": {"pattern": r"([ab]*a[ab]{900}c)"},
        "inputs": {"text": "{{ api_input.out.text }}"},
    }
    attacks = [
        (flows.one_node(template(LOOPS), ITEMS, title="Loops"), {"items": list(range(3_000))}),
        (
            flows.one_node(template("{% set x = '\"' %}" + "{% set x = x | json %}" * 40 + "{{ x }}"), title="Memory"),
            {},
        ),
        (flows.one_node(pattern, {"name": "text", "type": "string"}, title="Pattern"), {"text": "ab" * 200_000}),
    ]
    made = [(terminal.flow(file), payload) for file, payload in attacks]
    asking = httpx.Client(base_url=server.url, timeout=5)
    asking.get("/healthz")
    before, slowest, jobs = resident(), 0.0, []
    for flow_id, payload in made:
        jobs.append(caller.accepted(flow_id, payload))
    open_jobs = set(jobs)

    def over():
        nonlocal slowest
        begun = time.perf_counter()
        assert asking.get("/healthz").status_code == 200
        slowest = max(slowest, time.perf_counter() - begun)
        open_jobs.difference_update([job for job in open_jobs if caller.job(job)["status"] in {"completed", "failed"}])
        return not open_jobs

    wait_until(over, "not every job ended")
    asking.close()
    print({"slowest_healthz_ms": round(slowest * 1000), "grown_mib": (resident() - before) >> 20})
    assert slowest < 1, "an attack that held the server up would do so for two seconds"
    assert resident() - before < 100 << 20
