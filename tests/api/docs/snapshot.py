"""The published OpenAPI document. `make openapi` (`python -m tests.api.docs.snapshot`) writes it anew."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.app import api_document
from api.docs.openapi import served_at

SNAPSHOT = Path(__file__).parent / "openapi_snapshot.json"
SERVER = "https://flows.example.com"


def whole() -> dict[str, Any]:
    """Returns the document of the program as it is now."""
    return json.loads(json.dumps(served_at(api_document(), SERVER)))


def changes(before: Any, now: Any, at: str = "") -> Iterator[str]:
    """Yields the place of each difference and what is different there."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            place = f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in now or key not in before:
                yield f"{place} is {'gone' if key in before else 'new'}"
            else:
                yield from changes(before[key], now[key], place)
    elif before != now:
        was, becomes = json.dumps(before), json.dumps(now)
        same = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(was, becomes, strict=False))))
        yield f"{at} was {_from(was, same)} and is {_from(becomes, same)}"


def _from(text: str, same: int) -> str:
    """Returns 200 characters of a text, from a little before the first that is different."""
    start = max(0, same - 40)
    return f"{'...' * bool(start)}{text[start : start + 200]}"


if __name__ == "__main__":
    for line in changes(json.loads(SNAPSHOT.read_text(encoding="utf-8")), whole()):
        print(line)
    SNAPSHOT.write_text(json.dumps(whole(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
