"""Counts the calls of the public API for `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class CallFigures:
    """Prometheus counters of the calls since this process started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "flowport_api_calls", "Calls of the public API.", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "flowport_api_call_seconds",
            "From the first byte to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        #: The series that were counted before: finding one by its labels takes a lock and a comparison of texts.
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, status: int, seconds: float) -> None:
        """Counts one answered call. `route` is the path template of its route, or `?` for a path without a route."""
        known = self._known.get((route, status))
        if known is None:
            known = self._known[route, status] = self._calls.labels(route, str(status)), self._seconds.labels(route)
        calls, durations = known
        calls.inc()
        durations.observe(seconds)
