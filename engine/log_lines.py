"""Log lines on stderr, without secrets: values that were told and strings that look like keys are blacked out (S26)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

from engine.jobs.values import Redaction

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Lines(logging.Formatter):
    """Formats a record, its traceback included, and then hides."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(_FORMAT)
        self._redaction = Redaction()
        for secret in secrets:
            self._redaction.add(secret)

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.text(super().format(record))


def log_to_stderr(secrets: Iterable[str] = ()) -> None:
    """Our own lines from INFO on, those of libraries from WARNING on."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_Lines(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    for name in ("api", "engine", "storage", "ui"):
        logging.getLogger(name).setLevel(logging.INFO)
