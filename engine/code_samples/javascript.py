"""The samples for JavaScript, for Node 18 or newer; those that upload a file need Node 20."""

from __future__ import annotations

from typing import Any

from engine.code_samples.payloads import SampleCall, as_json, changes_in_javascript, has_files, marks
from engine.code_samples.quoting import (
    DOWNLOADED,
    UPLOADED,
    YOUR_KEY,
    files_url,
    indented,
    question_of,
    quoted,
    shell_word,
)

_NEEDS_KEY = """\
if (!process.env.FLOWPORT_API_KEY) {
  console.error("Set FLOWPORT_API_KEY to your API key first");
  process.exit(1);
}
"""
_KEY_HEADER = "const HEADERS = { Authorization: `Bearer ${process.env.FLOWPORT_API_KEY}` };\n"
_SLEEP = "const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));\n"
#: The function that every sample but those of `one_call`, of events and of lines sends its requests with. `_call_function` makes it.
_CALL = (
    f"{_SLEEP}\n"
    """\
// One request; returns the WHAT of its answer. Sent again when the server is busy (429) or away, or does not answer in time:
// later each time.
async function call(method, url, { headers, body } = {}) {
  const deadline = Date.now() + 900_000;
  for (let attempt = 0; ; attempt++) {
    let problem;
    let again = true;
    let asked = 0;
    try {
      const signal = AbortSignal.timeout(LIMIT);
      const response = await fetch(url, { method, headers: SENT_HEADERS, body, signal });
READ
      problem = `HTTP ${response.status}: ${text}`;
      asked = Number(response.headers.get("Retry-After")) || 0; // a 429 without it stays one, however long you wait
      again = [502, 503, 504].includes(response.status) || (response.status === 429 && asked > 0);
      again ||= [408, 500].includes(response.status) && attempt < 2; // these seldom pass by themselves
      again ||= text.includes('"idempotency_in_progress"'); // 409: an earlier try is being accepted
    } catch (error) {
      problem = error.cause?.errors?.[0] ?? error.cause ?? error; // no connection, or no answer in time
    }
    const pause = Math.max(asked, Math.min(2 ** attempt, 30)) * (1 + Math.random() / 2);
    if (!again || Date.now() + pause * 1000 > deadline) throw new Error(`${problem}`);
    console.error(`${`${problem}`.slice(0, 400)}. Next try in ${Math.round(pause)} s`);
    await sleep(pause);
  }
}
"""
)
#: What `call` returns: its name in the comment, and the lines that read it.
_AS_TEXT = (
    "text",
    """\
      const text = await response.text();
      if (response.ok) return text;""",
)
_AS_TEXT_OR_CLOSED = (
    _AS_TEXT[0],
    f"""\
{_AS_TEXT[1]}
      // closed by an earlier try whose response was lost, or by somebody else
      if (attempt && text.includes('"question_closed"')) return null;""",
)
_AS_BYTES = (
    "bytes",
    """\
      const answer = Buffer.from(await response.arrayBuffer());
      if (response.ok) return answer;
      const text = answer.toString();""",
)

#: The name of the file at `path`.
_LAST_PART = r"path.split(/[\\/]/).pop()"
#: What follows a promise: an error is printed, and the program ends with 1.
_CATCH = """\
  .catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
"""


def submit(endpoint: str, payload: dict[str, Any], key: str) -> str:
    """Returns a sample that submits a job and waits until it has ended."""
    return f"""\
{_head(key)}const ENDPOINT = {quoted(endpoint)};
{"" if has_files(payload) else f"{_why_text(payload)}const PAYLOAD = {_value(payload)};{chr(10)}"}
{_call_function(moves_much=has_files(payload))}
{_upload_function(payload)}// Submits the payload and returns the job once it has ended.
async function runFlow(payload, giveUpAfter = 1800) {{
  const {{ randomUUID }} = await import("node:crypto");
  const headers = {{ "Content-Type": "application/json", "Idempotency-Key": randomUUID() }};
  const accepted = JSON.parse(await call("POST", ENDPOINT, {{ headers, body: {_text_of("payload", payload)} }}));
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

{_run(payload, "PAYLOAD")}
  .then((job) => {{
    if (job.status !== "completed") throw new Error(`The job ${{job.status}}: ${{JSON.stringify(job.error)}}`);
    console.log(JSON.stringify(job.result, null, 2));
  }})
{_CATCH}"""


def one_call(endpoint: str, payload: dict[str, Any], key: str) -> str:
    """Returns the shortest sample: one call that waits for the result."""
    return f"""\
{_head(key)}{_NEEDS_KEY}
{_plain_upload_function(endpoint, payload)}async function runFlow(payload) {{
  const response = await fetch({quoted(endpoint + "?wait=60")}, {{ // seconds to wait for the result
    method: "POST",
    headers: {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}`, "Content-Type": "application/json" }},
    body: {_text_of("payload", payload)},
  }});
  const text = await response.text();
  if (!response.ok) throw new Error(`HTTP ${{response.status}}: ${{text}}`);
  const job = JSON.parse(text);
  if (job.status !== "completed") throw new Error(`No result: ${{text}}`);
  return job.result;
}}

{_run(payload, "")}
  .then((result) => console.log(JSON.stringify(result, null, 2)))
{_CATCH}"""


def call(sample: SampleCall) -> str:
    """Returns a sample for one call that prints its response."""
    if sample.answers == "events":
        return _events(sample.url)
    if sample.answers == "lines":
        return _lines(sample.url)
    headers = [
        *(['"Content-Type": "application/json"'] if sample.body is not None else []),
        *(['"Idempotency-Key": randomUUID()'] if sample.with_idempotency_key else []),
    ]
    options = ""
    if headers:
        options = f", {{\n  headers: {{ {', '.join(headers)} }},\n"
        if sample.body is not None:
            options += (
                f"{_why_text(sample.body, '  ')}  body: {_text_of(indented(_value(sample.body)), sample.body)},\n"
            )
        options += "}"
    shown = {
        "json": "    console.log(JSON.stringify(JSON.parse(text), null, 2));",
        "nothing": '    console.log(text || "done");',
    }[sample.answers]
    calling = f"call({quoted(sample.method)}, {quoted(sample.url)}{options})"
    if sample.with_idempotency_key:
        calling = f'import("node:crypto")\n  .then(({{ randomUUID }}) => {indented(calling)})'
    return f"""\
{_head(YOUR_KEY if sample.needs_key else None)}{_call_function(needs_key=sample.needs_key)}
{calling}
  .then((text) => {{
{shown}
  }})
{_CATCH}"""


def answer(url: str, said: dict[str, Any]) -> str:
    """Returns a sample that answers a question of a job and prints it; when a repeat finds it closed, as the list of
    questions has it.
    """
    questions, question_id = question_of(url)
    return f"""\
{_head()}const QUESTIONS = {quoted(questions)};
const QUESTION_ID = {quoted(question_id)};
const ANSWER = {as_json(said)};

{_call_function(_AS_TEXT_OR_CLOSED)}
// Returns the question as it stands in the list of the job's questions.
async function findQuestion() {{
  const url = new URL(QUESTIONS);
  for (;;) {{
    const page = JSON.parse(await call("GET", url));
    const found = page.data.find((one) => one.question_id === QUESTION_ID);
    if (found) return found;
    if (page.next_cursor === null) throw new Error("The job has no such question any more");
    url.searchParams.set("cursor", page.next_cursor);
  }}
}}

async function answer() {{
  const headers = {{ "Content-Type": "application/json" }};
  const body = JSON.stringify(ANSWER);
  const text = await call("POST", `${{QUESTIONS}}/${{QUESTION_ID}}/answer`, {{ headers, body }});
  return text === null ? findQuestion() : JSON.parse(text);
}}

answer()
  .then((question) => {{
    console.log(JSON.stringify(question, null, 2));
    if (question.status !== (ANSWER.approved ? "approved" : "refused")) {{
      throw new Error("It was closed in another way: status and answered_by tell how");
    }}
  }})
{_CATCH}"""


#: What a sample does with the head of an answer that it reads piece by piece.
_LOOK_AT_HEAD = """\
      asked = Number(answer.headers.get("Retry-After")) || 0;
      let again = [502, 503, 504].includes(answer.status) || (answer.status === 429 && asked > 0);
      again ||= [408, 500].includes(answer.status) && failures < 2; // these seldom pass by themselves
      if (!answer.ok && !again) {
        throw Object.assign(new Error(`HTTP ${answer.status}: ${await answer.text()}`), { final: true });
      }
      let text = "";
"""


def _events(url: str) -> str:
    return f"""\
{_head()}{_NEEDS_KEY}const URL_OF_EVENTS = {quoted(url)};
const HEADERS = {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}`, Accept: "text/event-stream" }};
{_SLEEP}
// Yields [name, data] of every event; goes on after the last one when the connection is lost. Ends with the job.
async function* events(url) {{
  let last = "0";
  for (let failures = 0; failures < 10; ) {{
    let asked = 0;
    const silent = new AbortController(); // every 15 seconds something comes, so 60 silent seconds are a lost connection
    const timer = setTimeout(() => silent.abort(), 60_000);
    try {{
      const answer = await fetch(url, {{ headers: {{ ...HEADERS, "Last-Event-ID": last }}, signal: silent.signal }});
{_LOOK_AT_HEAD}\
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


def _lines(url: str) -> str:
    return f"""\
{_head()}{_NEEDS_KEY}const URL_OF_RESULTS = {quoted(url)};
{_KEY_HEADER}{_SLEEP}
// Yields the line of every item; goes on after the last one when the connection is lost.
async function* results(url) {{
  let after = "";
  for (let failures = 0; failures < 10; ) {{
    const askedAfter = after;
    let asked = 0;
    try {{
      const answer = await fetch(url + after, {{ headers: HEADERS, signal: AbortSignal.timeout(1_200_000) }});
{_LOOK_AT_HEAD}\
      for await (const piece of answer.ok ? answer.body.pipeThrough(new TextDecoderStream()) : []) {{
        const lines = (text + piece).split("\\n");
        text = lines.pop(); // a line that broke off is asked for again
        for (const line of lines) {{
          const item = JSON.parse(line);
          after = `?after=${{item.item_index}}`;
          failures = 0;
          yield item;
        }}
      }}
      if (answer.ok && after === askedAfter && !text) return; // no item is left: an early end may look like the whole
      if (answer.ok && after !== askedAfter) continue;
    }} catch (error) {{
      if (error.final) throw error;
    }}
    failures += 1;
    await sleep(Math.max(asked, Math.min(2 ** failures, 30)));
  }}
  throw new Error("The connection was lost too often");
}}

(async () => {{
  for await (const item of results(URL_OF_RESULTS)) console.log(item);
}})().catch((error) => {{
  console.error(error.message);
  process.exitCode = 1;
}});
"""


def upload(url: str) -> str:
    """Returns a sample that uploads the file UPLOADED, which lies beside it, and prints the response."""
    return f"""\
{_head(node=20)}{_call_function(moves_much=True)}
async function upload() {{
{_form(quoted(UPLOADED), quoted(UPLOADED))}\
  const {{ randomUUID }} = await import("node:crypto");
  return call("POST", {quoted(url)}, {{ headers: {{ "Idempotency-Key": randomUUID() }}, body: form }});
}}

upload()
  .then((text) => {{
    console.log(JSON.stringify(JSON.parse(text), null, 2));
  }})
{_CATCH}"""


def download(url: str) -> str:
    """Returns a sample that writes a file as DOWNLOADED beside it, and prints the name."""
    return f"""\
{_head()}{_call_function(_AS_BYTES, moves_much=True)}
async function download() {{
  const {{ writeFile }} = await import("node:fs/promises");
  await writeFile({quoted(DOWNLOADED)}, await call("GET", {quoted(url)}));
}}

download()
  .then(() => console.log({quoted(DOWNLOADED)}))
{_CATCH}"""


def _head(key: str | None = YOUR_KEY, *, node: int = 18) -> str:
    if key is None:
        return f"// Node {node} or newer.\n"
    return f"// Node {node} or newer. The key comes from the environment: export FLOWPORT_API_KEY={shell_word(key)}\n"


def _call_function(returns: tuple[str, str] = _AS_TEXT, *, needs_key: bool = True, moves_much: bool = False) -> str:
    """Returns the function `call` of a sample, and what has to stand before it. `returns`: _AS_TEXT or _AS_BYTES.
    `moves_much`: a try may take 20 minutes, as files do over a slow line, and not 5.
    """
    what, read = returns
    limit = "1_200_000" if moves_much else "300_000"
    code = _CALL.replace("WHAT", what).replace("READ", read).replace("LIMIT", limit)
    if not needs_key:
        return code.replace("headers: SENT_HEADERS", "headers")
    return _NEEDS_KEY + _KEY_HEADER + code.replace("SENT_HEADERS", "{ ...HEADERS, ...headers }")


def _form(path: str, name: str) -> str:
    """Returns the lines that put a file into a form. `path` and `name` are expressions of JavaScript."""
    return f"""\
  const {{ openAsBlob }} = await import("node:fs");
  const form = new FormData();
  form.append("file", await openAsBlob({path}), {name});
"""


def _upload_function(payload: Any) -> str:
    if not has_files(payload):
        return ""
    return f"""\
// Uploads a file and returns its id (Node 20).
async function upload(path) {{
{_form("path", _LAST_PART)}\
  const {{ randomUUID }} = await import("node:crypto");
  const headers = {{ "Idempotency-Key": randomUUID() }};
  return JSON.parse(await call("POST", new URL("/public/v1/files", ENDPOINT), {{ headers, body: form }})).file_id;
}}

"""


def _plain_upload_function(endpoint: str, payload: Any) -> str:
    if not has_files(payload):
        return ""
    return f"""\
// Uploads a file and returns its id (Node 20).
async function upload(path) {{
{_form("path", _LAST_PART)}\
  const headers = {{ Authorization: `Bearer ${{process.env.FLOWPORT_API_KEY}}` }};
  const response = await fetch({quoted(files_url(endpoint))}, {{ method: "POST", headers, body: form }});
  const text = await response.text();
  if (!response.ok) throw new Error(`HTTP ${{response.status}}: ${{text}}`);
  return JSON.parse(text).file_id;
}}

"""


def _run(payload: Any, name: str) -> str:
    why = "" if name and not has_files(payload) else _why_text(payload)
    if not has_files(payload):
        return f"{why}runFlow({name or _value(payload)})"
    text = _value(payload)
    for mark, file in marks(payload):
        uploaded = f"await upload({quoted(file)})"
        text = text.replace(f'"{mark}"', f'"${{{uploaded}}}"' if changes_in_javascript(payload) else uploaded)
    return f"{why}(async () => runFlow({text}))()"


def _value(payload: Any) -> str:
    """Returns a payload as an object of JavaScript, or its JSON text as a template where an object would change it."""
    text = as_json(payload)
    if not changes_in_javascript(payload):
        return text
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${") + "`"


def _text_of(value: str, payload: Any) -> str:
    """Returns the expression for the JSON text of what `_value` returned, which `value` names."""
    return value if changes_in_javascript(payload) else f"JSON.stringify({value})"


def _why_text(payload: Any, front: str = "") -> str:
    if not changes_in_javascript(payload):
        return ""
    return f"{front}// JSON as text: an object would change its large numbers, or lose a field named __proto__.\n"
