"""Reads a pasted curl command as the settings of an HTTP Request node. Pure code: it runs, reads and sends nothing.

`read_curl` returns what the command says, with headers that look like credentials apart, so that they can be stored as
secrets. Options that only concern curl itself (`-s`, `-L`, `-o file`) are left out; an option that the node does not
support is refused by name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlunsplit

from msgspec import Struct, field
from pydantic import JsonValue

from engine.core.web_addresses import split_url
from engine.flow.json_values import finite
from engine.flow.shell_words import UnreadableCommand, split_command

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
MAX_LENGTH = 200_000

_SHORT = {
    "X": "request", "H": "header", "d": "data", "u": "user", "A": "user-agent", "e": "referer", "b": "cookie", "G": "get",
    "I": "head", "k": "insecure", "F": "form", "T": "upload-file", "x": "proxy", "U": "proxy-user", "E": "cert", "K": "config",
    "n": "netrc", "r": "range", "m": "max-time", "o": "output", "w": "write-out", "D": "dump-header", "c": "cookie-jar",
    "y": "speed-time", "Y": "speed-limit", "C": "continue-at", "z": "time-cond", "s": "silent", "S": "show-error",
    "v": "verbose", "i": "include", "L": "location", "f": "fail", "g": "globoff", "N": "no-buffer", "#": "progress-bar",
    "O": "remote-name", "J": "remote-header-name", "R": "remote-time", "q": "disable", "0": "http1.0", "1": "tlsv1",
    "4": "ipv4", "6": "ipv6", "j": "junk-session-cookies", "a": "append", "p": "proxytunnel", "Z": "parallel",
}  # fmt: skip
#: Options about how curl works or what it shows: first those without a value, then those with one.
_LEFT_OUT = frozenset(
    "silent show-error verbose include location fail fail-with-body fail-early globoff no-buffer progress-bar "  # noqa: SIM905
    "no-progress-meter remote-name remote-name-all remote-header-name remote-time compressed http1.0 http1.1 http2 http3 "
    "http2-prior-knowledge ipv4 ipv6 tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 tcp-nodelay tcp-fastopen no-keepalive path-as-is "
    "ssl-reqd no-sessionid raw styled-output create-dirs disable junk-session-cookies parallel location-trusted "
    "retry-all-errors retry-connrefused no-alpn compressed-ssh".split()
)
_LEFT_OUT_WITH_VALUE = frozenset(
    "output output-dir max-time connect-timeout retry retry-delay retry-max-time write-out dump-header cookie-jar max-redirs "  # noqa: SIM905
    "limit-rate speed-time speed-limit stderr trace trace-ascii ciphers tls-max keepalive-time max-filesize rate "
    "expect100-timeout happy-eyeballs-timeout-ms".split()
)
_REFUSED = {
    "form": "it sends a form with files (-F), which HTTP Request does not do",
    "form-string": "it sends a form in parts (--form-string), which HTTP Request does not do",
    "upload-file": "it sends a file of your computer (-T); paste what is in it as the body instead",
    "config": "it takes options from a file (-K)",
    "netrc": "it takes a password from a file (-n)",
    "netrc-file": "it takes a password from a file (--netrc-file)",
    "cert": "it proves who you are with a certificate (-E), which HTTP Request does not do",
    "key": "it proves who you are with a certificate (--key), which HTTP Request does not do",
    "digest": "it signs in with digest, which HTTP Request does not do",
    "ntlm": "it signs in with NTLM, which HTTP Request does not do",
    "negotiate": "it signs in with Negotiate, which HTTP Request does not do",
    "aws-sigv4": "it signs each request for AWS, which HTTP Request does not do",
    "proxy": "it goes through a proxy (-x); the owner sets one for all flows with FLOWPORT_OUTBOUND_PROXY",
    "proxy-user": "it goes through a proxy (-U); the owner sets one for all flows with FLOWPORT_OUTBOUND_PROXY",
    "unix-socket": "it asks a socket of your computer",
    "resolve": "it sends the name to another address (--resolve)",
    "connect-to": "it sends the name to another address (--connect-to)",
    "next": "it holds several requests (--next); paste them one at a time",
}
_CREDENTIAL = re.compile(
    r"^(authorization|cookie|x-amz-security-token)$|(^|[-_])(api[-_]?key|apikey|token|secret|password|passwd|credentials?|"
    r"auth|access[-_]?key|private[-_]?key|subscription[-_]?key|signature)([-_]|$)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?")
_GLOB = re.compile(r"\[[0-9a-zA-Z]+-[0-9a-zA-Z]+(:\d+)?\]|(?<!\{)\{[^{},]*+,[^{}]*+\}(?!\})")
_HOP_HEADERS = frozenset(
    {"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "expect", "te"}
)


class CurlRefused(ValueError):
    """The command cannot become an HTTP Request. Its text is a sentence for the person who pasted it."""


class CurlCommand(Struct, frozen=True):
    """The content of a command. `credentials`: headers that should be stored as secrets, name -> whole value.

    `body` is a JSON value when the command sends JSON, otherwise text; None without one. `notes` say what was left out
    or must be changed.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: JsonValue = None
    credentials: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def config(self, secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Returns the node's settings.

        `secrets`: secret ids by header; a header without one is left empty for the designer to choose.
        """
        kept = secrets or {}
        found: dict[str, Any] = {"method": self.method}
        if self.credentials:
            found["secret_headers"] = {name: kept.get(name, "") for name in self.credentials}
        return found

    def inputs(self) -> dict[str, Any]:
        """Returns the node's inputs without empty ones. They contain no credentials."""
        found: dict[str, Any] = {"url": self.url}
        if self.headers:
            found["headers"] = dict(self.headers)
        if self.query:
            found["query"] = dict(self.query)
        if self.body is not None:
            found["body"] = self.body
        return found


def looks_like_curl(text: str) -> bool:
    """True when a pasted text looks like a curl command."""
    return re.match(r"\s*(\$\s+)?curl(\.exe)?\s", text) is not None


def is_credential(header: str) -> bool:
    """True when a header, by its name, carries a password, key or session."""
    return _CREDENTIAL.search(header) is not None


def read_curl(text: str) -> CurlCommand:
    """Reads one command. Raises CurlRefused."""
    if len(text) > MAX_LENGTH:
        raise CurlRefused(f"The command has {len(text):,} characters; {MAX_LENGTH:,} are read.")
    if not looks_like_curl(text):
        raise CurlRefused("This is not a curl command: it begins with `curl` and an address.")
    try:
        words, rest = split_command(re.sub(r"^\s*\$\s+", "", text))
    except UnreadableCommand as error:
        raise CurlRefused(f"The command cannot be read: {error}.") from error
    found = _Reading()
    found.take(words[1:])
    if rest:
        found.notes.append(f"What follows the command was left out: `{rest[:60]}`.")
    return found.command()


class _Reading:
    """The options that were read so far."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.method = ""
        self.headers: dict[str, tuple[str, str]] = {}
        self.data: list[str] = []
        self.queries: list[str] = []
        self.user = ""
        self.get = self.head = self.json = False
        self.notes: list[str] = []
        self._with_value: dict[str, Callable[[str], None]] = {
            "request": self._request, "header": self._header, "data": self._data, "data-ascii": self._data,
            "data-binary": self._data, "data-raw": self.data.append, "data-urlencode": self._data_urlencode,
            "json": self._json, "user": self._user, "user-agent": lambda text: self._set("User-Agent", text),
            "referer": lambda text: self._set("Referer", text.removesuffix(";auto")), "cookie": self._cookie,
            "url": self.urls.append, "url-query": self.queries.append,
            "oauth2-bearer": lambda text: self._set("Authorization", f"Bearer {text}"),
            "range": lambda text: self._set("Range", f"bytes={text}"),
        }  # fmt: skip

    def take(self, words: list[str]) -> None:
        position = 0
        only_urls = False
        while position < len(words):
            word = words[position]
            position += 1
            if only_urls or not word.startswith("-") or word == "-":
                self.urls.append(word)
            elif word == "--":
                only_urls = True
            elif word.startswith("--"):
                name, given, value = word[2:].partition("=")
                position += self._option(name, words[position:], value if given else None)
            else:
                position += self._short(word[1:], words[position:])

    def _short(self, letters: str, after: list[str]) -> int:
        """Reads short options like `-sSL` or `-XPOST`; returns how many of the following words it used."""
        for at, letter in enumerate(letters):
            name = _SHORT.get(letter)
            if name is None:
                raise CurlRefused(f"The option `-{letter}` is not known here. Take it out, then paste again.")
            if name in self._with_value or name in _LEFT_OUT_WITH_VALUE or name in _REFUSED:
                rest = letters[at + 1 :]
                return self._option(name, after, rest or None)
            self._option(name, [], None)
        return 0

    def _option(self, name: str, after: list[str], value: str | None) -> int:
        if name in _REFUSED:
            raise CurlRefused(f"The command cannot be used: {_REFUSED[name]}.")
        used = 0
        if name in self._with_value or name in _LEFT_OUT_WITH_VALUE:
            if value is None:
                if not after:
                    raise CurlRefused(f"The option `--{name}` stands at the end without its value.")
                value, used = after[0], 1
            if name in self._with_value:
                self._with_value[name](value)
            elif name in {"max-time", "connect-timeout"}:
                self.notes.append(f"`--{name}` was left out: set the time limit of the node.")
            elif name == "retry":
                self.notes.append("`--retry` was left out: set how often the node tries again.")
        elif name == "get":
            self.get = True
        elif name == "head":
            self.head = True
        elif name == "insecure":
            self.notes.append("`-k` was left out: certificates are always checked.")
        elif name not in _LEFT_OUT:
            raise CurlRefused(f"The option `--{name[:40]}` is not known here. Take it out, then paste again.")
        return used

    def _request(self, method: str) -> None:
        self.method = method.upper()

    def _set(self, name: str, value: str) -> None:
        self.headers[name.lower()] = (name, value)

    def _header(self, text: str) -> None:
        if text.startswith("@"):
            raise CurlRefused("The command cannot be used: it takes headers from a file (-H @file).")
        name, colon, value = text.partition(":")
        name, value = name.strip(), value.strip()
        if not colon and text.endswith(";"):
            name, value, colon = text[:-1].strip(), "", ":"
        elif colon and not value:
            self.headers.pop(name.lower(), None)  # curl removes such a header
            return
        if not colon or not name:
            raise CurlRefused(f"The header `{text[:60]}` cannot be read. It is written `Name: value`.")
        if name.lower() in _HOP_HEADERS:
            return
        if name.lower() == "cookie" and "cookie" in self.headers:
            value = f"{self.headers['cookie'][1]}; {value}"
        self._set(name, value)

    def _data(self, text: str) -> None:
        if text.startswith("@"):
            raise CurlRefused(
                "The command cannot be used: it sends a file of your computer (-d @file). Paste what is in it as the body instead."
            )
        self.data.append(text)

    def _data_urlencode(self, text: str) -> None:
        name, sign, value = text.partition("=")
        if "@" in (name if sign else text):
            raise CurlRefused("The command cannot be used: it sends a file of your computer (--data-urlencode @file).")
        self.data.append(f"{name}={quote_plus(value)}" if sign and name else quote_plus(value if sign else text))

    def _json(self, text: str) -> None:
        self.json = True
        self._data(text)

    def _user(self, text: str) -> None:
        self.user = text

    def _cookie(self, text: str) -> None:
        if "=" not in text:
            raise CurlRefused("The command cannot be used: it takes cookies from a file (-b file).")
        self._header(f"Cookie: {text}")

    def command(self) -> CurlCommand:
        if not self.urls:
            raise CurlRefused("The command has no address.")
        if len(self.urls) > 1:
            raise CurlRefused(f"The command asks {len(self.urls)} addresses. Paste them one at a time.")
        url, queries = self._address(self.urls[0])
        body: JsonValue = ("" if self.json else "&").join(self.data) if self.data else None
        if self.get and body is not None:
            queries += [body]
            body = None
        url, query = _with_query(url, [*queries, *self.queries])
        method = self.method or ("HEAD" if self.head else "GET" if self.get or body is None else "POST")
        if method not in METHODS:
            raise CurlRefused(f"The method {method[:20]} is not among those of HTTP Request: {', '.join(METHODS)}.")
        if body is not None:
            body = self._body(body)
        if self.user and "authorization" not in self.headers:
            name, colon, password = self.user.partition(":")
            if not colon:
                self.notes.append("`-u` has no password: complete the secret for Authorization.")
            packed = base64.b64encode(f"{name}:{password}".encode()).decode()
            self._set("Authorization", f"Basic {packed}")
        plain = {name: value for name, value in self.headers.values() if not is_credential(name)}
        secret = {name: value for name, value in self.headers.values() if is_credential(name)}
        self._add_notes(url, query, plain, secret, body)
        return CurlCommand(method, url, plain, query, body, secret, tuple(self.notes))

    def _address(self, url: str) -> tuple[str, list[str]]:
        if "://" not in url:
            url = f"http://{url}"
        if _GLOB.search(url):
            raise CurlRefused("The address stands for several ([1-9] or {a,b}). Write one, or use “For each item”.")
        try:
            parts = split_url(url)
        except ValueError as error:
            raise CurlRefused(f"`{url[:80]}` is not a web address.") from error
        if parts.scheme.lower() not in {"http", "https"}:
            raise CurlRefused(f"`{parts.scheme[:20]}://` is not opened: only http:// and https:// are.")
        place = parts.netloc
        if "@" in place:
            name, _, place = place.rpartition("@")
            self.user = self.user or unquote(name)
        return urlunsplit((parts.scheme, place, parts.path, "", "")), [parts.query] if parts.query else []

    def _body(self, text: str) -> JsonValue:
        """Returns the JSON value of a body that is sent as JSON and stays the same, else its text, with the type that
        curl would send.
        """
        if self.json:
            self.headers.setdefault("content-type", ("Content-Type", "application/json"))
            self.headers.setdefault("accept", ("Accept", "application/json"))
        kind = self.headers.get("content-type", ("", ""))[1].split(";")[0].strip().lower()
        if not kind:
            self._set("Content-Type", "application/x-www-form-urlencoded")
        elif kind == "application/json":
            value: JsonValue = _json_of(text)
            if isinstance(value, dict | list):
                if self.headers["content-type"][1].strip().lower() == kind:
                    del self.headers["content-type"]  # the node sends this header itself with JSON
                return value
        return text

    def _add_notes(
        self, url: str, query: Mapping[str, str], plain: Mapping[str, str], secret: Mapping[str, str], body: JsonValue
    ) -> None:
        everything = " ".join(
            [url, *query.values(), *plain.values(), *secret.values(), body if isinstance(body, str) else ""]
        )
        for variable in dict.fromkeys(_VARIABLE.findall(everything)):
            self.notes.append(f"`{variable}` is a variable of your shell: put its value in its place.")
        for name in query:
            if is_credential(name):
                self.notes.append(
                    f"`{name}` in the address looks like a key. Everyone who sees the flow sees it; use a header if the service takes one."
                )


def _with_query(url: str, queries: list[str]) -> tuple[str, dict[str, str]]:
    """Returns the query as names and values, or within the address when that would change it (repeated names,
    no `=`).
    """
    text = "&".join(query for query in queries if query)
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    if len(query) == len(pairs) == len([part for part in text.split("&") if "=" in part]) == len(text.split("&")):
        return url, query
    return (f"{url}?{quote(text, safe='%/:@!$&()*+,;=?-._~[]{}')}" if text else url), {}


def _json_of(text: str) -> JsonValue:
    """Returns the JSON value; None when the text is no JSON, or would change when written again (repeated keys,
    NaN).
    """

    def once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError(text)
        return dict(pairs)

    def refuse(word: str) -> NoReturn:
        raise ValueError(word)

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_float=finite)
    except (ValueError, RecursionError):
        return None
