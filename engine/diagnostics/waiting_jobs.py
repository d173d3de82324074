"""Whether jobs wait for long, and for whom: what a check says of the workers that live."""

from __future__ import annotations

from engine.diagnostics.findings import Line
from storage.server_figures import ServerFigures

#: How long the oldest job may wait.
_WAITING_SECONDS = 60


def check_waiting_jobs(figures: ServerFigures, living: str) -> Line:
    """`living` says who lives: `2 workers live`."""
    waiting = f"{figures.queued} jobs wait, {figures.processing} run"
    if figures.waiting:
        waiting += f", {figures.waiting} {'waits' if figures.waiting == 1 else 'wait'} for a person"
    if figures.oldest_queued_seconds > _WAITING_SECONDS:
        return Line(
            "Worker",
            "warn",
            f"{waiting}; the oldest has waited for {figures.oldest_queued_seconds:.0f} s.",
            "If this stays: more jobs come in than are run. Raise the limit of jobs at once, or add a worker: `app.py worker`.",
        )
    return Line("Worker", "ok", f"{living}; {waiting}.")
