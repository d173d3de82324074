"""The samples for Python with requests."""

from __future__ import annotations

from typing import Any

from engine.code_samples.payloads import FileToSend, SampleCall, has_files
from engine.code_samples.quoting import DOWNLOADED, UPLOADED, YOUR_KEY, question_of, quoted, shell_word

_NEEDS_KEY = """\
if not os.environ.get("FLOWPORT_API_KEY"):
    raise SystemExit("Set FLOWPORT_API_KEY to your API key first")
"""
_SESSION = "session = requests.Session()\n"
_KEY_HEADER = f'{_NEEDS_KEY}session.headers["Authorization"] = "Bearer " + os.environ["FLOWPORT_API_KEY"]\n'
_CALL_FUNCTION = '''\

def call(method, url, **options):
    """One request. Sent again when the server is busy (429) or away, or does not answer in time: later each time."""
    deadline = time.monotonic() + 900
    for attempt in itertools.count():
        try:
            response = session.request(method, url, timeout=300, **options)
            # an answer that broke off within its headers looks like a whole one without a body
            whole = response.content or "Content-Length" in response.headers or response.status_code == 204
            if response.ok and whole:
                return response
            problem = f"HTTP {response.status_code}: {response.text}"
            asked = response.headers.get("Retry-After", "")  # a 429 without it stays one, however long you wait
            again = response.ok or response.status_code in (502, 503, 504) or (response.status_code == 429 and asked != "")
            again = again or (response.status_code in (408, 500) and attempt < 2)  # these seldom pass by themselves
            again = again or '"idempotency_in_progress"' in response.text  # 409: an earlier try is being accepted
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            problem, again, asked = error, True, ""
        pause = max(int(asked) if asked.isdigit() else 0, min(2**attempt, 30)) * random.uniform(1, 1.5)
        if not again or time.monotonic() + pause > deadline:
            raise SystemExit(problem)
        print(f"{problem!s:.400}. Next try in {pause:.0f} s", file=sys.stderr)
        time.sleep(pause)
'''
_CALL = f"{_SESSION}{_KEY_HEADER}\n{_CALL_FUNCTION}"
#: `call` of the answer to a question.
_CALL_OR_CLOSED = _CALL.replace(
    """\
                return response
""",
    """\
                return response
            if attempt and '"question_closed"' in response.text:
                return None  # closed by an earlier try whose response was lost, or by somebody else
""",
)


def submit(endpoint: str, payload: dict[str, Any], key: str) -> str:
    """Returns a sample that submits a job and waits until it has ended."""
    return f'''\
{_head(key, "uuid")}from urllib.parse import urljoin

import requests

ENDPOINT = {quoted(endpoint)}
{"" if has_files(payload) else f"PAYLOAD = {_value(payload)}{chr(10)}"}
{_CALL}

{_upload_function(payload)}def run_flow(payload, give_up_after=1800):
    """Submits the payload and returns the job once it has ended."""
    accepted = call("POST", ENDPOINT, json=payload, headers={{"Idempotency-Key": str(uuid.uuid4())}})
    job_url = urljoin(ENDPOINT, accepted.headers["Location"])
    deadline = time.monotonic() + give_up_after
    while True:
        job = call("GET", job_url, params={{"wait": 30}}).json()  # answers as soon as the job ends
        if job["status"] in ("completed", "failed", "cancelled"):
            return job
        if time.monotonic() > deadline:
            raise SystemExit(f"Still {{job['status']}} after {{give_up_after}} seconds: {{job_url}}")
        time.sleep(2)


job = run_flow({_value(payload) if has_files(payload) else "PAYLOAD"})
if job["status"] != "completed":
    raise SystemExit(f"The job {{job['status']}}: {{job['error']}}")
print(job["result"])
'''


def one_call(endpoint: str, payload: dict[str, Any], key: str) -> str:
    """Returns the shortest sample: one call that waits for the result."""
    return f"""\
# Before: pip install requests
# The key comes from the environment: export FLOWPORT_API_KEY={shell_word(key)}
import os
{"from urllib.parse import urljoin" + chr(10) if has_files(payload) else ""}
import requests

{_NEEDS_KEY}
{_plain_upload_function(endpoint, payload)}answer = requests.post(
    {quoted(endpoint)},
    params={{"wait": 60}},  # seconds to wait for the result
    headers={{"Authorization": "Bearer " + os.environ["FLOWPORT_API_KEY"]}},
    json={_value(payload, "    ")},
    timeout=90,
)
if not answer.ok:
    raise SystemExit(f"HTTP {{answer.status_code}}: {{answer.text}}")
job = answer.json()
if job["status"] != "completed":
    raise SystemExit(f"No result: {{job}}")
print(job["result"])
"""


def call(sample: SampleCall) -> str:
    """Returns a sample for one call that prints its response."""
    if sample.answers == "events":
        return _events(sample.url)
    if sample.answers == "lines":
        return _lines(sample.url)
    sent = ""
    if sample.body is not None:
        sent += f", json={_value(sample.body)}"
    if sample.with_idempotency_key:
        sent += ', headers={"Idempotency-Key": str(uuid.uuid4())}'
    shown = {
        "json": "print(json.dumps(answer.json(), indent=2))",
        "nothing": "print(answer.status_code)",
    }[sample.answers]
    imports = [*(["uuid"] if sample.with_idempotency_key else []), *(["json"] if "json." in shown else [])]
    return f"""\
{_head(YOUR_KEY if sample.needs_key else None, *imports)}
import requests

{_CALL if sample.needs_key else f"{_SESSION}{chr(10)}{_CALL_FUNCTION}"}

answer = call({quoted(sample.method)}, {quoted(sample.url)}{sent})
{shown}
"""


def answer(url: str, said: dict[str, Any]) -> str:
    """Returns a sample that answers a question of a job and prints it; when a repeat finds it closed, as the list of
    questions has it.
    """
    questions, question_id = question_of(url)
    return f'''\
{_head(YOUR_KEY, "json")}
import requests

QUESTIONS = {quoted(questions)}
QUESTION_ID = {quoted(question_id)}
ANSWER = {_value(said)}

{_CALL_OR_CLOSED}

def find_question():
    """Returns the question as it stands in the list of the job's questions."""
    cursor = {{}}
    while True:
        page = call("GET", QUESTIONS, params=cursor).json()
        for question in page["data"]:
            if question["question_id"] == QUESTION_ID:
                return question
        if page["next_cursor"] is None:
            raise SystemExit("The job has no such question any more")
        cursor = {{"cursor": page["next_cursor"]}}


answered = call("POST", f"{{QUESTIONS}}/{{QUESTION_ID}}/answer", json=ANSWER)
question = find_question() if answered is None else answered.json()
print(json.dumps(question, indent=2))
if question["status"] != ("approved" if ANSWER["approved"] else "refused"):
    raise SystemExit("It was closed in another way: status and answered_by tell how")
'''


#: What a sample does with the head of an answer that it reads piece by piece.
_LOOK_AT_HEAD = """\
                asked = answer.headers.get("Retry-After", "")
                again = answer.status_code in (502, 503, 504) or (answer.status_code == 429 and asked != "")
                again = again or (answer.status_code in (408, 500) and failures < 2)  # these seldom pass by themselves
                if not answer.ok and not again:
                    raise SystemExit(f"HTTP {answer.status_code}: {answer.text}")
"""
_PAUSE = """\
        except LOST:
            pass
        failures += 1
        time.sleep(max(int(asked) if asked.isdigit() else 0, min(2**failures, 30)))
"""


def _events(url: str) -> str:
    return f'''\
{_head_of_stream(url, "text/event-stream")}LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


def events(url):
    """Yields (name, data) of every event; goes on after the last one when the connection is lost. Ends with the job."""
    last, failures = "0", 0
    while failures < 10:
        asked = ""
        try:
            # Every 15 seconds something comes, so 60 silent seconds are a lost connection.
            with requests.get(url, headers={{**HEADERS, "Last-Event-ID": last}}, stream=True, timeout=(10, 60)) as answer:
{_LOOK_AT_HEAD}\
                event = {{}}
                for line in answer.iter_lines() if answer.ok else ():
                    field, _, value = line.decode().partition(": ")
                    if field:
                        event[field] = value
                    if line:
                        continue
                    if "data" in event:  # an empty line ends an event; what broke off before it is sent again
                        last, failures = event["id"], 0
                        yield event["event"], json.loads(event["data"])
                        if event["event"] in ("job.completed", "job.failed", "job.cancelled"):
                            return
                    event = {{}}
{_PAUSE}\
    raise SystemExit("The stream was lost too often")


for name, data in events(URL):
    print(name, data)
'''


def _lines(url: str) -> str:
    return f'''\
{_head_of_stream(url, "application/x-ndjson")}LOST = (
    *(requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError),
    *(json.JSONDecodeError, UnicodeDecodeError),  # of a line that broke off
)


def results(url):
    """Yields the line of every item; goes on after the last one when the connection is lost."""
    after, failures = {{}}, 0
    while failures < 10:
        asked, asked_after = "", after
        try:
            with requests.get(url, headers=HEADERS, params=after, stream=True, timeout=300) as answer:
{_LOOK_AT_HEAD}\
                for line in answer.iter_lines() if answer.ok else ():
                    item = json.loads(line)
                    after, failures = {{"after": item["item_index"]}}, 0
                    yield item
                if answer.ok and after == asked_after:
                    return  # no item is left: an answer that ends early may look like a whole one
                if answer.ok:
                    continue
{_PAUSE}\
    raise SystemExit("The connection was lost too often")


for item in results(URL):
    print(item)
'''


def _head_of_stream(url: str, accept: str) -> str:
    return f"""\
# Before: pip install requests
# The key comes from the environment: export FLOWPORT_API_KEY={shell_word(YOUR_KEY)}
import json
import os
import time

import requests

{_NEEDS_KEY}
URL = {quoted(url)}
HEADERS = {{"Authorization": "Bearer " + os.environ["FLOWPORT_API_KEY"], "Accept": "{accept}"}}
"""


def upload(url: str) -> str:
    """Returns a sample that uploads the file UPLOADED, which lies beside it, and prints the response."""
    return f"""\
{_head(YOUR_KEY, "json", "uuid")}
import requests

{_CALL}

with open({quoted(UPLOADED)}, "rb") as file:
    sent = {{"file": ({quoted(UPLOADED)}, file.read())}}
answer = call("POST", {quoted(url)}, files=sent, headers={{"Idempotency-Key": str(uuid.uuid4())}})
print(json.dumps(answer.json(), indent=2))
"""


def download(url: str) -> str:
    """Returns a sample that writes a file as DOWNLOADED beside it, and prints the name."""
    return f"""\
{_head(YOUR_KEY)}
import requests

{_CALL}

answer = call("GET", {quoted(url)})
with open({quoted(DOWNLOADED)}, "wb") as file:
    file.write(answer.content)
print({quoted(DOWNLOADED)})
"""


def _head(key: str | None, *imports: str) -> str:
    names = {"itertools", "random", "sys", "time", *imports}
    text = "# Before: pip install requests\n"
    if key is not None:
        names.add("os")
        text += f"# The key comes from the environment: export FLOWPORT_API_KEY={shell_word(key)}\n"
    return text + "".join(f"import {name}\n" for name in sorted(names))


def _upload_function(payload: Any) -> str:
    if not has_files(payload):
        return ""
    return '''def upload(path):
    """Uploads a file and returns its id."""
    with open(path, "rb") as file:
        sent = {"file": (os.path.basename(path), file.read())}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return call("POST", urljoin(ENDPOINT, "/public/v1/files"), files=sent, headers=headers).json()["file_id"]


'''


def _plain_upload_function(endpoint: str, payload: Any) -> str:
    if not has_files(payload):
        return ""
    return f'''HEADERS = {{"Authorization": "Bearer " + os.environ["FLOWPORT_API_KEY"]}}


def upload(path):
    """Uploads a file and returns its id."""
    with open(path, "rb") as file:
        url = urljoin({quoted(endpoint)}, "/public/v1/files")
        answer = requests.post(url, headers=HEADERS, files={{"file": file}}, timeout=90)
    if not answer.ok:
        raise SystemExit(f"HTTP {{answer.status_code}}: {{answer.text}}")
    return answer.json()["file_id"]


'''


def _value(value: Any, indent: str = "") -> str:
    """Returns a JSON value as Python source, formatted like JSON."""
    inner = indent + "    "
    if isinstance(value, FileToSend):
        return f"upload({quoted(value.name)})"
    if isinstance(value, dict) and value:
        lines = [f"{inner}{quoted(name)}: {_value(item, inner)},\n" for name, item in value.items()]
        return "{\n" + "".join(lines) + indent + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{_value(item, inner)},\n" for item in value) + indent + "]"
    if isinstance(value, str):
        return quoted(value)
    return repr(value)
