"""Search in 50,000 pieces, by words, by meaning and by both: `python -m tests.benchmarks.knowledge`.

It fills a data folder with made-up texts (words by the frequencies of a language, 768 numbers for each piece), and prints
the time of a search and how much memory the process takes more than before its first search. `--url` names an empty
PostgreSQL database of this machine; the time of its processors counts then, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from engine.actions.knowledge import add_collection
from engine.actions.principal import Principal, command_line
from engine.actions.workspaces import ensure_workspace
from engine.knowledge.search import search
from engine.knowledge.writing import CutDocument, write_document
from engine.models.embeddings import Embedded
from engine.models.usage import ModelCall
from storage.database import Database
from storage.knowledge import find_collection, hold_collection
from storage.knowledge_changes import insert_source
from storage.knowledge_documents import NewPiece
from storage.opening import open_database

PIECES, PER_DOCUMENT, WORDS, DIMENSIONS = 50_000, 50, 150, 768


@dataclass(frozen=True)
class Figures:
    """Milliseconds of a search (median, 95 of 100), of the processor's time alone (95 of 100), and MiB of memory that the
    process took more.
    """

    by: str
    median: float
    p95: float
    cpu: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=PIECES)
    parser.add_argument("--searches", type=int, default=60)
    parser.add_argument("--url", help="a PostgreSQL database instead of SQLite")
    parser.add_argument("--folder", type=Path, help="keep the data here, and fill it only when it is empty")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for one in asyncio.run(measure(asked.folder or Path(folder), asked.pieces, asked.searches, asked.url)):
            print(
                f"{one.by:8} median {one.median:6.1f} ms, p95 {one.p95:6.1f} ms, of the processor p95 {one.cpu:6.1f} ms,"
                f" memory +{one.memory:.1f} MiB"
            )


async def measure(folder: Path, pieces: int, searches: int, url: str | None = None) -> list[Figures]:
    """Fills a folder and measures the three ways of searching, one after the other."""
    database = open_database(folder, url=url, durable=False)
    drawn = random.Random(7)
    words = [
        f"{drawn.choice('bdfgklmnprst')}{drawn.choice('aeiou')}{drawn.choice('lmnrst')}{at}" for at in range(20_000)
    ]
    weights = list(itertools.accumulate(1 / (at + 1) for at in range(len(words))))
    ada = command_line(database.write_now(ensure_workspace, "free"))
    collection = database.read_now(find_collection, ada.workspace_id, "Large")
    begun, busy = time.monotonic(), _processors(database)
    made = collection.id if collection else _fill(database, ada, pieces, words, weights, drawn)
    print(
        f"{pieces:,} pieces of {WORDS} words written in {time.monotonic() - begun:.0f} s, of the processor"
        f" {_processors(database) - busy:.0f} s; {_size(database, folder) >> 20} MiB on disk"
    )

    async def embed(model: str, texts: Sequence[str], purpose: str) -> Embedded:
        vector = tuple(drawn.uniform(-1, 1) for _ in range(DIMENSIONS))
        return Embedded((vector,), ModelCall(model=model, connection="box", attempt=1))

    found = []
    for by in ("words", "meaning", "both"):
        before, times, cpu = _peak(), [], []
        for at in range(searches):
            # every third question has one of the words that stand in most pieces
            question = " ".join(
                drawn.choices(words, cum_weights=weights, k=6) if at % 3 == 0 else drawn.sample(words[50:2_000], 6)
            )
            begun, busy = time.monotonic(), _processors(database)
            hits = await search(database, ada.workspace_id, made, question, embed, by=by)  # type: ignore[arg-type]
            times.append((time.monotonic() - begun) * 1000)
            cpu.append((_processors(database) - busy) * 1000)
            assert hits.hits
        at = max(0, round(len(times) * 0.95) - 1)
        found.append(Figures(by, sorted(times)[len(times) // 2], sorted(times)[at], sorted(cpu)[at], _peak() - before))
    database.close()
    return found


def _fill(
    database: Database,
    ada: Principal,
    pieces: int,
    words: Sequence[str],
    weights: Sequence[float],
    drawn: random.Random,
) -> str:
    """Fills a collection and returns its id."""
    pool = [drawn.randbytes(DIMENSIONS) for _ in range(500)]
    made = database.write_now(add_collection, ada, "Large")
    source_id = database.write_now(
        lambda session: (
            insert_source(session, hold_collection(session, ada.workspace_id, made), "text", "T", {}, "x").id
        )
    )
    for at in range(pieces // PER_DOCUMENT):
        texts = (" ".join(drawn.choices(words, cum_weights=weights, k=WORDS)) for _ in range(PER_DOCUMENT))
        document = CutDocument(f"d{at}", f"Document {at}", "", "hash", tuple(NewPiece(text) for text in texts))
        vectors = [drawn.choice(pool) for _ in range(PER_DOCUMENT)]
        database.write_now(write_document, source_id, None, document, None, "box:large", vectors)
    database.write_now(lambda session: setattr(hold_collection(session, ada.workspace_id, made), "model", "box:large"))
    return made


def _processors(database: Database) -> float:
    """Seconds of the processor that this process and the processes of PostgreSQL behind its connections took so far; the
    latter in hundredths.
    """
    own = time.process_time()
    if not database.is_postgres:
        return own
    query = text("select pid from pg_stat_activity where datname = current_database()")
    pids = database.read_now(lambda session: session.scalars(query).all())
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(said[11]) + int(said[12])
    return own + ticks / os.sysconf("SC_CLK_TCK")


def _size(database: Database, folder: Path) -> int:
    if database.is_postgres:
        query = text("select pg_database_size(current_database())")
        return database.read_now(lambda session: session.scalar(query)) or 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _peak() -> float:
    """The largest resident memory of this process so far, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
