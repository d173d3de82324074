"""The samples for curl 7.76 or newer: shell scripts."""

from __future__ import annotations

from typing import Any

from engine.code_samples.payloads import Answers, as_json, has_files, marks
from engine.code_samples.quoting import DOWNLOADED, UPLOADED, YOUR_KEY, files_url, origin_of, shell_word

#: Options of curl: at most 300 seconds per try, and retries after 408, 429, 500 to 504 and timeouts.
_CURL = "curl -sS --fail-with-body --max-time 300 --retry 10 --retry-max-time 900 --retry-connrefused"
#: Ends as curl did after it has printed the answer, which is the reason when the call was refused. A bare `exit` would
#: close the terminal of somebody who pastes the sample.
_SHOW_ANSWER = """\
ended=$?
cat answer.json
(exit $ended) # 0: answered; 22: refused, and the answer says why"""


def submit(endpoint: str, payload: dict[str, Any], key: str) -> str:
    """Returns a sample that submits a job and waits until it has ended."""
    jobs = origin_of(endpoint) + "/public/v1/jobs"
    return f"""\
{_key_line(key)}
{_upload_function(endpoint, payload)}
# Submit. While too many jobs are running (429), curl waits as the answer says, else longer each time, and tries again.
rm -f answer.json
ended=1
if {_CURL} -o answer.json \\
  -X POST {shell_word(endpoint)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)" \\
  -d {_payload(payload)}
then
  job=$(grep -Eo '"job_id": *"[^"]*"' answer.json | head -n 1 | cut -d '"' -f 4)

  # Ask for the job until it has ended; each call answers as soon as it ends, or after 30 seconds. Gives up after 60 calls.
  for attempt in $(seq 60); do
    code=$({_CURL} -o answer.json -w '%{{http_code}}' \\
      "{jobs}/$job?wait=30" \\
      -H "Authorization: Bearer $FLOWPORT_API_KEY")
    case $code in
      2??) grep -Eq '"execution_time_seconds": *null' answer.json || {{ ended=0; break; }} ;; # a number: it has ended
      4??) break ;; # refused for good
      *) sleep 2 ;;
    esac
  done
fi
cat answer.json
(exit $ended) # 0: the job has ended, and the answer says how
"""


def first_call(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY, wait: int = 60) -> str:
    """Returns the shortest working call: submits a job and waits `wait` seconds for the result; with 0 it gets the
    job's id at once.
    """
    return f"""\
{_key_line(key)}
{_upload_function(endpoint, payload)}
curl -sS --fail-with-body -X POST {shell_word(endpoint + (f"?wait={wait}" if wait else ""))} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d {_payload(payload)}
"""


def ask_for_job(endpoint: str) -> str:
    """Returns a call that waits up to 30 seconds for a job of this endpoint to end."""
    return f"""\
curl -sS --fail-with-body "{origin_of(endpoint)}/public/v1/jobs/JOB_ID?wait=30" \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY"
"""


def call(method: str, url: str, body: Any, answers: Answers, with_idempotency_key: bool) -> str:  # noqa: FBT001
    """An event stream is printed as it arrives. Other responses are written to a file, which then contains only the
    response of the last try.
    """
    lines = ["curl -sSN --fail-with-body" if answers == "events" else f"{_CURL} -o answer.json"]
    lines.append(f"  -X {method} {shell_word(url)}" if method != "GET" else f"  {shell_word(url)}")
    lines.append('  -H "Authorization: Bearer $FLOWPORT_API_KEY"')
    if with_idempotency_key:
        lines.append('  -H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)"')
    if body is not None:
        lines.append('  -H "Content-Type: application/json"')
        lines.append(f"  -d {shell_word(as_json(body))}")
    call = " \\\n".join(lines)
    if answers != "events":
        call = f"rm -f answer.json\n{call}\n{_SHOW_ANSWER}"
    return f"{_key_line(YOUR_KEY)}\n\n{call}\n"


def upload(url: str) -> str:
    """Returns a sample that uploads the file UPLOADED, which lies beside it, and prints the response."""
    return f"""\
{_key_line(YOUR_KEY)}

rm -f answer.json
{_CURL} -o answer.json \\
  {shell_word(url)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)" \\
  -F {shell_word(f"file=@{UPLOADED}")}
{_SHOW_ANSWER}
"""


def download(url: str) -> str:
    """Returns a sample that writes a file as DOWNLOADED beside it, and prints the name. An answer that is no file does
    not get this name.
    """
    return f"""\
{_key_line(YOUR_KEY)}

rm -f answer.part
if {_CURL} -o answer.part \\
  {shell_word(url)} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY"
then
  mv answer.part {shell_word(DOWNLOADED)} && echo {shell_word(DOWNLOADED)}
else
  cat answer.part # says why
  rm -f answer.part
  (exit 1)
fi
"""


def _upload_function(endpoint: str, payload: Any) -> str:
    if not has_files(payload):
        return ""
    return f"""
# Uploads a file and prints its id.
upload() {{
  answer=$(curl -sS --fail-with-body {shell_word(files_url(endpoint))} \\
    -H "Authorization: Bearer $FLOWPORT_API_KEY" -F "file=@$1") || {{ echo "$answer" >&2; return 1; }}
  echo "$answer" | grep -Eo '"file_id": *"[^"]*"' | cut -d '"' -f 4
}}
"""


def _payload(payload: Any) -> str:
    text = shell_word(as_json(payload))
    for mark, name in marks(payload):
        text = text.replace(mark, f"'\"$(upload {shell_word(name)})\"'")
    return text


def _key_line(key: str) -> str:
    """Returns a line that sets the key if it is known. Otherwise the script uses the reader's variable, and fails with
    a message when it is not set.
    """
    if key != YOUR_KEY:
        return f"export FLOWPORT_API_KEY={shell_word(key)}"
    return f"""\
# Once, with your key: export FLOWPORT_API_KEY={shell_word(key)}
: "${{FLOWPORT_API_KEY:?Set it to your API key first}}\""""
