"""Creates code samples in curl, Python and JavaScript for a flow's endpoint and for all other calls of the API. Pure
functions; one module per language.

The samples in Python and JavaScript and the one of a whole run for curl repeat a request after 408, 429, 500, 502, 503,
504, 409 `idempotency_in_progress`, a lost connection or a timeout, not before Retry-After and with growing pauses. They
repeat a 408 or 500 twice at most and stop at a 429 without Retry-After, where waiting does not help. The other samples
for curl and those of `one_call_examples` send a request once. The answer to a question has no Idempotency-Key: when a
repeat finds the question closed, the sample asks how it was closed. A call that stays refused, and a run that gives no result,
end every sample with a failure, and the answer is shown. Requests that start work keep one Idempotency-Key for all tries,
so a request whose response was lost runs only once. The API key is read from
`FLOWPORT_API_KEY` and not written into the code; the samples of a call that needs no key do not read it.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from engine.code_samples import curl, javascript, python
from engine.code_samples.curl import ask_for_job, first_call
from engine.code_samples.payloads import Answers, FileToSend, SampleCall, files_to_send
from engine.code_samples.quoting import YOUR_KEY

__all__ = [
    "YOUR_KEY",
    "Answers",
    "Examples",
    "FileToSend",
    "answer_examples",
    "ask_for_job",
    "call_examples",
    "code_examples",
    "download_examples",
    "files_to_send",
    "first_call",
    "one_call_examples",
    "upload_examples",
]


class Examples(Struct, frozen=True):
    """One sample per language. `curl` is a shell script (curl 7.76 or newer), `python` needs requests, `javascript`
    Node 18.
    """

    curl: str
    python: str
    javascript: str


def code_examples(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY) -> Examples:
    """Returns samples for `endpoint`, the full URL of POST .../flows/execute/{flow_id}, with a valid payload."""
    return Examples(*(one.submit(endpoint, payload, key) for one in (curl, python, javascript)))


def one_call_examples(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY) -> Examples:
    """Returns the shortest samples: one call that waits up to 60 seconds and prints the result. They do not repeat a
    request; `code_examples` does.
    """
    short = first_call(endpoint, payload, key=key)
    return Examples(short, python.one_call(endpoint, payload, key), javascript.one_call(endpoint, payload, key))


def call_examples(
    method: str,
    url: str,
    *,
    body: Any = None,
    answers: Answers = "json",
    with_idempotency_key: bool = False,
    needs_key: bool = True,
) -> Examples:
    """Returns samples for one call of the API that print its response. Without `body` no body is sent."""
    sent = SampleCall(method, url, body, answers, with_idempotency_key, needs_key)
    return Examples(*(one.call(sent) for one in (curl, python, javascript)))


def answer_examples(url: str, answer: dict[str, Any]) -> Examples:
    """Returns samples that answer a question of a job, and print the question as it stands then. `url`: that of
    POST .../jobs/{job_id}/questions/{question_id}/answer.
    """
    return Examples(*(one.answer(url, answer) for one in (curl, python, javascript)))


def upload_examples(url: str) -> Examples:
    """Returns samples that upload a file, which lies beside them, and print the response."""
    return Examples(*(one.upload(url) for one in (curl, python, javascript)))


def download_examples(url: str) -> Examples:
    """Returns samples that write a file beside them, and print its name."""
    return Examples(*(one.download(url) for one in (curl, python, javascript)))
