"""A list of HTTP requests in one job, through the public API, its worker, and a local server with a fixed delay."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.live import flows
from tests.live.caller import Terminal
from tests.live.test_endings import worker_of
from tests.live_server import free_port, live_server

ITEMS = 1_000
AT_ONCE = 50
WAIT = 0.2
ROUNDS = 3


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the last part of the path, after WAIT, on a persistent connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(WAIT)
            said = head.split(b" ", 2)[1].rsplit(b"/", 1)[1]
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(said) + said
            )
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@contextmanager
def slow_server() -> Iterator[str]:
    """Starts the delayed server and yields its origin."""
    port, loop = free_port(), asyncio.new_event_loop()
    loop.run_until_complete(asyncio.start_server(_answer, "127.0.0.1", port, backlog=512))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


async def by_hand(urls: list[str]) -> float:
    """Returns the seconds for the same requests with a bare client and AT_ONCE workers."""
    waiting = iter(urls)

    async def work(client: httpx.AsyncClient) -> None:
        for url in waiting:
            (await client.get(url)).raise_for_status()

    begun = time.perf_counter()
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=AT_ONCE)) as client:
        await asyncio.gather(*(work(client) for _ in range(AT_ONCE)))
    return time.perf_counter() - begun


def most_memory(pid: int) -> float:
    """Returns the peak resident memory of the process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    """Prints how near a real job comes to the ideal rate, and what its worker uses for it."""
    with tempfile.TemporaryDirectory() as folder, slow_server() as origin:
        urls = [f"{origin}/{number}" for number in range(ITEMS)]
        allow = {"FLOWPORT_OUTBOUND_ALLOW": origin.removeprefix("http://")}
        with live_server(Path(folder) / "data", env=allow) as server:
            terminal = Terminal(server)
            flow_id = terminal.flow(flows.in_a_list(AT_ONCE))
            caller = terminal.caller()
            caller.ended(caller.accepted(flow_id, {"urls": urls[:AT_ONCE]}))
            pid = worker_of(server)
            assert pid is not None
            before, times, bare = most_memory(pid), [], []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                job = caller.ended(caller.accepted(flow_id, {"urls": urls}))
                times.append(time.perf_counter() - begun)
                assert job["result"]["output"]["items"] == [f"{number}: {number}" for number in range(ITEMS)], job
                bare.append(asyncio.run(by_hand(urls)))
            grew = most_memory(pid) - before
            terminal.close()
    ideal, spent, client = ITEMS / AT_ONCE * WAIT, statistics.median(times), statistics.median(bare)
    print(
        f"{ITEMS:,} HTTP Requests of {WAIT * 1000:.0f} ms, {AT_ONCE} at once: {ideal / spent:.0%} of the ideal rate "
        f"(a bare httpx client {ideal / client:.0%}), in order, the worker took {grew:.0f} MiB more"
    )


if __name__ == "__main__":
    main()
