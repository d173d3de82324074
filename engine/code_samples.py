"""Creates code samples in curl, Python and JavaScript for a flow's endpoint and for all other calls of the API. Pure
functions.

All samples except those of `one_call_examples` repeat a request after 408, 429, 500, 502, 503, 504, a lost connection or
a timeout, not before Retry-After and with growing, randomised pauses. Those in Python and JavaScript repeat a 408 or 500
twice at most, stop at a 429 without Retry-After, where waiting does not help, and repeat a 409
`idempotency_in_progress`; curl cannot distinguish these. Requests that start work keep one
Idempotency-Key for all tries, so a request whose response was lost runs only once. The API key is read from
`FLOWPORT_API_KEY` and not written into the code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from engine.flow.file_values import KIND_ENDINGS, is_file_value, is_web_file, map_files, sent_files, takes_files

YOUR_KEY = "YOUR_API_KEY"


#: The kind of response: one JSON value, one JSON value per line, server-sent events, or no body.
Answers = Literal["json", "lines", "events", "nothing"]


@dataclass(frozen=True)
class FileToSend:
    """A file in a payload: the sample uploads it first and sends its id. `name` is the file's name."""

    name: str


@dataclass(frozen=True)
class Examples:
    """One sample per language. `curl` is a shell script (curl 7.76 or newer), `python` needs requests, `javascript`
    Node 18.
    """

    curl: str
    python: str
    javascript: str


def code_examples(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY) -> Examples:
    """Returns samples for `endpoint`, the full URL of POST .../flows/execute/{flow_id}, with a valid payload."""
    return Examples(
        curl=_curl(endpoint, payload, key),
        python=_python(endpoint, payload, key),
        javascript=_javascript(endpoint, payload, key),
    )


def call_examples(
    method: str, url: str, *, body: Any = None, answers: Answers = "json", with_idempotency_key: bool = False
) -> Examples:
    """Returns samples for one call of the API that print its response. Without `body` no body is sent."""
    return Examples(
        curl=_curl_call(method, url, body, answers, with_idempotency_key),
        python=_python_call(method, url, body, answers, with_idempotency_key),
        javascript=_javascript_call(method, url, body, answers, with_idempotency_key),
    )


def upload_examples(url: str, name: str = "report.pdf") -> Examples:
    """Returns samples that upload a file of this name, which lies beside them, and print the response."""
    sent = _JAVASCRIPT_FORM.format().replace("path.split(/[\\\\/]/).pop()", _text(name)).replace("path", _text(name))
    return Examples(
        curl=f"""\
{_shell_key(YOUR_KEY)}

rm -f answer.json
{_CURL} -o answer.json \\
  {_shell(url)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)" \\
  -F {_shell(f"file=@{name}")}
cat answer.json
""",
        python=f"""\
{_python_head(YOUR_KEY, "json", "uuid")}
import requests

{_PYTHON_CALL}

with open({_text(name)}, "rb") as file:
    sent = {{"file": ({_text(name)}, file.read())}}
answer = call("POST", {_text(url)}, files=sent, headers={{"Idempotency-Key": str(uuid.uuid4())}})
print(json.dumps(answer.json(), indent=2))
""",
        javascript=f"""\
// Node 20 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(YOUR_KEY)}
{_JAVASCRIPT_CALL}
async function upload() {{
{sent}\
  const {{ randomUUID }} = await import("node:crypto");
  return call("POST", {_text(url)}, {{ headers: {{ "Idempotency-Key": randomUUID() }}, body: form }});
}}

upload()
  .then((text) => {{
    console.log(JSON.stringify(JSON.parse(text), null, 2));
  }})
  .catch((error) => {{
    console.error(error.message);
    process.exitCode = 1;
  }});
""",
    )


def download_examples(url: str, name: str = "download") -> Examples:
    """Returns samples that write a file under this name beside them, and print the name."""
    return Examples(
        curl=f"""\
{_shell_key(YOUR_KEY)}

{_CURL} -o {_shell(name)} \\
  {_shell(url)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY"
echo {_shell(name)}
""",
        python=f"""\
{_python_head(YOUR_KEY)}
import requests

{_PYTHON_CALL}

answer = call("GET", {_text(url)})
with open({_text(name)}, "wb") as file:
    file.write(answer.content)
print({_text(name)})
""",
        javascript=f"""\
// Node 18 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(YOUR_KEY)}
if (!process.env.FLOWPORT_API_KEY) throw new Error("Set FLOWPORT_API_KEY to your API key first");
const headers = {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}` }};

async function download() {{
  const response = await fetch({_text(url)}, {{ headers }});
  if (!response.ok) throw new Error(`HTTP ${{response.status}}: ${{await response.text()}}`);
  const {{ writeFile }} = await import("node:fs/promises");
  await writeFile({_text(name)}, Buffer.from(await response.arrayBuffer()));
}}

download()
  .then(() => console.log({_text(name)}))
  .catch((error) => {{
    console.error(error.message);
    process.exitCode = 1;
  }});
""",
    )


def first_call(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY, wait: int = 60) -> str:
    """Returns the shortest working call: submits a job and waits `wait` seconds for the result; with 0 it gets the
    job's id at once.
    """
    return f"""\
{_shell_key(key)}
{_shell_upload(endpoint, payload)}
curl -sS -X POST {_shell(endpoint + (f"?wait={wait}" if wait else ""))} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d {_shell_payload(payload)}
"""


def one_call_examples(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY) -> Examples:
    """Returns the shortest samples: one call that waits up to 60 seconds and prints the result. They do not repeat a
    request; `code_examples` does.
    """
    return Examples(
        curl=first_call(endpoint, payload, key=key),
        python=_python_one_call(endpoint, payload, key),
        javascript=_javascript_one_call(endpoint, payload, key),
    )


def ask_for_job(endpoint: str) -> str:
    """Returns a call that waits up to 30 seconds for a job of this endpoint to end."""
    return f"""\
curl -sS "{_origin(endpoint)}/public/v1/jobs/JOB_ID?wait=30" \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY"
"""


#: Options of curl: at most 300 seconds per try, and retries after 408, 429, 500 to 504 and timeouts.
_CURL = "curl -sS --fail-with-body --max-time 300 --retry 10 --retry-max-time 900 --retry-connrefused"

_PYTHON_CALL = '''\
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["FLOWPORT_API_KEY"]


def call(method, url, **options):
    """One request. Sent again when the server is busy (429) or away, or does not answer in time: later each time."""
    deadline = time.monotonic() + 900
    for attempt in itertools.count():
        try:
            response = session.request(method, url, timeout=300, **options)
            if response.ok:
                return response
            problem = f"HTTP {response.status_code}: {response.text}"
            asked = response.headers.get("Retry-After", "")  # a 429 without it stays one, however long you wait
            again = response.status_code in (502, 503, 504) or (response.status_code == 429 and asked != "")
            again = again or (response.status_code in (408, 500) and attempt < 2)  # these seldom pass by themselves
            again = again or '"idempotency_in_progress"' in response.text  # 409: an earlier try is being accepted
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            problem, again, asked = error, True, ""
        pause = max(int(asked) if asked.isdigit() else 0, min(2**attempt, 30)) * random.uniform(1, 1.5)
        if not again or time.monotonic() + pause > deadline:
            raise SystemExit(problem)
        time.sleep(pause)
'''

_JAVASCRIPT_CALL = """\
if (!process.env.FLOWPORT_API_KEY) throw new Error("Set FLOWPORT_API_KEY to your API key first");
const HEADERS = { Authorization: `Bearer ${process.env.FLOWPORT_API_KEY}` };
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// One request; returns the text of its answer. Sent again when the server is busy (429) or away, or does not answer in time:
// later each time.
async function call(method, url, { headers, body } = {}) {
  const deadline = Date.now() + 900_000;
  for (let attempt = 0; ; attempt++) {
    let problem;
    let again = true;
    let asked = 0;
    try {
      const signal = AbortSignal.timeout(300_000);
      const response = await fetch(url, { method, headers: { ...HEADERS, ...headers }, body, signal });
      const text = await response.text();
      if (response.ok) return text;
      problem = `HTTP ${response.status}: ${text}`;
      asked = Number(response.headers.get("Retry-After")) || 0; // a 429 without it stays one, however long you wait
      again = [502, 503, 504].includes(response.status) || (response.status === 429 && asked > 0);
      again ||= [408, 500].includes(response.status) && attempt < 2; // these seldom pass by themselves
      again ||= text.includes('"idempotency_in_progress"'); // 409: an earlier try is being accepted
    } catch (error) {
      problem = error.cause ?? error; // no connection, or no answer in time
    }
    const pause = Math.max(asked, Math.min(2 ** attempt, 30)) * (1 + Math.random() / 2);
    if (!again || Date.now() + pause * 1000 > deadline) throw new Error(`${problem}`);
    await sleep(pause);
  }
}
"""


def _curl(endpoint: str, payload: dict[str, Any], key: str) -> str:
    jobs = _origin(endpoint) + "/public/v1/jobs"
    return f"""\
{_shell_key(key)}
{_shell_upload(endpoint, payload)}
# Submit. While too many jobs are running (429), curl waits as the answer says, else longer each time, and tries again.
rm -f answer.json
{_CURL} -o answer.json \\
  -X POST {_shell(endpoint)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)" \\
  -d {_shell_payload(payload)}
job=$(sed -n 's/^{{"job_id":"\\([^"]*\\)".*/\\1/p' answer.json)

# Ask for the job until it has ended; each call answers as soon as it ends, or after 30 seconds. Gives up after 60 calls.
for attempt in $(seq 60); do
  grep -Eq '^\\{{"job_id":"[^"]*","status":"(queued|processing)"' answer.json || break
  {_CURL} -o answer.json \\
    "{jobs}/$job?wait=30" \\
    -H "Authorization: Bearer $FLOWPORT_API_KEY" || sleep 2
done
cat answer.json
"""


def _curl_call(method: str, url: str, body: Any, answers: Answers, with_idempotency_key: bool) -> str:  # noqa: FBT001
    """An event stream is printed as it arrives. Other responses are written to a file, which then contains only the
    response of the last try.
    """
    lines = ["curl -sSN --fail-with-body" if answers == "events" else f"{_CURL} -o answer.json"]
    lines.append(f"  -X {method} {_shell(url)}" if method != "GET" else f"  {_shell(url)}")
    lines.append('  -H "Authorization: Bearer $FLOWPORT_API_KEY"')
    if with_idempotency_key:
        lines.append('  -H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)"')
    if body is not None:
        lines.append('  -H "Content-Type: application/json"')
        lines.append(f"  -d {_shell(_json(body))}")
    call = " \\\n".join(lines)
    if answers != "events":
        call = f"rm -f answer.json\n{call}\ncat answer.json"
    return f"{_shell_key(YOUR_KEY)}\n\n{call}\n"


def _python_head(key: str, *imports: str) -> str:
    names = sorted({"itertools", "os", "random", "time", *imports})
    return f"""\
# Before: pip install requests
# The key comes from the environment: export FLOWPORT_API_KEY={_shell(key)}
""" + "".join(f"import {name}\n" for name in names)


def _python(endpoint: str, payload: dict[str, Any], key: str) -> str:
    return f'''\
{_python_head(key, "uuid")}from urllib.parse import urljoin

import requests

ENDPOINT = {_text(endpoint)}
{"" if _has_files(payload) else f"PAYLOAD = {_python_value(payload)}{chr(10)}"}
{_PYTHON_CALL}

{_python_upload(payload)}def run_flow(payload, give_up_after=1800):
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


job = run_flow({_python_value(payload) if _has_files(payload) else "PAYLOAD"})
if job["status"] != "completed":
    raise SystemExit(f"The job {{job['status']}}: {{job['error']}}")
print(job["result"])
'''


def _python_one_call(endpoint: str, payload: dict[str, Any], key: str) -> str:
    return f"""\
# Before: pip install requests
# The key comes from the environment: export FLOWPORT_API_KEY={_shell(key)}
import os
{"from urllib.parse import urljoin" + chr(10) if _has_files(payload) else ""}
import requests

{_python_first_upload(endpoint, payload)}answer = requests.post(
    {_text(endpoint)},
    params={{"wait": 60}},  # seconds to wait for the result
    headers={{"Authorization": "Bearer " + os.environ["FLOWPORT_API_KEY"]}},
    json={_python_value(payload, "    ")},
    timeout=90,
)
if not answer.ok:
    raise SystemExit(f"HTTP {{answer.status_code}}: {{answer.text}}")
job = answer.json()
if job["status"] != "completed":
    raise SystemExit(f"No result: {{job}}")
print(job["result"])
"""


def _python_call(method: str, url: str, body: Any, answers: Answers, with_idempotency_key: bool) -> str:  # noqa: FBT001
    if answers == "events":
        return _python_events(url)
    sent = ""
    if body is not None:
        sent += f", json={_python_value(body)}"
    if with_idempotency_key:
        sent += ', headers={"Idempotency-Key": str(uuid.uuid4())}'
    shown = {
        "json": "print(json.dumps(answer.json(), indent=2))",
        "lines": "for line in answer.iter_lines():\n    print(json.loads(line))",
        "nothing": "print(answer.status_code)",
    }[answers]
    imports = [*(["uuid"] if with_idempotency_key else []), *(["json"] if "json." in shown else [])]
    return f"""\
{_python_head(YOUR_KEY, *imports)}
import requests

{_PYTHON_CALL}

answer = call({_text(method)}, {_text(url)}{sent})
{shown}
"""


def _python_events(url: str) -> str:
    return f'''\
# Before: pip install requests
# The key comes from the environment: export FLOWPORT_API_KEY={_shell(YOUR_KEY)}
import json
import os
import time

import requests

URL = {_text(url)}
HEADERS = {{"Authorization": "Bearer " + os.environ["FLOWPORT_API_KEY"], "Accept": "text/event-stream"}}
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


def events(url):
    """Yields (name, data) of every event; goes on after the last one when the connection is lost. Ends with the job."""
    last, failures = "0", 0
    while failures < 10:
        asked = ""
        try:
            # Every 15 seconds something comes, so 60 silent seconds are a lost connection.
            with requests.get(url, headers={{**HEADERS, "Last-Event-ID": last}}, stream=True, timeout=(10, 60)) as answer:
                if answer.status_code not in (200, 408, 429, 500, 502, 503, 504):
                    raise SystemExit(f"HTTP {{answer.status_code}}: {{answer.text}}")
                asked = answer.headers.get("Retry-After", "")
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
        except LOST:
            pass
        failures += 1
        time.sleep(max(int(asked) if asked.isdigit() else 0, min(2**failures, 30)))
    raise SystemExit("The stream was lost too often")


for name, data in events(URL):
    print(name, data)
'''


def _javascript(endpoint: str, payload: dict[str, Any], key: str) -> str:
    return f"""\
// Node 18 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(key)}
const ENDPOINT = {_text(endpoint)};
{"" if _has_files(payload) else f"const PAYLOAD = {_json(payload)};{chr(10)}"}
{_JAVASCRIPT_CALL}
{_javascript_upload(payload)}// Submits the payload and returns the job once it has ended.
async function runFlow(payload, giveUpAfter = 1800) {{
  const {{ randomUUID }} = await import("node:crypto");
  const headers = {{ "Content-Type": "application/json", "Idempotency-Key": randomUUID() }};
  const accepted = JSON.parse(await call("POST", ENDPOINT, {{ headers, body: JSON.stringify(payload) }}));
  const jobUrl = new URL(accepted.url, ENDPOINT);
  jobUrl.searchParams.set("wait", "30"); // answers as soon as the job ends
  const deadline = Date.now() + giveUpAfter * 1000;
  for (;;) {{
    const job = JSON.parse(await call("GET", jobUrl));
    if (["completed", "failed", "cancelled"].includes(job.status)) return job;
    if (Date.now() > deadline) throw new Error(`Still ${{job.status}} after ${{giveUpAfter}} seconds: ${{jobUrl}}`);
    await sleep(2);
  }}
}}

{_javascript_run(payload, "PAYLOAD")}
  .then((job) => {{
    if (job.status !== "completed") throw new Error(`The job ${{job.status}}: ${{JSON.stringify(job.error)}}`);
    console.log(JSON.stringify(job.result, null, 2));
  }})
  .catch((error) => {{
    console.error(error.message);
    process.exitCode = 1;
  }});
"""


def _javascript_one_call(endpoint: str, payload: dict[str, Any], key: str) -> str:
    return f"""\
// Node 18 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(key)}
if (!process.env.FLOWPORT_API_KEY) throw new Error("Set FLOWPORT_API_KEY to your API key first");

{_javascript_first_upload(endpoint, payload)}async function runFlow(payload) {{
  const response = await fetch({_text(endpoint + "?wait=60")}, {{ // seconds to wait for the result
    method: "POST",
    headers: {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}`, "Content-Type": "application/json" }},
    body: JSON.stringify(payload),
  }});
  const text = await response.text();
  if (!response.ok) throw new Error(`HTTP ${{response.status}}: ${{text}}`);
  const job = JSON.parse(text);
  if (job.status !== "completed") throw new Error(`No result: ${{text}}`);
  return job.result;
}}

{_javascript_run(payload, "")}
  .then((result) => console.log(JSON.stringify(result, null, 2)))
  .catch((error) => {{
    console.error(error.message);
    process.exitCode = 1;
  }});
"""


def _javascript_call(method: str, url: str, body: Any, answers: Answers, with_idempotency_key: bool) -> str:  # noqa: FBT001
    if answers == "events":
        return _javascript_events(url)
    headers = [
        *(['"Content-Type": "application/json"'] if body is not None else []),
        *(['"Idempotency-Key": randomUUID()'] if with_idempotency_key else []),
    ]
    options = ""
    if headers:
        options = f", {{\n  headers: {{ {', '.join(headers)} }},\n"
        options += f"  body: JSON.stringify({_indented(_json(body))}),\n" if body is not None else ""
        options += "}"
    shown = {
        "json": "    console.log(JSON.stringify(JSON.parse(text), null, 2));",
        "lines": '    for (const line of text.split("\\n").filter(Boolean)) console.log(JSON.parse(line));',
        "nothing": '    console.log(text || "done");',
    }[answers]
    calling = f"call({_text(method)}, {_text(url)}{options})"
    if with_idempotency_key:
        calling = f'import("node:crypto")\n  .then(({{ randomUUID }}) => {_indented(calling)})'
    return f"""\
// Node 18 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(YOUR_KEY)}
{_JAVASCRIPT_CALL}
{calling}
  .then((text) => {{
{shown}
  }})
  .catch((error) => {{
    console.error(error.message);
    process.exitCode = 1;
  }});
"""


def _javascript_events(url: str) -> str:
    return f"""\
// Node 18 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(YOUR_KEY)}
if (!process.env.FLOWPORT_API_KEY) throw new Error("Set FLOWPORT_API_KEY to your API key first");
const URL_OF_EVENTS = {_text(url)};
const HEADERS = {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}`, Accept: "text/event-stream" }};
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Yields [name, data] of every event; goes on after the last one when the connection is lost. Ends with the job.
async function* events(url) {{
  let last = "0";
  for (let failures = 0; failures < 10; ) {{
    let asked = 0;
    const silent = new AbortController(); // every 15 seconds something comes, so 60 silent seconds are a lost connection
    const timer = setTimeout(() => silent.abort(), 60_000);
    try {{
      const answer = await fetch(url, {{ headers: {{ ...HEADERS, "Last-Event-ID": last }}, signal: silent.signal }});
      asked = Number(answer.headers.get("Retry-After")) || 0;
      if (!answer.ok && ![408, 429, 500, 502, 503, 504].includes(answer.status)) {{
        throw Object.assign(new Error(`HTTP ${{answer.status}}: ${{await answer.text()}}`), {{ final: true }});
      }}
      let text = "";
      for await (const piece of answer.ok ? answer.body.pipeThrough(new TextDecoderStream()) : []) {{
        timer.refresh();
        const blocks = (text + piece).split("\\n\\n");
        text = blocks.pop();
        for (const block of blocks) {{
          const event = Object.fromEntries(block.split("\\n").map((line) => line.split(/: (.*)/s, 2)));
          if (!event.data) continue; // a comment, sent every 15 seconds
          last = event.id;
          failures = 0;
          yield [event.event, JSON.parse(event.data)];
          if (["job.completed", "job.failed", "job.cancelled"].includes(event.event)) return;
        }}
      }}
    }} catch (error) {{
      if (error.final) throw error;
    }} finally {{
      clearTimeout(timer);
    }}
    failures += 1;
    await sleep(Math.max(asked, Math.min(2 ** failures, 30)));
  }}
  throw new Error("The stream was lost too often");
}}

(async () => {{
  for await (const [name, data] of events(URL_OF_EVENTS)) console.log(name, data);
}})().catch((error) => {{
  console.error(error.message);
  process.exitCode = 1;
}});
"""


# Files: each sample uploads them first. They stand in a payload as `FileToSend`.


def files_to_send(fields: Sequence[Mapping[str, Any]], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a payload for a sample, in which stored files, and the required ones that it lacks, are `FileToSend`.
    An https address stays: it is an example, too.
    """
    whole = dict(payload)
    for field in fields:
        name = str(field.get("name"))
        if field.get("required") and whole.get(name) is None and takes_files([field]):
            if field.get("type") == "file":
                whole[name] = FileToSend(_file_name(field))
            elif field.get("type") == "array":
                whole[name] = [FileToSend(_file_name(field.get("items") or {}))]
    named = {pointer: _file_name(field) for field, pointer, _ in sent_files(fields, whole)}

    def sent(pointer: str, value: Any) -> Any:
        if isinstance(value, FileToSend) or (isinstance(value, str) and is_web_file(value)):
            return value
        return FileToSend(cast("Mapping[str, str]", value)["name"] if is_file_value(value) else named[pointer])

    return map_files(fields, whole, sent)


def _file_name(field: Mapping[str, Any]) -> str:
    kinds = field.get("file_kinds") or ("pdf",)
    return f"example{KIND_ENDINGS[kinds[0]][0]}"


_MARK = "@@file:"


def _has_files(payload: Any) -> bool:
    if isinstance(payload, FileToSend):
        return True
    inner = payload.values() if isinstance(payload, dict) else payload if isinstance(payload, list) else ()
    return any(_has_files(one) for one in inner)


def _shell_upload(endpoint: str, payload: Any) -> str:
    if not _has_files(payload):
        return ""
    return f"""
# Uploads a file and prints its id.
upload() {{
  curl -sS --fail-with-body {_shell(_files_url(endpoint))} -H "Authorization: Bearer $FLOWPORT_API_KEY" -F "file=@$1" |
    sed -n 's/.*"file_id":"\\([^"]*\\)".*/\\1/p'
}}
"""


def _shell_payload(payload: Any) -> str:
    text = _shell(_json(payload))
    for mark, name in _marks(payload):
        text = text.replace(mark, f"'\"$(upload {_shell(name)})\"'")
    return text


def _python_upload(payload: Any) -> str:
    if not _has_files(payload):
        return ""
    return '''def upload(path):
    """Uploads a file and returns its id."""
    with open(path, "rb") as file:
        return call("POST", urljoin(ENDPOINT, "/public/v1/files"), files={"file": file}).json()["file_id"]


'''


def _python_first_upload(endpoint: str, payload: Any) -> str:
    if not _has_files(payload):
        return ""
    return f'''HEADERS = {{"Authorization": "Bearer " + os.environ["FLOWPORT_API_KEY"]}}


def upload(path):
    """Uploads a file and returns its id."""
    with open(path, "rb") as file:
        url = urljoin({_text(endpoint)}, "/public/v1/files")
        answer = requests.post(url, headers=HEADERS, files={{"file": file}}, timeout=90)
    if not answer.ok:
        raise SystemExit(f"HTTP {{answer.status_code}}: {{answer.text}}")
    return answer.json()["file_id"]


'''


_JAVASCRIPT_FORM = """\
  const {{ openAsBlob }} = await import("node:fs");
  const form = new FormData();
  form.append("file", await openAsBlob(path), path.split(/[\\\\/]/).pop());
"""


def _javascript_upload(payload: Any) -> str:
    if not _has_files(payload):
        return ""
    return f"""\
// Uploads a file and returns its id (Node 20).
async function upload(path) {{
{_JAVASCRIPT_FORM.format()}\
  return JSON.parse(await call("POST", new URL("/public/v1/files", ENDPOINT), {{ body: form }})).file_id;
}}

"""


def _javascript_first_upload(endpoint: str, payload: Any) -> str:
    if not _has_files(payload):
        return ""
    return f"""\
// Uploads a file and returns its id (Node 20).
async function upload(path) {{
{_JAVASCRIPT_FORM.format()}\
  const headers = {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}` }};
  const response = await fetch({_text(_files_url(endpoint))}, {{ method: "POST", headers, body: form }});
  const text = await response.text();
  if (!response.ok) throw new Error(`HTTP ${{response.status}}: ${{text}}`);
  return JSON.parse(text).file_id;
}}

"""


def _javascript_run(payload: Any, name: str) -> str:
    if not _has_files(payload):
        return f"runFlow({name or _json(payload)})"
    text = _json(payload)
    for mark, file in _marks(payload):
        text = text.replace(f'"{mark}"', f"await upload({_text(file)})")
    return f"(async () => runFlow({text}))()"


def _files_url(endpoint: str) -> str:
    return f"{_origin(endpoint)}/public/v1/files"


def _marks(payload: Any) -> list[tuple[str, str]]:
    """Returns each mark that `_json` writes for a file, and the file's name."""
    if isinstance(payload, FileToSend):
        return [(_mark(payload), payload.name)]
    inner = payload.values() if isinstance(payload, dict) else payload if isinstance(payload, list) else ()
    return [one for value in inner for one in _marks(value)]


def _mark(file: FileToSend) -> str:
    return f"{_MARK}{file.name.encode().hex()}@@"


def _shell_key(key: str) -> str:
    """Returns a line that sets the key if it is known. Otherwise the script uses the reader's variable, and fails with
    a message when it is not set.
    """
    if key != YOUR_KEY:
        return f"export FLOWPORT_API_KEY={_shell(key)}"
    return f"""\
# Once, with your key: export FLOWPORT_API_KEY={_shell(key)}
: "${{FLOWPORT_API_KEY:?Set it to your API key first}}\""""


def _origin(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _shell(text: str) -> str:
    """Quotes any text as one shell word; in double quotes where that is safe, because they are easier to read."""
    if any(letter in text for letter in "\"$`\\!'\n"):
        return "'" + text.replace("'", "'\\''") + "'"
    return f'"{text}"'


def _json(payload: Any) -> str:
    return json.dumps(payload, ensure_ascii=False, indent=2, default=_mark)


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _python_value(value: Any, indent: str = "") -> str:
    """Returns a JSON value as Python source, formatted like JSON."""
    inner = indent + "    "
    if isinstance(value, FileToSend):
        return f"upload({_text(value.name)})"
    if isinstance(value, dict) and value:
        lines = [f"{inner}{_text(name)}: {_python_value(item, inner)},\n" for name, item in value.items()]
        return "{\n" + "".join(lines) + indent + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{_python_value(item, inner)},\n" for item in value) + indent + "]"
    if isinstance(value, str):
        return _text(value)
    return repr(value)
