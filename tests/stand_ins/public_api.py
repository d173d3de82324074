"""A server with the behaviour of the public API, which first refuses, then needs two polls of the job, or answers too late."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What the tests send, and what the file holds that they download.
PAYLOAD = {
    "url": "https://example.com/?a=1&b=2",
    "text": 'it\'s "quoted", $HOME, `date`, \\n and\na new line, ü 🎈',
    "count": 3,
    "share": 0.5,
    "deep": {"yes": True, "no": False, "nothing": None, "list": [1, {"status": "queued"}, []], "empty": {}},
    "job_id": "x",
    "status": "queued",
    "execution_time_seconds": None,
}

#: The number of items of the batch.
BATCH_TOTAL = 60


class Endpoint(ThreadingHTTPServer):
    """A server with the public API's behaviour: 429 first, then 202; the job is processing once, then has the status in
    `ends`.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.server_bind()  # bound but not listening, so that connections are refused
        self.submits: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.idempotency_keys: list[str] = []
        self.polls = 0
        self.busy_seconds: int | None = 1
        self.ends = "completed"
        #: The code of the first refusal, with 409 instead of 429.
        self.conflict = ""
        #: The stream breaks off within an event, after its `id` line.
        self.torn = False
        #: The first submit and the first poll get no answer until `over` is set at the end of the test.
        self.silent = False
        #: Methods whose next answer breaks off within its headers, when it is no refusal.
        self.torn_heads: set[str] = set()
        #: The data of the job were erased, and only its last event is left.
        self.erased = False
        #: The result comes with the answer to a submit that waits, as `?wait` asks; otherwise the wait ends before.
        self.quick = False
        #: The status of the first stream, with Retry-After 4 for 429; of every stream from 500 on.
        self.stream_status = 200
        #: The status of every submit before the third.
        self.submit_status = 0
        #: Calls by their path that are refused for good, with 404 and a reason.
        self.refused: tuple[str, ...] = ()
        #: The paths of the calls that were refused so.
        self.refusals: list[str] = []
        #: How the question of the job was answered: its status, once the first answer counted whose response is lost.
        self.answered_as = "approved"
        self.answers: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self.stream_times: list[float] = []
        #: Each answer with the results of a batch of 60 items is cut after so many bytes; the cut may be seen, or not.
        self.cut = 4000
        self.cut_is_seen = True
        #: The query of each call for these results.
        self.asked_after: list[str] = []
        self.over = threading.Event()
        self.streams: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/public/v1/flows/execute/flow_1"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refuses():
            return
        if self.path.endswith("/answer"):
            self._take_answer(json.loads(body))
            return
        if self.path.endswith("/files"):
            self.server.uploads.append(body)
            self.server.idempotency_keys.append(self.headers["Idempotency-Key"])
            busy = len(self.server.uploads) == 1
            self._answer(503 if busy else 201, {"file_id": "file_1"}, {})
            return
        assert self.headers["Content-Type"] == "application/json"
        self.server.keys.add(self.headers["Authorization"])
        self.server.idempotency_keys.append(self.headers["Idempotency-Key"])
        self.server.submits.append(json.loads(body))
        if self.path.endswith("/batch"):
            self._answer(202, {"batch_id": "batch_1", "status": "queued", "total": BATCH_TOTAL}, {})
            return
        if self.server.silent and len(self.server.submits) == 1:
            self._say_nothing()
            return
        if self.server.submit_status and len(self.server.submits) < 4:
            self._answer(self.server.submit_status, {"code": "internal"}, {})
            return
        if len(self.server.submits) == 1 and self.server.conflict:
            self._answer(409, {"code": self.server.conflict}, {})
            return
        if len(self.server.submits) == 1:
            seconds = self.server.busy_seconds
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            self._answer(429, {"code": "concurrency_limit_exceeded"}, headers)
            return
        if self.server.quick and self.path.endswith("?wait=60"):
            failed = self.server.ends == "failed"
            result = None if failed else self.server.submits[-1]
            error = {"code": "timeout", "message": "Too slow."} if failed else None
            self._answer(200, {"job_id": "job_1", "status": self.server.ends, "result": result, "error": error}, {})
            return
        # the order of fields may change
        job = {"status": "queued", "flow_id": "flow_1", "job_id": "job_1", "url": "/public/v1/jobs/job_1"}
        self._answer(202, job, {"Location": "/public/v1/jobs/job_1", "Retry-After": "2"})

    def _take_answer(self, answer: dict[str, Any]) -> None:
        """The first one counts, and its response is lost."""
        self.server.answers.append(answer)
        if len(self.server.answers) == 1:
            self.close_connection = True
            return
        self._answer(409, {"code": "question_closed", "detail": "It has an answer"}, {})

    def _refuses(self) -> bool:
        path = self.path.split("?")[0].rsplit("/", 1)[-1]
        if path not in self.server.refused:
            return False
        self.server.refusals.append(path)
        self._answer(404, {"code": "not_found", "detail": "Nobody knows it"}, {})
        return True

    def do_GET(self) -> None:
        if self._refuses():
            return
        if self.path.endswith("/events"):
            self._stream()
            return
        if "/results" in self.path:
            self._results()
            return
        if "/batches/" in self.path:
            self._answer(200, {"batch_id": "batch_1", "status": "completed", "total": BATCH_TOTAL}, {})
            return
        if "/questions" in self.path:
            first = "cursor=" not in self.path
            asked = "question_0" if first else "question_1"
            page = [{"question_id": asked, "status": self.server.answered_as, "answered_by": "API key Shop"}]
            self._answer(200, {"data": page, "next_cursor": "a+b" if first else None}, {})
            return
        if "/files/" in self.path:
            self.server.polls += 1
            if self.server.polls == 1:
                self._answer(503, {"code": "too_many_connections"}, {"Retry-After": "1"})
            else:
                self._answer(200, PAYLOAD, {})
            return
        assert self.path == "/public/v1/jobs/job_1?wait=30"
        self.server.keys.add(self.headers["Authorization"])
        self.server.polls += 1
        if self.server.silent and self.server.polls == 1:
            self._say_nothing()
            return
        status = "processing" if self.server.polls == 1 else self.server.ends
        result = self.server.submits[-1] if status == "completed" else None
        error = {"code": "timeout", "message": "Too slow."} if status == "failed" else None
        seconds = None if status == "processing" else 1.5
        self._answer(
            200,
            {"job_id": "job_1", "status": status, "result": result, "error": error, "execution_time_seconds": seconds},
            {},
        )

    def _say_nothing(self) -> None:
        self.server.over.wait(60)
        self.close_connection = True

    def _stream(self) -> None:
        """The first stream breaks off after two events; the second has the rest."""
        self.server.streams.append(self.headers["Last-Event-ID"])
        self.server.stream_times.append(time.monotonic())
        if self.server.stream_status >= 500 or (self.server.stream_status != 200 and len(self.server.streams) == 1):
            headers = {"Retry-After": "4"} if self.server.stream_status == 429 else {}
            self._answer(self.server.stream_status, {"code": "rate_limited"}, headers)
            return
        if self.server.erased:
            self.send_response(200)
            self.end_headers()
            data = json.dumps({"job_id": "job_1", "seq": 7, "data_erased_at": "2026-01-31T12:05:00.000Z"})
            self.wfile.write(f"id: 7\nevent: job.completed\ndata: {data}\n\n".encode())
            return
        names = ["job.queued", "step.delta", "job.completed"]
        after = int(self.headers["Last-Event-ID"] or 0)
        self.send_response(200)
        self.end_headers()
        for seq, name in enumerate(names, 1):
            if after < seq and (len(self.server.streams) > 1 or seq < 3):
                data = json.dumps({"job_id": "job_1", "seq": seq, "text": "a: b, ü"}, ensure_ascii=False)
                self.wfile.write(f": still here\n\nid: {seq}\nevent: {name}\ndata: {data}\n\n".encode())
        if self.server.silent and len(self.server.streams) == 1:
            self._say_nothing()
        if self.server.torn and len(self.server.streams) == 1:
            self.wfile.write(b"id: 3\nevent: job.completed\n")

    def _results(self) -> None:
        self.server.asked_after.append(self.path.partition("?")[2])
        after = int(self.path.partition("after=")[2] or -1)
        lines = [
            json.dumps(
                {"item_index": index, "status": "completed", "result": {"text": "ü" * 200}, "error": None},
                ensure_ascii=False,
            )
            for index in range(after + 1, BATCH_TOTAL)
        ]
        content = "".join(f"{line}\n" for line in lines).encode()
        self.protocol_version = "HTTP/1.1" if self.server.cut_is_seen else "HTTP/1.0"
        self.close_connection = True
        self.send_response(200)
        if self.server.cut_is_seen:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.cut])

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        if status < 300 and self.command in self.server.torn_heads:
            self.server.torn_heads.remove(self.command)
            self.wfile.write(f"HTTP/1.1 {status} Broken\r\nX-Request-Id: req_1\r\nConte".encode())
            self.close_connection = True
            return
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass
