"""Log lines on stderr, without secrets: values that were told and strings that look like keys are blacked out (S26).

Readable by default. With `FLOWPORT_LOG=json` every line is one JSON object with `time`, `level`, `logger`, `message` and what is
known of `request_id`, `job_id`, `flow_id` ...; then each call of the public API and each end of a job has a line of its own too.
"""

from __future__ import annotations

import contextvars
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from engine.jobs.values import Redaction

LogStyle = Literal["text", "json"]
LOG_STYLES: tuple[LogStyle, ...] = ("text", "json")

#: The job whose code is running: tasks that a run starts inherit it, so the watchdog can tell whose task it is.
CURRENT_JOB: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_job", default=None)
#: Loggers with a line per call or job: wanted where a program reads the log, too many where a person does.
EACH_CALL, EACH_JOB = "flowport.calls", "flowport.jobs"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(secrets: Iterable[str] = (), style: LogStyle = "text") -> None:
    """Our own lines from INFO on, those of libraries from WARNING on."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_JsonLines(secrets) if style == "json" else _Lines(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    for name in ("api", "engine", "storage", "ui"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in (EACH_CALL, EACH_JOB):
        logging.getLogger(name).setLevel(logging.INFO if style == "json" else logging.WARNING)


def known(**fields: Any) -> dict[str, Any]:
    """The `extra` of a log call: fields of the JSON line beside its message."""
    return {"fields": fields}


def worker_line(style: LogStyle) -> Callable[[str, str], str]:
    """How the server writes a line that a worker wrote: (line, name of the process) -> line."""
    return as_json if style == "json" else as_text


def write_to_stderr(line: str) -> None:
    """The line and its end in one piece: the server's own lines come from other threads, and none may come between."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def as_text(line: str, process: str) -> str:
    """The line behind the name of its process."""
    return f"{process} {line}"


def as_json(line: str, process: str) -> str:
    """JSON stays as it is and names its process; anything else becomes a message."""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        said = {"time": _when(datetime.now(UTC).timestamp()), "level": "INFO", "logger": "worker", "message": line}
    return json.dumps({**said, "process": process}, ensure_ascii=False)


class _Lines(logging.Formatter):
    """Formats a record, its traceback included, and then hides."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(_FORMAT)
        self._redaction = Redaction()
        for secret in secrets:
            self._redaction.add(secret)

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.text(super().format(record))


class _JsonLines(_Lines):
    """One JSON object a line. Secrets are hidden in every value before it is quoted."""

    def format(self, record: logging.LogRecord) -> str:
        hide = self._redaction.text
        line: dict[str, Any] = {
            "time": _when(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": hide(record.getMessage()),
        }
        if job_id := CURRENT_JOB.get():
            line["job_id"] = job_id
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        line |= {name: hide(value) if isinstance(value, str) else value for name, value in fields.items()}
        if record.exc_info:
            line["traceback"] = hide(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
