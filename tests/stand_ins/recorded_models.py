"""Answers of model providers as they were recorded, replayed by a server on this machine.

`tests/engine/models/recordings/PROVIDER.json` holds the facts of each exchange in a form of our own:

    name, source   what it shows and where it comes from: a file of a public repository, a public report, or the
                   provider's documentation (`kind`: recorded, reported or documented)
    asked          what the provider was asked: path, model, and the shape of the user's message, in which the bytes of
                   a file stand as BYTES
    status, headers, body or events   the answer; `events` are the events of a stream, `shortened` when some of the
                   middle are left out
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.stand_ins.local_server import LocalServer, Reply, Seen

FOLDER = Path(__file__).parents[1] / "engine" / "models" / "recordings"


@dataclass(frozen=True)
class Recording:
    """One recorded exchange."""

    provider: str
    name: str
    kind: str
    source: str
    asked: dict[str, Any]
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    events: tuple[str, ...] = ()
    shortened: bool = False

    def reply(self) -> Reply:
        if not self.events:
            return Reply.of_json(self.body, self.status, headers=self.headers)
        chunks = tuple(f"{event}\n\n".encode() for event in self.events)
        return Reply(self.status, headers={"content-type": "text/event-stream", **self.headers}, chunks=chunks)


@cache
def recordings(provider: str) -> dict[str, Recording]:
    """Returns the recordings of a provider by name."""
    rows = json.loads((FOLDER / f"{provider}.json").read_text("utf-8"))
    return {row["name"]: Recording(provider, **{**row, "events": tuple(row.get("events", ()))}) for row in rows}


class RecordedModels(LocalServer):
    """Answers each POST request with the next recording; the last one again when there is no other."""

    def __init__(self) -> None:
        super().__init__()
        self._playing: list[Recording] = []

    def play(self, *played: Recording) -> None:
        """Starts over with these recordings."""
        self.requests.clear()
        self._playing = list(played)

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the requests, in order."""
        return [seen.json for seen in self.requests]

    def reply(self, seen: Seen) -> Reply:
        playing = self._playing.pop(0) if len(self._playing) > 1 else self._playing[0]
        return playing.reply()


def shape(value: Any) -> Any:
    """Returns what was sent with BYTES in the place of a file's bytes."""
    if isinstance(value, str):
        if begun := re.match(r"data:[\w/+.-]+;base64,", value):
            return f"{begun.group()}BYTES"
        return "BYTES" if len(value) > 500 else value
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else value
