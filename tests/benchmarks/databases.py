"""Calls on PostgreSQL beside the same calls on SQLite: `python -m tests.benchmarks.databases`.

Both servers run with their workers at the same time, and are called in turns. PostgreSQL is on this machine, syncs its
log, and shares the cores with everything else.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from storage.database import Database
from storage.opening import open_database
from tests.benchmarks.callers import Load, Outcome, call
from tests.benchmarks.measured_flows import THREE_NODES
from tests.benchmarks.process_cost import cpu_of_both
from tests.benchmarks.stage import Stage, bare_noop, new_key
from tests.chaos.machines import Postgres
from tests.live_server import LiveServer, free_port

CLIENTS, SECONDS, ROUNDS = (4, 32, 100), 5.0, 3


class OnPostgres(LiveServer):
    """A server whose database is named in its environment."""

    @functools.cached_property
    def store(self) -> Database:
        return open_database(self.data, url=self.env["FLOWPORT_DATABASE_URL"])


@contextlib.contextmanager
def both(folder: Path) -> Iterator[dict[str, Stage]]:
    """Starts PostgreSQL and a server on each database."""
    folder.chmod(0o755)
    postgres = Postgres(folder / "postgres", free_port(), "127.0.0.1")
    postgres.make()
    key = folder / "secret.key"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    shared = {"FLOWPORT_DATABASE_URL": postgres.url, "FLOWPORT_SECRET_KEY_FILE": str(key)}
    servers = {"SQLite": LiveServer(folder / "one"), "PostgreSQL": OnPostgres(folder / "other", env=shared)}
    try:
        with bare_noop() as (port, pid):
            yield {name: Stage(server.start(), new_key(server), "", port, pid) for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.close_store()
            if server.process is not None and server.process.poll() is None:
                server.stop()
        postgres.stop()


def main() -> None:
    """Prints calls a second on both, their ratio, and what a call costs."""
    with tempfile.TemporaryDirectory() as folder, both(Path(folder)) as stages:
        flows = {name: stage.deploy(THREE_NODES) for name, stage in stages.items()}
        print("| | clients | SQLite/s | PostgreSQL/s | ratio | p50 ms | CPU ms of server and worker |\n|" + "---|" * 7)
        for way in ("post", "wait"):
            for clients in CLIENTS:
                found: dict[str, list[tuple[Outcome, float]]] = {name: [] for name in stages}
                for _ in range(ROUNDS):
                    for name, stage in stages.items():
                        found[name].append(_round(stage, stage.load(way, flows[name], clients, SECONDS)))
                rates = {name: statistics.median(one.rate for one, _ in them) for name, them in found.items()}
                waits = [statistics.median(one.p50 for one, _ in them) for them in found.values()]
                costs = [statistics.median(cost for _, cost in them) for them in found.values()]
                ratio = rates["PostgreSQL"] / rates["SQLite"]
                print(
                    f"| {way} | {clients} | {rates['SQLite']:,.0f} | {rates['PostgreSQL']:,.0f} | {ratio:.2f} |"
                    f" {waits[0]:.1f} / {waits[1]:.1f} | {costs[0]:.2f} / {costs[1]:.2f} |",
                    flush=True,
                )


def _round(stage: Stage, load: Load) -> tuple[Outcome, float]:
    before = sum(cpu_of_both(stage.pid))
    outcome = call(load)
    assert not outcome.errors, outcome.first_error
    stage.wait_until_idle()
    return outcome, (sum(cpu_of_both(stage.pid)) - before) * 1000 / max(1, outcome.done)


if __name__ == "__main__":
    main()
