"""Log lines on stderr without secrets: known secret values and strings that look like keys are replaced (S26).

Each process learns a secret when its vault seals or opens it, so that no later line contains it. A value in a line
cannot start a new line or move the cursor: line ends and other control characters are escaped.

The default format is for people. With `FLOWPORT_LOG=json` every line is a JSON object with `time`, `level`, `logger`,
`message` and the known ones of `request_id`, `job_id`, `flow_id` ...; each call of the public API and each end of a job
then has its own line too.

A line that cannot be written (full disk, closed or full pipe, closed stream) is dropped: no log call raises, and nothing
of the line waits in a buffer of a process that set up its streams (`engine.core.standard_streams`).
"""

from __future__ import annotations

import contextlib
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

#: The id of the job whose code runs. Tasks that a run starts inherit it, so that the watchdog knows to which job a task
#: belongs.
CURRENT_JOB: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_job", default=None)
#: Loggers with one line per call or job, which are on only in the JSON format: too many lines for people.
EACH_CALL, EACH_JOB = "flowport.calls", "flowport.jobs"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Line ends of every kind, other control characters, and characters that change the direction of text.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: The indentation of traceback lines, so that the text of an error cannot look like a log line.
_INDENT = "  "

_hidden = Redaction()
_known: set[str] = set()
_learning = threading.Lock()


def hide_in_logs(secret: str) -> None:
    """Hides this value in all later lines of this process. May be called from any thread."""
    if secret not in _known:
        with _learning:
            _known.add(secret)
            _hidden.add(secret)


def log_to_stderr(secrets: Iterable[str] = (), style: LogStyle = "text") -> None:
    """Sets up logging: Flowport's loggers from INFO on, those of libraries from WARNING on."""
    for secret in secrets:
        hide_in_logs(secret)
    lines = _ToStderr()
    lines.setFormatter(_JsonLines() if style == "json" else _Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[lines], force=True)
    sys.excepthook, threading.excepthook = _log_uncaught, _log_uncaught_in_thread
    for name in ("api", "engine", "storage", "ui"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in (EACH_CALL, EACH_JOB):
        logging.getLogger(name).setLevel(logging.INFO if style == "json" else logging.WARNING)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Logs an uncaught exception; the interpreter's own message would bypass the log and could contain a secret."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("The program ended by an error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(end: threading.ExceptHookArgs) -> None:
    """Logs an uncaught exception of a thread."""
    if end.exc_type is not SystemExit and end.exc_value is not None:
        name = end.thread.name if end.thread is not None else "?"
        log.error("The thread %s ended by an error", name, exc_info=(end.exc_type, end.exc_value, end.exc_traceback))


def known(**fields: Any) -> dict[str, Any]:
    """Returns the `extra` argument of a log call: further fields of the JSON line."""
    return {"fields": fields}


def worker_line(style: LogStyle) -> Callable[[str, str], str]:
    """Returns the function that formats a worker's line for the server's log: (line, name of the process) -> line."""
    return as_json if style == "json" else as_text


def write_to_stderr(line: str) -> None:
    """Writes the line and its line end in one call, so that lines of other threads cannot come between them. A line that
    nobody takes is dropped.
    """
    stream = sys.stderr  # None in a process that was started without one
    if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            stream.write(f"{line}\n")
            stream.flush()


def as_text(line: str, process: str) -> str:
    """Returns the line after its process's name, without secrets: an interpreter's own traceback bypasses the worker's
    log.
    """
    return f"{process} {in_one_line(_hidden.text(line))}"


def as_json(line: str, process: str) -> str:
    """Returns a JSON line without secrets and with its process's name; any other line becomes the message of one."""
    line = _hidden.text(line)
    with contextlib.suppress(ValueError, RecursionError):
        fields = json.loads(line)
        if isinstance(fields, dict):
            return _json_line({**fields, "process": process})
    return _json_line({**_fields(line, "worker"), "process": process})


def line_of(message: str, style: LogStyle, level: int = logging.INFO) -> str:
    """Returns what a server prints beside its log, in the form of a line of it."""
    lines = _JsonLines() if style == "json" else _Lines()
    return lines.format(logging.LogRecord("server", level, "", 0, message, None, None))


def _fields(message: str, logger: str) -> dict[str, Any]:
    return {"time": _when(datetime.now(UTC).timestamp()), "level": "INFO", "logger": logger, "message": message}


def in_one_line(text: str) -> str:
    """Returns a text with its control characters, line ends among them, as escape sequences."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _json_line(fields: Mapping[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False, default=str)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _ToStderr(logging.Handler):
    """Writes each record to the stderr of the moment, and never raises."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - the values of a log call are no reason to end what makes it
            line = self._without_values(record, error)
        write_to_stderr(line)

    def _without_values(self, record: logging.LogRecord, error: Exception) -> str:
        """Returns the line for a record that cannot be formatted, which tells where it came from."""
        where = record.name, record.levelno, record.pathname, record.lineno
        values = type(error).__name__, record.pathname, record.lineno
        return self.format(logging.LogRecord(*where, "A line could not be formatted (%s): %s:%d", values, None))


class _Lines(logging.Formatter):
    """Hides secrets, then escapes control characters. The lines of a traceback follow, indented."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        record.message = _hidden.text(record.getMessage())
        record.asctime = self.formatTime(record)
        lines = [in_one_line(self.formatMessage(record))]
        for below in (record.exc_info and self.formatException(record.exc_info), record.stack_info):
            # only a line feed ends a line here; other line ends in an error's text are escaped
            lines += (_INDENT + in_one_line(line) for line in (_hidden.text(below).split("\n") if below else ()))
        return "\n".join(lines)


class _JsonLines(_Lines):
    """Formats a record as one JSON object per line. Secrets are hidden in every value before it is quoted."""

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
