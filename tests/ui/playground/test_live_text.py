"""The Run panel shows the text of a model while the model writes it."""

from __future__ import annotations

from typing import Any

from nicegui.testing import User
from sqlalchemy.orm import Session

from engine.core.ids import JobId
from storage.events import add_events
from storage.tables import Job, ModelCall, Step
from tests.factories import greeting
from tests.ui.arrange import page_text
from tests.ui.conftest import Site
from tests.ui.playground.runs import playground_run
from tests.ui.playground.test_run_panel import opened

INPUT = [{"id": "e1", "source": "api_input", "target": "prompt"}]


def prompting() -> dict[str, Any]:
    file = greeting(edges=INPUT)
    file["nodes"][1] = {"id": "prompt", "type": "prompt", "config": {"model": "simulated"}, "inputs": {"prompt": "Hi"}}
    return file


def running(site: Site, flow_id: str, index_path: str = "") -> JobId:
    """A run whose Prompt is being answered."""
    job_id = playground_run(site, flow_id, {"name": "Ada"}, status="processing")

    def begin(session: Session) -> None:
        job = session.get_one(Job, job_id)
        job.completed_at, job.started_at = None, job.created_at
        session.add(
            Step(
                job_id=job_id, node_id="prompt", index_path=index_path, status="running", attempt=1, tries=0,
                started_at=job.created_at, input_tokens=0, output_tokens=0, model_calls=0, simulated=False,
            )
        )  # fmt: skip

    site.database.write_now(begin)
    return job_id


def write(site: Site, job_id: JobId, text: str, call: int = 1, index: tuple[int, ...] = ()) -> None:
    """Adds text that the model has written."""

    def add(session: Session) -> None:
        job = session.get_one(Job, job_id)
        job.last_seq += 1
        data = {"node_id": "prompt", "index": list(index), "call": call, "text": text}
        add_events(session, job_id, job.last_seq, [("step.delta", site.clock.now(), data)])

    site.database.write_now(add)


async def test_text_grows_while_a_model_writes_and_begins_anew_with_another_call(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=prompting())
    job_id = running(site, flow_id)
    write(site, job_id, "Dear <b>Ada</b>, ")
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("The model writes", retries=100)
    assert "Dear <b>Ada</b>, " in page_text(user)
    write(site, job_id, "{{ 7*7 }} sheep")
    await user.should_see("Dear <b>Ada</b>, {{ 7*7 }} sheep", retries=100)
    write(site, job_id, "Hello", call=2)
    await user.should_see("Hello", retries=100)
    assert "sheep" not in page_text(user)


async def test_a_step_that_writes_nothing_yet_shows_no_empty_text(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=prompting())
    job_id = running(site, flow_id)
    await opened(user, flow_id, f"?job={job_id}")
    assert "The model writes" not in page_text(user)


async def test_text_for_an_item_of_a_list_in_a_list_is_found(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=prompting())
    job_id = running(site, flow_id, "3/0")
    write(site, job_id, "Dear Ada", index=(3, 0))
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("Dear Ada", retries=100)


async def test_a_step_says_while_it_waits_that_its_model_is_asked_again_and_why(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=prompting())
    job_id = running(site, flow_id)
    await opened(user, flow_id, f"?job={job_id}")
    said = "shop:gpt gave no answer (230 ms): Model not reachable (model_unreachable). It is asked again."
    assert said not in page_text(user)
    called(site, job_id, flow_id, error="model_unreachable")
    await user.should_see(said, retries=100)
    called(site, job_id, flow_id)
    await user.should_not_see(said, retries=100)


def called(site: Site, job_id: JobId, flow_id: str, error: str | None = None) -> None:
    """Adds a call of the Prompt's model, as the worker stores it while the step runs."""
    call = ModelCall(
        workspace_id=site.workspace_id, job_id=job_id, flow_id=flow_id, node_id="prompt", index_path="",
        at=site.clock.now(), connection="shop", model="gpt", input_tokens=0, output_tokens=0, cost_nanos=0,
        duration_ms=230, simulated=False, error=error,
    )  # fmt: skip
    site.database.write_now(lambda session: session.add(call))
