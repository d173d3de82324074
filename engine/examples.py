"""Ready-to-run code for one endpoint in curl, Python and JavaScript: pure text from its address and a sample payload.

Each one sends the request with an Idempotency-Key. When the endpoint is busy (429) or cannot be reached, it waits as long as it
is told, longer each time, with some chance in it, and tries again. It asks for the job until it has ended and prints the result.
The key is read from `FLOWPORT_API_KEY`, never written into code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

YOUR_KEY = "YOUR_API_KEY"


@dataclass(frozen=True)
class Examples:
    """One text per language. `curl` is a shell script (curl 7.76 or newer), `python` needs requests, `javascript` Node 18."""

    curl: str
    python: str
    javascript: str


def code_examples(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY) -> Examples:
    """The examples for `endpoint` (the full address of POST .../flows/execute/{flow_id}) with a payload that fits."""
    return Examples(
        curl=_curl(endpoint, payload, key),
        python=_python(endpoint, payload, key),
        javascript=_javascript(endpoint, payload, key),
    )


def first_call(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY, wait: int = 60) -> str:
    """The shortest call that works: submit, and wait so many seconds for the result; 0 answers at once with the job's id."""
    return f"""\
export FLOWPORT_API_KEY={_shell(key)}

curl -sS -X POST {_shell(endpoint + (f"?wait={wait}" if wait else ""))} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d {_shell(_json(payload))}
"""


def ask_for_job(endpoint: str) -> str:
    """The call that asks for a job of this endpoint; it answers as soon as the job ends, or after 30 seconds."""
    return f"""\
curl -sS "{_origin(endpoint)}/public/v1/jobs/JOB_ID?wait=30" \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY"
"""


def _curl(endpoint: str, payload: dict[str, Any], key: str) -> str:
    jobs = _origin(endpoint) + "/public/v1/jobs"
    return f"""\
export FLOWPORT_API_KEY={_shell(key)}

# Submit. While too many jobs are running (429), curl waits as the answer says, else longer each time, and tries again.
rm -f answer.json
curl -sS --fail-with-body --max-time 300 --retry 10 --retry-max-time 300 --retry-connrefused -o answer.json \\
  -X POST {_shell(endpoint)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: $(date +%s)-$$-$RANDOM" \\
  -d {_shell(_json(payload))}
job=$(sed -n 's/^{{"job_id":"\\([^"]*\\)".*/\\1/p' answer.json)

# Ask for the job until it has ended; each call answers as soon as it ends, or after 30 seconds. Gives up after 60 calls.
for attempt in $(seq 60); do
  grep -Eq '^\\{{"job_id":"[^"]*","status":"(queued|processing)"' answer.json || break
  curl -sS --fail-with-body --max-time 300 --retry 10 --retry-max-time 300 --retry-connrefused -o answer.json \\
    "{jobs}/$job?wait=30" \\
    -H "Authorization: Bearer $FLOWPORT_API_KEY" || sleep 2
done
cat answer.json
"""


def _python(endpoint: str, payload: dict[str, Any], key: str) -> str:
    return f'''\
# Before: pip install requests
# The key comes from the environment: export FLOWPORT_API_KEY={_shell(key)}
import itertools
import os
import random
import time
import uuid
from urllib.parse import urljoin

import requests

ENDPOINT = {_text(endpoint)}
PAYLOAD = {_python_value(payload)}

session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["FLOWPORT_API_KEY"]


def call(method, url, **options):
    """One request. A busy (429) or restarting server gets it again: not before it asks for it, and later each time."""
    deadline = time.monotonic() + 300
    for attempt in itertools.count():
        try:
            response = session.request(method, url, timeout=300, **options)
            if response.ok:
                return response
            problem = f"HTTP {{response.status_code}}: {{response.text}}"
            again = response.status_code in (429, 502, 503, 504)
            asked = int(response.headers.get("Retry-After", 0))
        except requests.ConnectionError as error:
            problem, again, asked = error, True, 0
        pause = max(asked, min(2**attempt, 30)) * random.uniform(1, 1.5)
        if not again or time.monotonic() + pause > deadline:
            raise SystemExit(problem)
        time.sleep(pause)


def run_flow(payload, give_up_after=1800):
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


job = run_flow(PAYLOAD)
if job["status"] != "completed":
    raise SystemExit(f"The job {{job['status']}}: {{job['error']}}")
print(job["result"])
'''


def _javascript(endpoint: str, payload: dict[str, Any], key: str) -> str:
    return f"""\
// Node 18 or newer. The key comes from the environment: export FLOWPORT_API_KEY={_shell(key)}
const ENDPOINT = {_text(endpoint)};
const PAYLOAD = {_json(payload)};

const HEADERS = {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}`, "Content-Type": "application/json" }};
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// One request. A busy (429) or restarting server gets it again: not before it asks for it, and later each time.
async function call(url, options) {{
  const deadline = Date.now() + 300_000;
  for (let attempt = 0; ; attempt++) {{
    const response = await fetch(url, {{ ...options, signal: AbortSignal.timeout(300_000) }}).catch((error) => error);
    if (response.ok) return response.json();
    const again = [undefined, 429, 502, 503, 504].includes(response.status); // undefined: no connection
    const asked = Number(response.headers?.get("Retry-After") ?? 0);
    const pause = Math.max(asked, Math.min(2 ** attempt, 30)) * (1 + Math.random() / 2);
    if (!again || Date.now() + pause * 1000 > deadline) {{
      throw new Error(response.status ? `HTTP ${{response.status}}: ${{await response.text()}}` : `${{response.cause ?? response}}`);
    }}
    await sleep(pause);
  }}
}}

// Submits the payload and returns the job once it has ended.
async function runFlow(payload, giveUpAfter = 1800) {{
  const idempotencyKey = `${{Date.now()}}-${{Math.random().toString(36).slice(2)}}`;
  const accepted = await call(ENDPOINT, {{
    method: "POST",
    headers: {{ ...HEADERS, "Idempotency-Key": idempotencyKey }},
    body: JSON.stringify(payload),
  }});
  const jobUrl = new URL(accepted.url, ENDPOINT);
  jobUrl.searchParams.set("wait", "30"); // answers as soon as the job ends
  const deadline = Date.now() + giveUpAfter * 1000;
  for (;;) {{
    const job = await call(jobUrl, {{ headers: HEADERS }});
    if (["completed", "failed", "cancelled"].includes(job.status)) return job;
    if (Date.now() > deadline) throw new Error(`Still ${{job.status}} after ${{giveUpAfter}} seconds: ${{jobUrl}}`);
    await sleep(2);
  }}
}}

runFlow(PAYLOAD)
  .then((job) => {{
    if (job.status !== "completed") throw new Error(`The job ${{job.status}}: ${{JSON.stringify(job.error)}}`);
    console.log(JSON.stringify(job.result, null, 2));
  }})
  .catch((error) => {{
    console.error(error.message);
    process.exitCode = 1;
  }});
"""


def _origin(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _shell(text: str) -> str:
    """One shell word, whatever the text holds; double quotes where they are safe because they are easier to read."""
    if any(letter in text for letter in "\"$`\\!'\n"):
        return "'" + text.replace("'", "'\\''") + "'"
    return f'"{text}"'


def _json(payload: Any) -> str:
    return json.dumps(payload, ensure_ascii=False, indent=2)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _python_value(value: Any, indent: str = "") -> str:
    """A JSON value as Python source, laid out like JSON."""
    inner = indent + "    "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{_text(name)}: {_python_value(item, inner)},\n" for name, item in value.items()]
        return "{\n" + "".join(lines) + indent + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{_python_value(item, inner)},\n" for item in value) + indent + "]"
    if isinstance(value, str):
        return _text(value)
    return repr(value)
