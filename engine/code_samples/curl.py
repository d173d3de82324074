"""The samples for curl 7.76 or newer: shell scripts."""

from __future__ import annotations

from typing import Any

from engine.code_samples.payloads import SampleCall, as_json, has_files, marks
from engine.code_samples.quoting import DOWNLOADED, UPLOADED, YOUR_KEY, files_url, origin_of, shell_word

#: Bytes of a word of a script; Linux takes no longer one than 128 KiB.
_LONGEST_WORD = 100_000
#: Prints the answer also when the call was refused, and then ends with 22.
_CURL = "curl -sS --fail-with-body --max-time 300"
#: Stands above a call that may be answered with a job.
_ENDS_WITH = '# curl ends with 0 when the call was answered, also with a job that failed: look at its "status".\n'
#: Calls that move much end after 300 seconds in which nothing came or went.
_CURL_MUCH = "curl -sS --fail-with-body --speed-limit 1 --speed-time 300"
_KEY_HEADER = '-H "Authorization: Bearer $FLOWPORT_API_KEY"'
#: Evaluated once for each line of a script: the tries of one request send the same.
_IDEMPOTENCY_HEADER = '-H "Idempotency-Key: $(uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid)"'
#: curl's own --retry cannot tell a 429 that passes from one that stays.
_CALL_FUNCTION = """\
# One request; its answer is in answer.json. Sent again when the server is busy (429) or away, or does not answer in time:
# later each time, for 15 minutes at most.
call() {
  deadline=$(($(date +%s) + 900)) attempt=0 pause=1
  while :; do
    rm -f answer.json headers.txt
    code=$(curl -sS --max-time 300 -D headers.txt -o answer.json -w '%{http_code}' \\
      -H "Authorization: Bearer $FLOWPORT_API_KEY" "$@") || {
      [ $? -lt 126 ] || return 1 # curl could not be started, or was stopped
      code=none
    }
    asked=$(grep -Eio '^retry-after: *[0-9]+' headers.txt 2>/dev/null | tr -dc 0-9)
    case $code in
      2??) case $(tail -c 2 answer.json 2>/dev/null) in *"}") return 0 ;; esac ;; # else it broke off, perhaps in its headers
      none | 502 | 503 | 504) ;;
      429) [ -n "$asked" ] || return 1 ;; # without Retry-After it stays one, however long you wait
      408 | 500) [ $attempt -lt 2 ] || return 1 ;; # these seldom pass by themselves
      409) grep -q '"idempotency_in_progress"' answer.json || return 1 ;; # an earlier try is being accepted
      *) return 1 ;;
    esac
    [ "${asked:-0}" -gt $pause ] || asked=$pause
    [ $(($(date +%s) + asked)) -le $deadline ] || return 1
    sleep $asked
    attempt=$((attempt + 1)) pause=$((pause < 16 ? pause * 2 : 30))
  done
}
"""


def submit(endpoint: str, payload: dict[str, Any], key: str) -> str:
    """Returns a sample that submits a job and waits until it has ended."""
    jobs = origin_of(endpoint) + "/public/v1/jobs"
    return f"""\
{_key_line(key)}
{_upload_function(endpoint, payload)}
{_CALL_FUNCTION}
{f"cat > body.json {_here_document(payload)}{chr(10)}" if _is_long(payload) else ""}ended=1
if call -X POST {shell_word(endpoint)} \\
  -H "Content-Type: application/json" \\
  {_IDEMPOTENCY_HEADER} \\
  {"--data-binary @body.json" if _is_long(payload) else _body(payload)}
then
  job=$(grep -Eo '"job_id": *"[^"]*"' answer.json | head -n 1 | cut -d '"' -f 4)

  # Ask for the job until it has ended; each call answers as soon as it ends, or after 30 seconds. Gives up after 60 calls.
  for poll in $(seq 60); do
    call "{jobs}/$job?wait=30" || break
    case $(grep -Eo '"status": *"[^"]*"' answer.json | head -n 1 | cut -d '"' -f 4) in # the first one is that of the job
      completed) ended=0 && break ;;
      failed | cancelled | "") break ;;
      *) sleep 2 ;;
    esac
  done
fi
cat answer.json
(exit $ended) # 0: the job is completed; 1: it is not, and the answer says why
"""


def first_call(endpoint: str, payload: dict[str, Any], *, key: str = YOUR_KEY, wait: int = 60) -> str:
    """Returns the shortest working call: submits a job and waits `wait` seconds for the result; with 0 it gets the
    job's id at once.
    """
    return f"""\
{_key_line(key)}
{_upload_function(endpoint, payload)}
{_ENDS_WITH if wait else ""}curl -sS --fail-with-body -X POST {shell_word(endpoint + (f"?wait={wait}" if wait else ""))} \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY" \\
  -H "Content-Type: application/json" \\
  {_body(payload)}
"""


def ask_for_job(endpoint: str) -> str:
    """Returns a call that waits up to 30 seconds for a job of this endpoint to end."""
    return f"""\
{_ENDS_WITH}curl -sS --fail-with-body "{origin_of(endpoint)}/public/v1/jobs/JOB_ID?wait=30" \\
  -H "Authorization: Bearer $FLOWPORT_API_KEY"
"""


def call(sample: SampleCall) -> str:
    """Returns a sample for one call, sent once. An event stream is printed as it arrives and has no time limit."""
    lines = [
        "curl -sSN --fail-with-body"
        if sample.answers == "events"
        else _CURL_MUCH
        if sample.answers == "lines"
        else _CURL
    ]
    lines[0] += (
        f" -X {sample.method} {shell_word(sample.url)}" if sample.method != "GET" else f" {shell_word(sample.url)}"
    )
    if sample.needs_key:
        lines.append(f"  {_KEY_HEADER}")
    if sample.with_idempotency_key:
        lines.append(f"  {_IDEMPOTENCY_HEADER}")
    if sample.body is not None:
        lines.append('  -H "Content-Type: application/json"')
        lines.append(f"  {_body(sample.body)}")
    before = f"{_key_line(YOUR_KEY)}\n\n" if sample.needs_key else ""
    return before + " \\\n".join(lines) + "\n"


def answer(url: str, said: dict[str, Any]) -> str:
    """Returns a sample that answers a question of a job once, and prints it."""
    return call(SampleCall("POST", url, said))


def upload(url: str) -> str:
    """Returns a sample that uploads the file UPLOADED, which lies beside it, and prints the response."""
    return f"""\
{_key_line(YOUR_KEY)}

{_CURL_MUCH} {shell_word(url)} \\
  {_KEY_HEADER} \\
  {_IDEMPOTENCY_HEADER} \\
  -F {shell_word(f"file=@{UPLOADED}")}
"""


def download(url: str) -> str:
    """Returns a sample that writes a file as DOWNLOADED beside it, and prints the name. An answer that is no file does
    not get this name.
    """
    return f"""\
{_key_line(YOUR_KEY)}

rm -f answer.part
if {_CURL_MUCH} -o answer.part {shell_word(url)} \\
  {_KEY_HEADER}
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
# Uploads a file and prints its id. The name is quoted for curl, which would read a comma or a semicolon in it.
upload() {{
  name=$(printf %s "$1" | sed 's/[\\\\"]/\\\\&/g')
  answer=$(curl -sS --fail-with-body {shell_word(files_url(endpoint))} \\
    -H "Authorization: Bearer $FLOWPORT_API_KEY" -F "file=@\\"$name\\"") || {{ echo "$answer" >&2; return 1; }}
  echo "$answer" | grep -Eo '"file_id": *"[^"]*"' | cut -d '"' -f 4
}}
"""


def _body(payload: Any) -> str:
    """Returns the last option of a call that sends the payload once."""
    if _is_long(payload):
        return f"--data-binary @- {_here_document(payload)}"
    text = shell_word(as_json(payload))
    for mark, name in marks(payload):
        text = text.replace(mark, f"'\"$(upload {shell_word(name)})\"'")
    return f"-d {text}"


def _is_long(payload: Any) -> bool:
    return len(as_json(payload).encode()) > _LONGEST_WORD


def _here_document(payload: Any) -> str:
    """Returns the payload as the input of a command. No line of it is the one that ends it."""
    text = as_json(payload)
    if not has_files(payload):
        return f"<<'END_OF_BODY'\n{text}\nEND_OF_BODY"
    for special in "\\$`":
        text = text.replace(special, f"\\{special}")
    for mark, name in marks(payload):
        text = text.replace(mark, f"$(upload {shell_word(name)})")
    return f"<<END_OF_BODY\n{text}\nEND_OF_BODY"


def _key_line(key: str) -> str:
    """Returns a line that sets the key if it is known. Otherwise the script uses the reader's variable, and fails with
    a message when it is not set.
    """
    if key != YOUR_KEY:
        return f"export FLOWPORT_API_KEY={shell_word(key)}"
    return f"""\
# Once, with your key: export FLOWPORT_API_KEY={shell_word(key)}
: "${{FLOWPORT_API_KEY:?Set it to your API key first}}\""""
