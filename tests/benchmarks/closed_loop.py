"""The closed loop to the completed job, beside a bare FastAPI no-op and beside the last release.

    python -m tests.benchmarks.closed_loop
    python -m tests.benchmarks.closed_loop --only wait,post --clients 1,100 --flow three --seconds 5 --rounds 3

Each caller has one job at a time: by `?wait`, by asking again every 20 ms, or by a batch of BATCH items. `post` accepts
only. `jobs`, `nodes`, `items` and `flight` are the tables of growth. Rates depend on the machine; compare the ratios to
the no-op, which is measured before and after each cell, and the CPU per job. The figures are written as JSON (`--json`).
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import growth
from tests.benchmarks.callers import call
from tests.benchmarks.measured_flows import THREE_NODES, one_call
from tests.benchmarks.stage import BODY, Cell, Stage, stage

RELEASES = Path(__file__).parent / "releases"
WAYS = ("wait", "poll", "batch", "post")
GROWTH = ("jobs", "nodes", "items", "flight")
FLOWS = ("three", "slow")
CLIENTS = (1, 4, 20, 100, 500)
#: How long the call of the slow flow takes.
CALL_MS = 200
#: Jobs of one batch.
BATCH = 10
HEAD = (
    f"{'':32}{'done/s':>8} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8} {'errors':>6}   CPU ms a job: "
    f"{'server':>6} {'worker':>7} {'both':>6} {'no-op':>6} {'times':>6} {'no-op/s':>8}"
)


def measured(options: argparse.Namespace) -> Iterator[Cell | str]:
    """Measures what the options name; a text is a line to print."""
    in_stage = set(options.only) - {"jobs"}
    if in_stage:
        with stage() as at:
            yield from _in_stage(at, options)
    if "jobs" in options.only:
        yield "with so many ended jobs in the table"
        yield from growth.with_jobs(options.jobs, options.seconds, options.rounds)


def _in_stage(at: Stage, options: argparse.Namespace) -> Iterator[Cell | str]:
    flows = {"three": THREE_NODES, "slow": one_call(f"{at.origin}/{CALL_MS}")}
    ways = [way for way in WAYS if way in options.only]
    for name in options.flow if ways else ():
        flow_id = at.deploy(flows[name])
        call(at.load("wait", flow_id, 4, 1.0))  # fills caches
        for way in ways:
            if (way, name) == ("post", "slow"):
                continue  # accepting does not depend on what the flow does
            yield f"{name}, by {way}"
            for clients in options.clients:
                cell = at.measure(way, name, clients, _load(at, way, flow_id, clients, options.seconds), options.rounds)
                yield cell if name == "three" else _beside_ideal(cell)
    if "nodes" in options.only:
        yield "flows of so many nodes"
        yield from growth.with_nodes(at, options.nodes, options.seconds, options.rounds)
    if "items" in options.only:
        yield "lists of so many items"
        yield from growth.with_items(at, options.items, options.seconds, options.rounds)
    if "flight" in options.only:
        yield "jobs in flight, each in one call"
        yield from growth.in_flight(at, options.flight)


def _beside_ideal(cell: Cell) -> Cell:
    """Adds what the callers would get if only the call took time."""
    ideal = cell.size * (BATCH if cell.what == "batch" else 1) * 1000 / CALL_MS
    return dataclasses.replace(cell, note=f"{cell.rate / ideal:.2f} of {ideal:,.0f}/s. {cell.note}".strip())


def _load(at: Stage, way: str, flow_id: str, clients: int, seconds: float) -> Any:
    if way != "batch":
        return at.load(way, flow_id, clients, seconds)
    return at.load(way, flow_id, clients, seconds, body=json.dumps({"items": [json.loads(BODY)] * BATCH}), jobs=BATCH)


def row(cell: Cell) -> str:
    """Returns a cell as a line of the table."""
    both = cell.server_cpu + cell.worker_cpu
    said = f"{cell.what}, {cell.flow}"
    return (
        f"{said:22}{cell.size:>10,}{cell.rate:>8,.0f} {cell.ratio:>6.3f} {cell.p50:>8.1f} {cell.p99:>8.1f} {cell.errors:>6}"
        f"                 {cell.server_cpu:>6.2f} {cell.worker_cpu:>7.2f} {both:>6.2f} {cell.noop_cpu:>6.3f}"
        f" {both / cell.noop_cpu:>6.1f} {cell.noop_rate:>8,.0f}  {cell.note}"
    )


def beside(cells: Iterable[Cell], release: dict[str, Any]) -> Iterator[str]:
    """Compares with a release, cell by cell: the ratio to the no-op, CPU per job as a multiple of the no-op's, and p50."""
    earlier = {cell.key: cell for cell in cells_of(release)}
    yield (
        f"{'beside ' + release['release'] + ' of ' + release['measured']:32}{'ratio':>16} {'CPU / no-op CPU':>18} {'p50 ms':>18}"
    )
    for cell in cells:
        old = earlier.get(cell.key)
        if old is None:
            continue
        now, then = ((c.server_cpu + c.worker_cpu) / c.noop_cpu for c in (cell, old))
        yield (
            f"{cell.what + ', ' + cell.flow:22}{cell.size:>10,}{old.ratio:>8.3f} > {cell.ratio:.3f}"
            f" {then:>9.1f} > {now:<5.1f} {old.p50:>9.1f} > {cell.p50:<9.1f}"
        )


def cells_of(document: dict[str, Any]) -> list[Cell]:
    """Returns the cells of a document that was written by `--json`."""
    return [Cell(**cell) for cell in document["cells"]]


def last_release() -> dict[str, Any] | None:
    """Returns the figures of the last release."""
    files = sorted(RELEASES.glob("*.json"), key=lambda file: [int(part) for part in file.stem.split(".")])
    return json.loads(files[-1].read_text()) if files else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints both tables."""
    options = _options(arguments)
    print(HEAD)
    cells, lines = [], []
    for found in measured(options):
        if isinstance(found, Cell):
            cells.append(found)
        else:
            lines.append(found)
        print(row(found) if isinstance(found, Cell) else found, flush=True)
    document = {
        "release": options.release,
        "measured": dt.datetime.now(dt.UTC).date().isoformat(),
        "note": "Two shared cores. Compare the ratios and the CPU per job; rates depend on the machine.",
        "seconds": options.seconds,
        "rounds": options.rounds,
        "lines": lines,
        "cells": [dataclasses.asdict(cell) for cell in cells],
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    release = last_release()
    if release is not None:
        print()
        print("\n".join(beside(cells, release)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    def names(allowed: Sequence[str]) -> Any:
        def read(text: str) -> list[str]:
            chosen = text.split(",")
            if unknown := set(chosen) - set(allowed):
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: none of {', '.join(allowed)}")
            return chosen

        return read

    def numbers(text: str) -> list[int]:
        return [int(part.replace("_", "")) for part in text.split(",")]

    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.closed_loop", description=__doc__)
    everything = (*WAYS, *GROWTH)
    parser.add_argument("--only", type=names(everything), default=list(everything), help=", ".join(everything))
    parser.add_argument("--flow", type=names(FLOWS), default=list(FLOWS), help=", ".join(FLOWS))
    parser.add_argument("--clients", type=numbers, default=list(CLIENTS))
    parser.add_argument("--jobs", type=numbers, default=list(growth.JOBS), help="ended jobs in the table")
    parser.add_argument("--nodes", type=numbers, default=list(growth.NODES))
    parser.add_argument("--items", type=numbers, default=list(growth.ITEMS))
    parser.add_argument("--flight", type=numbers, default=list(growth.IN_FLIGHT), help="jobs at work at the same time")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each cell")
    parser.add_argument("--rounds", type=int, default=1, help="the median of them is taken")
    parser.add_argument("--release", default="", help="the name of the release that is measured")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
