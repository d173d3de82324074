"""The settings of this server: everything from the environment, read once in `app.py` and passed on as a value."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult

from engine.core.plans import PLANS, PlanName
from engine.core.web_addresses import split_url

ANY_ADDRESS = {"0.0.0.0", "::", "", "*"}  # noqa: S104 - only compared with
#: The schemes of an address, and the port that browsers leave out.
_USUAL_PORTS = {"http": 80, "https": 443}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
#: The default ports of model servers: Ollama, LM Studio, vLLM and SGLang, llama.cpp.
MODEL_SERVER_PORTS = (11434, 1234, 8000, 8080)
#: What FLOWPORT_OUTBOUND_PROXY is to be, for refusals.
PROXY_FORM = (
    "Set it to an address like http://proxy.example.com:3128; write characters like @ : / # % in a password as %40 %3A %2F "
    "%23 %25."
)


class BadSetting(Exception):  # shown to the person who starts the program
    """A setting has an invalid value. The text names the setting, the value and what is valid."""


@dataclass(frozen=True)
class Settings:
    """One value per setting; assets/help/settings.md lists the environment variables.

    `data` is the folder that everything is stored in. `public_url` has no slash at its end, and is "" when callers
    reach the server by host and port. `trusted_proxies` may contain addresses, networks and the word `private`.
    """

    data: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    outbound_allow: str = ""
    #: Private addresses that webhooks of callers may reach.
    webhook_allow: str = ""
    outbound_proxy: str = ""
    #: Who resolves the host names of https addresses when a proxy is set: this server, or only the proxy.
    outbound_proxy_names: Literal["here", "proxy"] = "here"
    #: Whether the browser that renders pages uses its sandbox.
    browser_sandbox: bool = True
    admin_email: str = ""
    admin_password_file: Path | None = None
    secret_key_file: Path | None = None
    plan: str = PlanName.FREE
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    log: Literal["text", "json"] = "text"
    metrics_token_file: Path | None = None
    #: Ports on which a local model server is searched.
    local_servers: tuple[int, ...] = MODEL_SERVER_PORTS
    backup_passphrase: str = dataclasses.field(default="", repr=False)
    backup_passphrase_file: Path | None = None
    #: The URL of the PostgreSQL database with all tables, with its password; None: SQLite in the data folder.
    database_url: str | None = dataclasses.field(default=None, repr=False)
    #: The URL of the same database without a pooler before it, for notices and locks; None: `database_url` is direct.
    database_direct_url: str | None = dataclasses.field(default=None, repr=False)

    @property
    def local_url(self) -> str:
        """The address of the server on this machine, for example `http://localhost:8080`."""
        host = "localhost" if self.host in ANY_ADDRESS | LOOPBACK else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The start of every link and endpoint that is shown: the public address, or else host and port."""
        return self.public_url or self.local_url


def from_environment(env: Mapping[str, str], **overrides: Any) -> Settings:
    """Returns the settings in `env`; an override that is not None takes precedence. Raises BadSetting."""
    raw = {name: env.get(f"FLOWPORT_{name.upper()}", "").strip() for name in _READ}
    found = {name: read(name, raw[name]) for name, read in _READ.items() if raw[name]}
    found |= {name: value for name, value in overrides.items() if value is not None}
    if "database_url" in found and "secret_key_file" not in found:
        raise BadSetting(
            "FLOWPORT_DATABASE_URL is set, so FLOWPORT_SECRET_KEY_FILE must be set too: all servers and workers of a "
            "PostgreSQL database open its secrets with one key. Make a file with `openssl rand -base64 32 > FILE`, or take "
            "`secret.key` of the data folder that you moved, and give every machine the same."
        )
    return dataclasses.replace(Settings(), **found)


def misspelt_variables(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns the variables that begin with FLOWPORT_ and that nothing reads, each with the known one that is most like it,
    or "". Those that Kubernetes makes for services are left out.
    """
    from difflib import get_close_matches

    known = [f"FLOWPORT_{name.upper()}" for name in _READ]
    unknown = sorted(
        name
        for name, value in env.items()
        if name.startswith("FLOWPORT_")
        and name not in {*known, *OTHER_VARIABLES}
        and not name.startswith("FLOWPORT_TEST_")
        and not ("_SERVICE_" in name or "_PORT_" in name or value.startswith("tcp://"))
    )
    return [(name, next(iter(get_close_matches(name, known, n=1)), "")) for name in unknown]


def unreadable_file(variable: str, path: Path, error: OSError | UnicodeDecodeError) -> BadSetting:
    """Returns the refusal for a file that a setting names and that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return BadSetting(f"There is no file {path}, which {variable} names. Name the right one, or make it.")
    if isinstance(error, PermissionError):
        return BadSetting(
            f"The file {path}, which {variable} names, cannot be read by the user who runs this (number {os.geteuid()}). Give it "
            f"to that user: `sudo chown {os.geteuid()} {path}`."
        )
    why = error.strerror if isinstance(error, OSError) else "it is no text"
    return BadSetting(f"The file {path}, which {variable} names, cannot be read: {why}. Name a file of text.")


def require_utf8(folder: Path) -> None:
    """Raises BadSetting when the path of a data folder is not UTF-8: the address of its database, and what processes tell
    each other, is text.
    """
    path = os.fsencode(folder.absolute())
    told = path.decode(errors="backslashreplace")
    if told.encode() != path:
        raise BadSetting(
            f"The path of the data folder is not UTF-8, and such a folder cannot be used: {told}. Rename it, or name another "
            "one with --data or FLOWPORT_DATA. Nothing was changed."
        )


def _text(name: str, raw: str) -> str:
    return raw


def _path(name: str, raw: str) -> Path:
    return Path(raw).expanduser()


def _origins(name: str, raw: str) -> tuple[str, ...]:
    origins: list[str] = []
    for word in _words(raw):
        origin = origin_of(word)
        if origin is None:
            raise BadSetting(
                f"FLOWPORT_{name.upper()}: {word!r} is not an address. Write each in full, like https://flows.example.com, "
                "and commas between them."
            )
        origins.append(origin)
    return tuple(origins)


def _proxies(name: str, raw: str) -> tuple[str, ...]:
    variable = f"FLOWPORT_{name.upper()}"
    words = tuple(word.lower() for word in _words(raw))
    if words == ("*",):
        return words
    from ipaddress import ip_address, ip_network

    for word in words:
        try:
            if word != "private":
                (ip_network if "/" in word else ip_address)(word)
        except ValueError:
            begins = _network_of(word)
            raise BadSetting(
                f"{variable}: {word!r} is not the first address of a network. Write {begins}."
                if begins
                else f"{variable}: {word!r} cannot be used. Write IP addresses like 10.0.0.5, networks like 10.0.0.0/8, or "
                "private for every private network, with commas between them; * alone trusts everybody."
            ) from None
    return words


def _network_of(word: str) -> str:
    """Returns the network that an address with a length lies in, like `10.0.0.0/8` for `10.0.0.1/8`; "" for other text."""
    from ipaddress import ip_network

    try:
        return str(ip_network(word, strict=False))
    except ValueError:
        return ""


def _words(raw: str) -> list[str]:
    return [word.strip() for word in raw.split(",") if word.strip()]


def _port(name: str, raw: str) -> int:
    if not raw.isdecimal() or not 0 < int(raw) < 65_536:
        raise BadSetting(f"FLOWPORT_PORT is {raw!r}. Set it to a port number between 1 and 65535, like 8080.")
    return int(raw)


def _ports(name: str, raw: str) -> tuple[int, ...]:
    words = [] if raw.lower() == "off" else _words(raw)
    if not all(word.isdecimal() and 0 < int(word) < 65_536 for word in words):
        raise BadSetting(
            f"FLOWPORT_{name.upper()} is {raw!r}. Set it to port numbers like {MODEL_SERVER_PORTS[0]},{MODEL_SERVER_PORTS[2]}, or to off."
        )
    return tuple(int(word) for word in words)


def _log(name: str, raw: str) -> str:
    if raw.lower() not in {"text", "json"}:
        raise BadSetting(f"FLOWPORT_LOG is {raw!r}. Set it to text (for people) or json (for programs).")
    return raw.lower()


def _proxy_names(name: str, raw: str) -> str:
    if raw.lower() not in {"here", "proxy"}:
        raise BadSetting(
            f"FLOWPORT_OUTBOUND_PROXY_NAMES is {raw!r}. Set it to here (names are looked up and checked by this server) "
            "or to proxy (the proxy decides where a name leads)."
        )
    return raw.lower()


def _switch(name: str, raw: str) -> bool:
    if raw.lower() not in {"on", "off"}:
        raise BadSetting(f"FLOWPORT_{name.upper()} is {raw!r}. Set it to on or off.")
    return raw.lower() == "on"


def _plan(name: str, raw: str) -> str:
    if raw.lower() not in PLANS:
        raise BadSetting(f"FLOWPORT_PLAN is {raw!r}. Set it to one of {', '.join(PLANS)}.")
    return raw.lower()


def _public_url(name: str, raw: str) -> str:
    url = bare_address(raw.rstrip("/"))
    if url is None:
        raise BadSetting(
            f"FLOWPORT_{name.upper()} is {raw!r}. Set it to a full address with nothing behind the name and the port, like "
            "https://flows.example.com."
        )
    return url


def bare_address(text: str) -> str | None:
    """Returns an http or https address of a host, perhaps with a port, as browsers send it (`origin_of`); None when the text
    is no such address or has more than that.
    """
    begin, _, rest = text.partition("://")
    if begin.lower() not in _USUAL_PORTS or len(text.split()) != 1 or set("/@?#\\") & set(rest):
        return None
    return origin_of(text)


def origin_of(address: str) -> str | None:
    """Returns scheme, host and port of an http or https address as browsers send them: in small letters, with a name in
    ASCII (IDNA) and without the usual port of the scheme. None when it has no host, or a port that cannot be.
    """
    parts = _parts_of_address(address)
    if parts is None:
        return None
    host, port = parts.hostname or "", parts.port
    if not host.isascii():
        import idna

        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            return None
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + ("" if port in {None, _USUAL_PORTS[parts.scheme]} else f":{port}")


def _parts_of_address(text: str) -> SplitResult | None:
    """Splits an http or https address; None when it names no host, or a port that cannot be."""
    try:
        parts = split_url(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _outbound_proxy(name: str, raw: str) -> str:
    """Checks how the address begins; `engine.jobs.outbound_rules` reads the rest. A refusal does not show it, since it may
    hold a password.
    """
    if not raw.startswith(("http://", "https://")):
        raise BadSetting(f"FLOWPORT_{name.upper()} does not begin with http:// or https://. {PROXY_FORM}")
    return raw.rstrip("/")


def _database_url(name: str, raw: str) -> str:
    """Checks the address. A refusal shows nothing of it but its beginning, since it may hold a password."""
    like = "postgresql://flowport:PASSWORD@db.example.com:5432/flowport"
    variable = f"FLOWPORT_{name.upper()}"
    begin, separator, _ = raw.partition("://")
    if not separator or begin.lower() not in {"postgresql", "postgres"}:
        found = f"begins with {begin[:40]}://" if separator else "has no :// in it"
        raise BadSetting(
            f"{variable} {found}. Set it to the address of a PostgreSQL database, like {like}. "
            "Without FLOWPORT_DATABASE_URL everything is kept in SQLite, in the data folder."
        )
    try:
        parts = split_url(raw)
        unreadable = (
            parts.port == 0 or "@" in f"{parts.netloc.rpartition('@')[0]}{parts.path}{parts.query}{parts.fragment}"
        )
    except ValueError:
        unreadable = True
    if unreadable:
        raise BadSetting(
            f"{variable} cannot be read. Set it to an address like {like}; write characters like @ : / # % in "
            "the password as %40 %3A %2F %23 %25."
        )
    return f"postgresql://{raw[len(begin) + 3 :]}"


#: What is no setting: the key in examples of calls, and what the processes of a server tell each other.
OTHER_VARIABLES = (
    "FLOWPORT_API_KEY",
    "FLOWPORT_LISTENER",
    "FLOWPORT_PROCESS",
    "FLOWPORT_WORKER_ALONE",
    "FLOWPORT_WORKER_FAMILY",
    "FLOWPORT_WORKER_PIPES",
)
_READ = {
    "data": _path,
    "host": _text,
    "port": _port,
    "public_url": _public_url,
    "outbound_allow": _text,
    "webhook_allow": _text,
    "outbound_proxy": _outbound_proxy,
    "outbound_proxy_names": _proxy_names,
    "browser_sandbox": _switch,
    "admin_email": _text,
    "admin_password_file": _path,
    "secret_key_file": _path,
    "plan": _plan,
    "allowed_origins": _origins,
    "trusted_proxies": _proxies,
    "log": _log,
    "metrics_token_file": _path,
    "local_servers": _ports,
    "backup_passphrase": _text,
    "backup_passphrase_file": _path,
    "database_url": _database_url,
    "database_direct_url": _database_url,
}
