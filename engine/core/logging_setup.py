"""Log lines on stderr, without secrets: values that were told and strings that look like keys are blacked out (S26).

Each process learns a secret when its vault seals or opens it, so no line that it writes from then on holds it. What stands in
a line never makes a second one or moves the cursor: line ends and other control characters are written as escapes.

Readable by default. With `FLOWPORT_LOG=json` every line is one JSON object with `time`, `level`, `logger`, `message` and what is
known of `request_id`, `job_id`, `flow_id` ...; then each call of the public API and each end of a job has a line of its own too.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from engine.core.redaction import Redaction

log = logging.getLogger(__name__)

LogStyle = Literal["text", "json"]
LOG_STYLES: tuple[LogStyle, ...] = ("text", "json")

#: The job whose code is running: tasks that a run starts inherit it, so the watchdog can tell whose task it is.
CURRENT_JOB: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_job", default=None)
#: Loggers with a line per call or job: wanted where a program reads the log, too many where a person does.
EACH_CALL, EACH_JOB = "flowport.calls", "flowport.jobs"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Line ends of every kind, control characters, and those that turn the direction of writing.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: Before each line of a traceback: what an error says cannot pass for a line of the log.
_INDENT = "  "

_hidden = Redaction()
_known: set[str] = set()
_learning = threading.Lock()


def hide_in_logs(secret: str) -> None:
    """From now on no line of this process shows this value. From any thread."""
    if secret not in _known:
        with _learning:
            _known.add(secret)
            _hidden.add(secret)


def log_to_stderr(secrets: Iterable[str] = (), style: LogStyle = "text") -> None:
    """Our own lines from INFO on, those of libraries from WARNING on."""
    for secret in secrets:
        hide_in_logs(secret)
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_JsonLines() if style == "json" else _Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    sys.excepthook, threading.excepthook = _tell_end, _tell_end_of_thread
    for name in ("api", "engine", "storage", "ui"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in (EACH_CALL, EACH_JOB):
        logging.getLogger(name).setLevel(logging.INFO if style == "json" else logging.WARNING)


def _tell_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The interpreter's own last words would come past the log, with whatever secret the error holds."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("The program ended by an error", exc_info=(kind, error, trace))


def _tell_end_of_thread(end: threading.ExceptHookArgs) -> None:
    """The same of a thread."""
    if end.exc_type is not SystemExit and end.exc_value is not None:
        name = end.thread.name if end.thread is not None else "?"
        log.error("The thread %s ended by an error", name, exc_info=(end.exc_type, end.exc_value, end.exc_traceback))


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
    """The line behind the name of its process, without secrets: an interpreter's own tracebacks come past its log."""
    return f"{process} {_escaped(_hidden.text(line))}"


def as_json(line: str, process: str) -> str:
    """JSON stays as it is, without secrets, and names its process; anything else becomes a message."""
    line = _hidden.text(line)
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        said = {"time": _when(datetime.now(UTC).timestamp()), "level": "INFO", "logger": "worker", "message": line}
    return _json_line({**said, "process": process})


def _escaped(text: str) -> str:
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _json_line(said: Mapping[str, Any]) -> str:
    text = json.dumps(said, ensure_ascii=False, default=str)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _Lines(logging.Formatter):
    """Hides, and then escapes. A traceback has lines of its own below."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        record.message = _hidden.text(record.getMessage())
        record.asctime = self.formatTime(record)
        lines = [_escaped(self.formatMessage(record))]
        for below in (record.exc_info and self.formatException(record.exc_info), record.stack_info):
            # only here a line feed ends a line; whatever else does so in an error's text is escaped
            lines += (_INDENT + _escaped(line) for line in (_hidden.text(below).split("\n") if below else ()))
        return "\n".join(lines)


class _JsonLines(_Lines):
    """One JSON object a line. Secrets are hidden in every value before it is quoted."""

    def format(self, record: logging.LogRecord) -> str:
        hide = _hidden.text
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
        return _json_line(line)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
