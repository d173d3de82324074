"""Forged events of a person who may only look are refused before any work is done for them (S18): what a paste, an edit
or a run costs is asked of nobody who may not make it.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from engine.core.paths import PROJECT
from engine.flow.document import MAX_BYTES
from engine.flow.edits import paste_ops
from tests.logical_time import pass_time
from tests.ui.arrange import draft, until
from tests.ui.conftest import Site
from tests.ui.playground.test_warnings import canvas
from tests.ui.test_viewer import FORGED, fire_everything

NODE = {"id": "x", "type": "text_template", "inputs": {"template": "{{ api_input.out.name }}"}}
PASTED = {"nodes": [NODE], "edges": [], "notes": [{"id": "note", "text": "x"}]}
EVENTS = (
    *FORGED,
    {"id": "text_template", "nodes": ["text_template"]},  # opens it in the inspector, whose events follow
    {"verb": "copy", "id": "text_template"},
    {"mode": "node", "node": "text_template"},
    PASTED,
    {"from": 0, "to": 0, "text": "x", "base": 0},
)
#: What makes, applies or checks an edit or a run.
WORK = ("engine/flow/edits.py", "engine/flow/branch_edits.py", "engine/flow/payload_check.py")
READS = frozenset({"has_patterns"})


@contextmanager
def work_done() -> Iterator[Counter[str]]:
    """Counts the calls of functions of WORK."""
    found: Counter[str] = Counter()
    files = {str(PROJECT / one) for one in WORK}

    def look(frame: FrameType, event: str, _arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename in files and code.co_name not in READS:
            found[code.co_qualname] += 1

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_no_event_of_a_viewer_has_an_edit_made_or_a_run_checked(site: Site, role: str) -> None:
    flow_id = site.flow()
    user = await site.sign_in(role)
    client = await user.open(f"/playground/{flow_id}")
    with work_done() as found:
        assert await fire_everything(client, lambda: bool(found) and role == "editor", EVENTS)
        await pass_time(0.1)

    assert bool(found) == (role == "editor"), found


async def test_a_large_paste_is_made_beside_the_event_loop_and_one_larger_than_a_flow_is_refused(site: Site) -> None:
    flow_id = site.flow()
    user = await site.sign_in("editor")
    await user.open(f"/playground/{flow_id}")
    before = len(draft(site, flow_id).nodes)
    threads: set[str] = set()

    def look(frame: FrameType, event: str, _arg: Any) -> None:
        if event == "call" and frame.f_code is paste_ops.__code__:
            threads.add(threading.current_thread().name)

    threading.setprofile(look)  # for threads that begin
    sys.setprofile(look)
    try:
        canvas(user).trigger("pasterequest", pasted("x" * 100_000))
        await until(lambda: len(draft(site, flow_id).nodes) == before + 1)
        canvas(user).trigger("pasterequest", pasted("x" * MAX_BYTES))
        await user.should_see("What was pasted is larger than a flow may be (1 MiB)")
    finally:
        threading.setprofile(None)
        sys.setprofile(None)

    assert [name.partition("_")[0] for name in threads] == ["page"]
    assert len(draft(site, flow_id).nodes) == before + 1


def pasted(text: str) -> dict[str, Any]:
    return PASTED | {"nodes": [NODE | {"inputs": {"template": text}}]}
