"""The sandbox: no template escapes from it or exhausts the machine, and no process is left behind (S5, S6, S7)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.core.shared_places import CURRENT_WORKSPACE
from engine.flow.references import BadReference
from engine.flow.template_language import TemplateWrong, read_template
from engine.sandbox.limits import LIMITS
from engine.sandbox.pool import RenderFailed, Sandbox
from engine.sandbox.system_calls import can_limit_calls
from tests.engine.sandbox.template_attacks import DATA, ESCAPES, FAILING, REFUSED, RESOURCES
from tests.running_processes import is_running

pytestmark = pytest.mark.process

PROJECT = Path(__file__).parents[3]
ENDLESS = "{% for a1 in a.out %}{% for b1 in a.out %}{% for c1 in a.out %}{% endfor %}{% endfor %}{% endfor %}"
MANY = {"a": {"out": [0] * 3_000}}


@pytest.fixture
async def sandbox():
    sandbox = Sandbox()
    yield sandbox
    await sandbox.close()


def refused_before_it_runs(template):
    try:
        return any(isinstance(one, BadReference) for one in read_template(template).references)
    except TemplateWrong:
        return True


async def is_gone(pid):
    """Waits until a process has ended. If it never ends, the test fails by its time limit."""
    while is_running(pid):
        await asyncio.sleep(0.02)
    return True


def ticks(pid):
    """Returns the CPU time of a process in clock ticks."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))


async def test_no_escape_reaches_anything_but_data(sandbox):
    assert len(ESCAPES) >= 60
    seen = {}
    for template, expected in ESCAPES:
        if expected == REFUSED:
            seen[template] = REFUSED if refused_before_it_runs(template) else "runs"
        else:
            seen[template] = await sandbox.render(template, DATA)
    assert seen == dict(ESCAPES)


async def test_what_is_refused_gives_nothing_away_when_it_runs_all_the_same(sandbox):
    for template, expected in ESCAPES:
        if expected == REFUSED:
            try:
                text = await sandbox.render(template, DATA)
            except RenderFailed:
                text = ""
            assert text in {"", "false"}, template


async def test_what_cannot_be_done_fails_with_its_line(sandbox):
    for template in FAILING:
        with pytest.raises(RenderFailed, match="Line 2: "):
            await sandbox.render(f"first\n{template}", DATA)


async def test_every_resource_attack_ends_without_text(sandbox):
    """Each is stopped by a check or by the pool's time limit of two seconds; the time limit of the test is the
    assertion.
    """
    assert len(RESOURCES) >= 20
    for name, (template, data) in RESOURCES.items():
        async with asyncio.timeout(
            LIMITS["templates"].seconds + 20
        ):  # long, so that it catches a hanging process but not a busy machine
            with pytest.raises(RenderFailed) as failed:
                await sandbox.render(template, {"a": {"out": data}})
        assert failed.value.message, name
    assert await sandbox.render("{% if true %}fine{% endif %}", {}) == "fine"


async def test_the_loop_goes_on_while_a_template_does_not_end(sandbox):
    async def rendered():
        with pytest.raises(RenderFailed, match="longer than 2 seconds"):
            await sandbox.render(ENDLESS, MANY)

    turns = 0
    working = [asyncio.create_task(rendered()) for _ in range(2)]
    while not all(one.done() for one in working):
        await asyncio.sleep(0.01)
        turns += 1
    await asyncio.gather(*working)
    assert turns > 2, "a loop that stands still has one or two"


async def test_a_cancelled_rendering_ends_its_process(sandbox):
    await sandbox.render("{% if true %}{% endif %}", {})
    (pid,) = sandbox.pids
    rested = ticks(pid)
    work = asyncio.create_task(sandbox.render(ENDLESS, MANY))
    while ticks(pid) <= rested:
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await is_gone(pid)
    assert await sandbox.render("{% if true %}again{% endif %}", {}) == "again"


async def test_a_process_that_was_killed_is_replaced(sandbox):
    await sandbox.render("{% if true %}{% endif %}", {})
    (pid,) = sandbox.pids
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RenderFailed, match="stopped"):
        await sandbox.render("{% if true %}lost{% endif %}", {})
    assert await sandbox.render("{% if true %}new{% endif %}", {}) == "new"
    assert sandbox.pids != [pid]


async def test_a_process_is_replaced_after_its_calls(sandbox, monkeypatch):
    monkeypatch.setitem(LIMITS, "templates", replace(LIMITS["templates"], calls=3))
    used = []
    for _ in range(7):
        await sandbox.render("{% if true %}{% endif %}", {})
        used += sandbox.pids or ["ended"]
    assert [one == "ended" for one in used] == [False, False, True, False, False, True, False]
    assert len(set(used)) == 4


async def test_two_at_once_and_no_more(sandbox):
    texts = await asyncio.gather(
        *(sandbox.render("{% for x in a.out %}{{ x }}{% endfor %}", {"a": {"out": [number]}}) for number in range(50))
    )
    assert texts == [str(number) for number in range(50)]
    assert 1 <= len(sandbox.pids) <= 2


async def test_slow_templates_of_one_workspace_hold_up_no_other(sandbox):
    """Three such calls have the limit of two seconds each, and so have the two that run now."""
    slow = [asyncio.create_task(of_workspace("a", sandbox.render(ENDLESS, MANY))) for _ in range(6)]
    while len(sandbox.pids) < 2:
        await asyncio.sleep(0.01)
    assert await of_workspace("b", sandbox.render("{% if true %}hello{% endif %}", {})) == "hello"
    ended = [one for one in slow if one.done()]
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert len(ended) <= 2


async def of_workspace(workspace, work):
    CURRENT_WORKSPACE.set(workspace)
    return await work


async def test_closing_ends_every_process_also_busy_ones():
    sandbox = Sandbox()
    work = asyncio.create_task(sandbox.render(ENDLESS, MANY))
    while not sandbox.pids:
        await asyncio.sleep(0.01)
    (pid,) = sandbox.pids
    await sandbox.close()
    with pytest.raises(RenderFailed):
        await work
    assert await is_gone(pid)
    with pytest.raises(RenderFailed, match="stopping"):
        await sandbox.render("{% if true %}{% endif %}", {})


async def test_the_process_has_nothing_of_ours(sandbox, monkeypatch):
    monkeypatch.setenv("CANARY", "secret-of-the-worker")
    # open file descriptors that the sandbox process must not inherit
    with Path(__file__).open(), Path("/dev/null").open("wb"):
        await sandbox.render("{% if true %}{% endif %}", {})
    (pid,) = sandbox.pids
    about = Path(f"/proc/{pid}")
    assert b"CANARY" not in (about / "environ").read_bytes()
    assert sorted(one.name for one in (about / "fd").iterdir()) == ["0", "1", "2"]
    assert (about / "cwd").readlink() == Path("/")
    assert b"-I" in (about / "cmdline").read_bytes().split(b"\0")
    told = {line[:26].strip(): line[26:].split()[1] for line in (about / "limits").read_text().splitlines()[1:]}
    assert told["Max address space"] == str(LIMITS["templates"].memory)
    assert told["Max file size"] == "0"
    assert told["Max core file size"] == "0"
    assert told["Max open files"] == "3"


def test_a_locked_process_can_open_nothing():
    tried = """
        import socket, sys
        from engine.sandbox.evaluator import lock_up
        lock_up(400 << 20)
        for attempt in (lambda: open("/etc/passwd"), lambda: open("/tmp/x", "w"), socket.socket, lambda: b"x" * (500 << 20)):
            try:
                attempt()
            except (OSError, MemoryError):
                continue
            sys.exit(1)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(tried)], cwd=PROJECT, check=True)


def run_apart(program):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=PROJECT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_limited_process_makes_no_call_that_reaches_out():
    """Each is tried with the system call itself, past Python: it fails with EPERM."""
    tried = """
        import ctypes, errno, mmap, os, socket, subprocess, threading
        from engine.sandbox.system_calls import allow_only_listed_calls
        libc = ctypes.CDLL(None, use_errno=True)
        os.stat, os.getpid  # imported before
        allow_only_listed_calls()
        for name, arguments in {
            "open": (b"/etc/passwd", 0), "openat": (-100, b"/etc/passwd", 0), "socket": (2, 1, 0), "fork": (), "vfork": (),
            "kill": (os.getppid(), 0), "execve": (b"/bin/sh", None, None), "ptrace": (0, 0, 0, 0), "unlink": (b"/tmp/x",),
            "prctl": (22, 0, 0, 0, 0), "setuid": (0,), "pipe": (ctypes.create_string_buffer(8),), "dup": (1,),
            "memfd_create": (b"x", 0), "chdir": (b"/tmp",), "connect": (1, None, 0), "shmget": (0, 4096, 0o1600),
        }.items():
            ctypes.set_errno(0)
            answer = getattr(libc, name)(*arguments)
            print(name, answer, errno.errorcode.get(ctypes.get_errno()))
        x = [bytearray(1 << 20) for _ in range(50)]
        print("alive")
    """
    *refused, alive = run_apart(tried).split("\n")[:-1]
    assert alive == "alive"
    assert [one.split()[1:] for one in refused] == [["-1", "EPERM"]] * 17, refused


def test_a_system_without_the_filter_keeps_the_other_limits(monkeypatch):
    tried = """
        import platform
        platform.machine = lambda: "riscv64"
        from engine.sandbox.evaluator import lock_up
        from engine.sandbox.system_calls import can_limit_calls
        assert not can_limit_calls()
        lock_up(400 << 20)
        try:
            open("/etc/passwd")
        except OSError as error:
            print(error.strerror)
    """
    assert run_apart(tried) == "Too many open files\n"


async def test_every_kind_of_process_runs_behind_the_filter(sandbox):
    def filtered():
        (pid,) = sandbox.pids
        return "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()

    assert can_limit_calls()
    await sandbox.render("{% if true %}{% endif %}", {})
    assert filtered()
    await sandbox.close()


async def test_nothing_is_left_when_the_worker_is_killed():
    program = f"""
        import asyncio, sys
        from engine.sandbox.pool import Sandbox
        async def main():
            sandbox = Sandbox()
            await asyncio.gather(*(sandbox.render("{{% if true %}}{{% endif %}}", {{}}) for _ in range(2)))
            await asyncio.sleep(0)
            work = asyncio.create_task(sandbox.render({ENDLESS!r}, {MANY!r}))
            await asyncio.sleep(0.05)
            print(*sandbox.pids, flush=True)
            await work
        asyncio.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=PROJECT, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        line = await asyncio.to_thread(worker.stdout.readline)
        pids = [int(pid) for pid in line.split()]
        worker.kill()
    assert pids
    for pid in pids:
        assert await is_gone(pid)


async def test_data_that_holds_one_list_again_and_again_is_refused_before_it_is_written(sandbox):
    """As JSON it would have 30 GB."""
    data = ["x", "x"]
    for _ in range(10):
        data = [data] * 10
    with pytest.raises(RenderFailed, match="too large"):
        await sandbox.render("{% if a.out %}x{% endif %}", {"a": {"out": data}})
    assert sandbox.pids == []


async def test_data_that_looks_like_a_template_comes_out_as_it_is(sandbox):
    odd = "{{ 7*7 }} {% for x in [1] %}{{ x }}{% endfor %} {# note #}"
    template = "{% for x in a.out %}{{ x }}{{ x | trim }}{% endfor %}"
    assert await sandbox.render(template, {"a": {"out": [odd]}}) == odd * 2


@pytest.mark.slow
async def test_many_attacks_one_after_another_leave_the_memory_as_it_was(sandbox):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    longest = 0.0
    for _ in range(3):
        for template, data in RESOURCES.values():
            begun = time.monotonic()
            with pytest.raises(RenderFailed):
                await sandbox.render(template, {"a": {"out": data}})
            longest = max(longest, time.monotonic() - begun)
    print(json.dumps({"longest_seconds": round(longest, 2), "grown_bytes": resident() - before}))
    assert longest < LIMITS["templates"].seconds + 1
    assert resident() - before < 100 << 20
