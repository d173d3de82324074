"""A pytest plugin that measures the CPU time of each test and its child processes, and compares the sum with a budget.

CPU seconds describe the cost of a test better than wall time on a machine that runs other programs. `--cpu-budget
SECONDS` is the limit for all selected tests; the summary prints the sum, the most expensive tests, and the number of
servers and browsers started. A test over COSTLY_SECONDS needs a reason: `@pytest.mark.costly("reason")`.
"""

from __future__ import annotations

import multiprocessing.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres_cluster import POSTGRES, cluster

COSTLY_SECONDS = 20.0
SHOWN = 10
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
#: This process does not see the browser start, as Playwright's driver process starts it; these imports are counted instead.
_BROWSERS = ("playwright.sync_api", "playwright.async_api")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cpu-budget", type=float, default=None, help="CPU seconds that the selected tests may use together"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and config.getoption("numprocesses", None):
        # the controller process of xdist runs no tests itself
        config.pluginmanager.register(_Summary(config), "cpu_summary")
        return
    config.pluginmanager.register(_Meter(config), "cpu_meter")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(config), "cpu_summary")


class _Meter:
    """Measures in a process that runs tests."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._before = _cpu_seconds()
        self._started: Counter[str] = Counter()
        #: Whether a process was started. Until then nobody looks for descendants, which takes longer than many tests.
        self._has_started = False
        self._watch_starts()

    def pytest_collection_finish(self) -> None:
        self._before = self._now()  # importing the test files is not counted as a cost of the first test
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["reading"] = self._before  # type: ignore[attr-defined]
        elif (summary := self._config.pluginmanager.get_plugin("cpu_summary")) is not None:
            summary.reading = self._before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        try:
            return (yield)
        finally:
            now = self._now()
            item.user_properties.append(("cpu", round(max(0.0, now - self._before), 3)))
            item.user_properties.append(("started", dict(self._started)))
            self._before = now
            self._started.clear()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if "browser" in getattr(item, "fixturenames", ()):
            self._count_browsers()

    def _now(self) -> float:
        return _cpu_seconds() + (_descendants(os.getpid()) if self._has_started else 0.0)

    def _watch_starts(self) -> None:
        """Notes each process that is started. A hook for audit events would see them all, too, but Python calls it for
        every `id()`, of which a page takes thousands.
        """
        start, spawn = subprocess.Popen.__init__, multiprocessing.util.spawnv_passfds

        def started(process: Any, *args: Any, **options: Any) -> None:
            self._has_started = True
            self._count_program(args[0] if args else options["args"])
            start(process, *args, **options)

        def spawned(*args: Any) -> int:
            self._has_started = True
            return spawn(*args)

        def forked() -> None:
            self._has_started = True

        subprocess.Popen.__init__ = started
        multiprocessing.util.spawnv_passfds = spawned
        os.register_at_fork(before=forked)

    def _count_program(self, command: Any) -> None:
        if not isinstance(command, (list, tuple)):
            return
        words = [os.fsdecode(word) for word in command]
        program = next((place for place, word in enumerate(words) if word.endswith("app.py")), None)
        if program is not None:
            self._started["servers" if "serve" in words[program + 1 : program + 2] else "commands"] += 1

    def _count_browsers(self) -> None:
        for name in _BROWSERS:
            kind = getattr(sys.modules.get(name), "BrowserType", None)
            if kind is not None and not hasattr(kind, "counted"):
                kind.counted, launch = True, kind.launch

                def counted(launcher: Any, *args: Any, launch: Any = launch, **options: Any) -> Any:
                    self._started["browsers"] += 1
                    return launch(launcher, *args, **options)

                kind.launch = counted


class _Summary:
    """Adds up the measurements of all test processes and prints them."""

    def __init__(self, config: pytest.Config) -> None:
        self._budget: float | None = config.getoption("--cpu-budget")
        #: What reading the test files and what they import took, in all processes.
        self.reading = 0.0
        self._cpu: dict[str, float] = {}
        self._explained: set[str] = set()
        self._started: Counter[str] = Counter()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.reading += getattr(node, "workeroutput", {}).get("reading", 0.0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown":
            return
        said = dict(report.user_properties)
        self._cpu[report.nodeid] = float(said.get("cpu", 0))
        self._started.update(said.get("started", {}))
        if "costly" in report.keywords:
            self._explained.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._cpu:
            return
        used = sum(self._cpu.values())
        budget = f" of {self._budget:.0f} s" if self._budget else ""
        apart = _seconds_of(cluster().pid) if POSTGRES else 0.0
        used += apart
        started = ", ".join(f"{number} {kind}" for kind, number in sorted(self._started.items())) or "no process"
        terminalreporter.section("CPU time")
        terminalreporter.write_line(f"{used:.0f} s{budget} in {len(self._cpu)} tests; started: {started}")
        if apart:
            terminalreporter.write_line(f"{apart:.0f} s of them in PostgreSQL")
        terminalreporter.write_line(f"{self.reading:.0f} s more to read the tests, before the first began")
        costliest = sorted(self._cpu.items(), key=lambda test: -test[1])
        for test, seconds in costliest[:SHOWN]:
            terminalreporter.write_line(f"{seconds:7.1f} s  {test}")
        if self._budget and used > self._budget:
            terminalreporter.write_line(
                "OVER BUDGET: make tests cheaper, or say in the Makefile why the tier needs more."
            )
        for test, seconds in costliest:
            if seconds > COSTLY_SECONDS and test not in self._explained:
                terminalreporter.write_line(f'COSTLY: {test} needs @pytest.mark.costly("why it takes {seconds:.0f} s")')


def _cpu_seconds() -> float:
    """Returns the CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _descendants(pid: int) -> float:
    return sum(map(_seconds_of, _children(pid)))


def _seconds_of(pid: int | None) -> float:
    """Returns the CPU seconds of a process and all of its descendants."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # the process ended in the meantime
    return sum(map(int, fields[11:15])) / _TICKS + sum(map(_seconds_of, _children(pid or 0)))


def _children(pid: int) -> list[int]:
    """Returns the child processes of all threads of a process; none on systems without /proc."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return found
    return found
