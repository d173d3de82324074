"""Counts the calls of the public API for `/metrics`.

With `serve --processes` any process answers a scrape, so all of them count in files of one folder, which their parent has
made (`api.server_processes.figures_folder`). A process that does not find its files counts for itself, in memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, ProcessCollector, values
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.server_processes import FIGURE_BYTES, FIGURE_FILES

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class CallFigures:
    """Prometheus counters of the calls since this process, or the parent of several, started."""

    def __init__(self, folder: Path | None = None, number: str = "") -> None:
        """`folder`: where several processes count, and `number`: which of them this is."""
        shared = folder is not None and _has_files(folder, number)
        # prometheus_client chooses by the environment alone, with files that it makes as they are needed
        values.ValueClass = values.MultiProcessValue(lambda: number) if shared else values.MutexValue
        counted = CollectorRegistry()
        self._calls = Counter("flowport_api_calls", "Calls of the public API.", ["route", "status"], registry=counted)
        self._seconds = Histogram(
            "flowport_api_call_seconds",
            "From the first byte to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=counted,
        )
        self._shown = CollectorRegistry() if shared else counted
        if shared:
            MultiProcessCollector(self._shown, str(folder))
            self._shown.register(_Processes())
        else:
            ProcessCollector(registry=self._shown)
        #: The series that were counted before: finding one by its labels takes a lock and a comparison of texts.
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, status: int, seconds: float) -> None:
        """Counts one answered call. `route` is the path template of its route, or `?` for a path without a route."""
        known = self._known.get((route, status))
        if known is None:
            try:
                known = self._calls.labels(route, str(status)), self._seconds.labels(route)
            except OSError:  # somebody has removed the files before this process has opened them
                return
            self._known[route, status] = known
        calls, durations = known
        calls.inc()
        durations.observe(seconds)

    def text(self) -> bytes:
        """Returns the counters and the figures of the process, or of all processes, in the text format of Prometheus."""
        return generate_latest(self._shown)


def _has_files(folder: Path, number: str) -> bool:
    """Whether the process with this number has its files in the folder, with all their blocks."""
    try:
        return all((folder / name.format(number)).stat().st_size >= FIGURE_BYTES for name in FIGURE_FILES)
    except OSError:
        return False


class _Processes(Collector):
    """The figures of ProcessCollector for each process that the parent of this one has started."""

    def collect(self) -> Iterable[Metric]:
        parent = os.getppid()
        pids = [str(os.getpid())]
        with contextlib.suppress(OSError):  # a kernel without this file
            pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        families: dict[str, Metric] = {}
        for pid in pids:
            for found in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                for sample in found.samples:
                    family.add_sample(sample.name, {"process": pid}, sample.value)
        return families.values()
