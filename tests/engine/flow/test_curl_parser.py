"""A pasted curl command becomes an HTTP Request node or is rejected with a reason. Nothing is run or read from disk."""

from __future__ import annotations

import pytest

from engine.flow.curl_parser import CurlRefused, is_credential, looks_like_curl, read_curl
from engine.flow.document import Document
from engine.flow.validation import problems
from engine.nodes import CATALOG


def read(text):
    """Parses a command into (method, url, headers, query, body, credentials)."""
    found = read_curl(text)
    return found.method, found.url, found.headers, found.query, found.body, found.credentials


URL = "https://api.example.com/v1/items"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"curl {URL}", ("GET", URL, {}, {}, None, {})),
        (f"$ curl -sSL '{URL}?a=1&b=x%20y' -o out.json --compressed", ("GET", URL, {}, {"a": "1", "b": "x y"}, None, {})),
        ("curl example.com", ("GET", "http://example.com", {}, {}, None, {})),
        (f"curl -X DELETE {URL}", ("DELETE", URL, {}, {}, None, {})),
        (f"curl -XPUT {URL} -d x=1", ("PUT", URL, FORM, {}, "x=1", {})),
        (f"curl --request=PATCH --url={URL}", ("PATCH", URL, {}, {}, None, {})),
        (f"curl -I {URL}", ("HEAD", URL, {}, {}, None, {})),
        (f"curl {URL} -H 'X-One: 1' -H 'X-Empty;' -H 'Accept:' -H 'Host: other'", ("GET", URL, {"X-One": "1", "X-Empty": ""}, {}, None, {})),
        (f"curl {URL} -A agent -e https://from.example -r 0-99", ("GET", URL, {"User-Agent": "agent", "Referer": "https://from.example", "Range": "bytes=0-99"}, {}, None, {})),
        (f"curl {URL} -d a=1 -d b=2", ("POST", URL, FORM, {}, "a=1&b=2", {})),
        (f"curl {URL} --data-raw '@not a file'", ("POST", URL, FORM, {}, "@not a file", {})),
        (f"curl {URL} --data-urlencode 'q=a b&c' --data-urlencode '=x y'", ("POST", URL, FORM, {}, "q=a+b%26c&x+y", {})),
        (f"curl -G {URL} -d a=1 --data-urlencode 'q=a b'", ("GET", URL, {}, {"a": "1", "q": "a b"}, None, {})),
        (f"curl {URL}?x=1 --url-query y=2", ("GET", URL, {}, {"x": "1", "y": "2"}, None, {})),
        (f"curl '{URL}?a=1&a=2'", ("GET", f"{URL}?a=1&a=2", {}, {}, None, {})),
        (f"curl '{URL}?flag&a=1'", ("GET", f"{URL}?flag&a=1", {}, {}, None, {})),
        (f"curl {URL} -H 'Content-Type: application/json' -d '{{\"a\": [1, null]}}'", ("POST", URL, {}, {}, {"a": [1, None]}, {})),
        (f"curl {URL} -H 'content-type: application/json; charset=utf-8' -d '[1]'", ("POST", URL, {"content-type": "application/json; charset=utf-8"}, {}, [1], {})),
        (f"curl {URL} -H 'Content-Type: application/json' -d '{{broken'", ("POST", URL, {"Content-Type": "application/json"}, {}, "{broken", {})),
        (f"curl {URL} --json '{{\"a\":1}}'", ("POST", URL, {"Accept": "application/json"}, {}, {"a": 1}, {})),
        (f"curl {URL} --json '{{\"a\":1,\"a\":2}}'", ("POST", URL, {"Content-Type": "application/json", "Accept": "application/json"}, {}, '{"a":1,"a":2}', {})),
        (f"curl -u ann:s3cret {URL}", ("GET", URL, {}, {}, None, {"Authorization": "Basic YW5uOnMzY3JldA=="})),
        ("curl https://ann:s3cret@api.example.com/", ("GET", "https://api.example.com/", {}, {}, None, {"Authorization": "Basic YW5uOnMzY3JldA=="})),
        (f"curl {URL} -H 'Authorization: Bearer sk-1' -H 'x-api-key: k'", ("GET", URL, {}, {}, None, {"Authorization": "Bearer sk-1", "x-api-key": "k"})),
        (f"curl {URL} --oauth2-bearer abc", ("GET", URL, {}, {}, None, {"Authorization": "Bearer abc"})),
        (f"curl {URL} -b 'a=1; b=2' -H 'Cookie: c=3'", ("GET", URL, {}, {}, None, {"Cookie": "a=1; b=2; c=3"})),
        (f"curl {URL} --data $'{{\"t\": \"it\\'s\\u00e4\\n\"}}'", ("POST", URL, FORM, {}, '{"t": "it\'sä\n"}', {})),
        (f'curl \\\n  "{URL}" \\\n  -H "A: say \\"hi\\" \\$5"', ("GET", URL, {"A": 'say "hi" $5'}, {}, None, {})),
        (f'curl ^"{URL}?a=1^&b=2^" ^\r\n  -H ^"A: ^\\^"x^\\^"^"', ("GET", URL, {"A": '"x"'}, {"a": "1", "b": "2"}, None, {})),
        ("curl https://x.example/?a=1&b=2", ("GET", "https://x.example/", {}, {"a": "1", "b": "2"}, None, {})),
        (f"curl {URL} -d '{{{{ api_input.out.x }}}}'", ("POST", URL, FORM, {}, "{{ api_input.out.x }}", {})),
        (f"curl -- {URL}", ("GET", URL, {}, {}, None, {})),
        (f"curl {URL} -d ''", ("POST", URL, FORM, {}, "", {})),
    ],
)  # fmt: skip
def test_a_command_is_read_as_curl_would_send_it(command, expected):
    assert read(command) == expected


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("wget https://x.example", "not a curl command"),
        ("", "not a curl command"),
        ("curly https://x.example", "not a curl command"),
        ("curl -s", "no address"),
        ("curl https://a.example https://b.example", "asks 2 addresses"),
        (f"curl {URL} -d @/etc/passwd", "a file of your computer"),
        (f"curl {URL} --json @body.json", "a file of your computer"),
        (f"curl {URL} --data-binary @x", "a file of your computer"),
        (f"curl {URL} --data-urlencode q@x", "a file of your computer"),
        (f"curl {URL} -H @headers", "headers from a file"),
        (f"curl {URL} -b jar.txt", "cookies from a file"),
        (f"curl {URL} -F a=@b", "a form with files"),
        (f"curl {URL} -T x", "a file of your computer"),
        (f"curl {URL} -x http://proxy", "FLOWPORT_OUTBOUND_PROXY"),
        (f"curl {URL} --digest -u a:b", "digest"),
        (f"curl {URL} --next {URL}", "several requests"),
        (f"curl {URL} -X OPTIONS", "OPTIONS is not among"),
        (f"curl {URL} --frobnicate", "`--frobnicate` is not known"),
        (f"curl {URL} -?", "`-?` is not known"),
        (f"curl {URL} -H", "without its value"),
        (f"curl {URL} -H 'no colon'", "cannot be read"),
        (f"curl {URL} -d 'open", "never closed"),
        (f'curl {URL} -d "open', "never closed"),
        (f"curl {URL} -d $'open", "never closed"),
        (f'curl {URL} -H "A: $(whoami)"', "a command inside the command"),
        (f"curl {URL} -d `id`", "a command inside the command"),
        ("curl https://x.example/[1-100]", "stands for several"),
        ("curl https://{a,b}.example/", "stands for several"),
        ("curl ftp://x.example/", "`ftp://` is not opened"),
        ("curl file:///etc/passwd", "`file://` is not opened"),
        ("curl http://[/", "not a web address"),
        (f"curl {URL} -d {'x' * 300_000}", "characters"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(command, says):
    with pytest.raises(CurlRefused) as refused:
        read_curl(command)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("command", "note"),
    [
        (f"curl -k {URL}", "certificates are always checked"),
        (f"curl -m 5 {URL}", "set the time limit of the node"),
        (f"curl {URL} | jq .items", "`| jq .items`"),
        (f"curl {URL} > out.json", "`> out.json`"),
        (f"curl {URL} && echo done", "`&& echo done`"),
        (f'curl {URL} -H "Authorization: Bearer $API_KEY"', "`$API_KEY` is a variable of your shell"),
        (f"curl {URL} -u ann", "has no password"),
        (f"curl '{URL}?api_key=1'", "`api_key` in the address looks like a key"),
    ],
)
def test_what_was_left_out_is_told(command, note):
    assert any(note in text for text in read_curl(command).notes)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cookie",
        "X-API-Key",
        "api_key",
        "Ocp-Apim-Subscription-Key",
        "X-Auth-Token",
        "Private-Token",
        "X-Amz-Security-Token",
        "X-Hub-Signature",
        "client-secret",
    ],
)
def test_headers_that_carry_credentials_are_known_by_name(name):
    assert is_credential(name)


@pytest.mark.parametrize(
    "name", ["Accept", "Author", "X-Request-Id", "Content-Type", "Idempotency-Key", "X-Monkey", "Tokenizer"]
)
def test_other_headers_stay_plain(name):
    assert not is_credential(name)


def test_the_node_it_fills_is_valid_and_holds_no_credential():
    command = read_curl(
        f"curl -X POST '{URL}?page=2' -H 'Authorization: Bearer swordfish' -b s=swordfish -H 'X-A: 1' --json '{{\"n\": 1}}'"
    )
    assert "swordfish" not in str((command.inputs(), command.config({"Authorization": "sec_1"})))
    assert command.config({"Authorization": "sec_1", "Other": "sec_2"}) == {
        "method": "POST",
        "secret_headers": {"Authorization": "sec_1", "Cookie": ""},
    }
    nodes = [
        {"id": "api_input", "type": "api_input"},
        {"id": "http_request", "type": "http_request", "config": command.config(), "inputs": command.inputs()},
    ]
    edges = [{"id": "e", "source": "api_input", "target": "http_request"}]
    document = Document.model_validate({"format": 1, "nodes": nodes, "edges": edges})
    assert [problem.code for problem in problems(document, CATALOG)] == ["no_secret", "no_secret"]


def test_a_curl_command_is_told_from_other_texts():
    assert looks_like_curl("  curl https://x") and looks_like_curl("$ curl.exe -s x")
    assert not looks_like_curl('{"curl": 1}') and not looks_like_curl("curl")
