"""Addresses of a site's pages: their normal form, which site they belong to, and patterns that select them. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import quote, urlunsplit

from msgspec import Struct

from engine.core.web_addresses import split_url

#: The longest address that is taken for one of a page, in characters.
LONGEST_ADDRESS = 4_096
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_SCHEME = re.compile(r"[A-Za-z*]+")
#: What separates the labels of a host (RFC 3490, 3.1).
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
#: Query parameters that count visitors and do not change the page.
_TRACKING = re.compile(
    r"^(utm_\w+|gclid|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|mc_cid|mc_eid|igshid|_ga|_gl)(=|$)"
)
_FILES = frozenset(
    "7z apk atom avi avif bin bmp bz2 css csv dmg doc docx eot epub exe gif gz ico ics iso jar jpeg jpg js json m4a m4v "  # noqa: SIM905
    "map mjs mkv mov mp3 mp4 mpeg mpg msi odp ods odt ogg ogv otf pdf png pps ppt pptx psd rar rss rtf svg tar tgz tif "
    "tiff ttf txt wasm wav webm webmanifest webp wmv woff woff2 xls xlsx xml xz zip".split()
)


def canonical(url: str) -> str | None:
    """Returns the normal form of an address (RFC 3986), without fragment and tracking parameters; None when it is no
    page's address.
    """
    if len(url) > LONGEST_ADDRESS:
        return None
    try:
        parts = split_url(url.strip())
        port = parts.port
    except ValueError:
        return None
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    try:
        host = _in_ascii(host)
    except UnicodeError:
        return None
    place = f"[{host}]" if ":" in host else host
    if port and port != _DEFAULT_PORTS[scheme]:
        place = f"{place}:{port}"
    path = _escaped(parts.path) or "/"
    if "/." in path:
        path = _without_dots(path)
    query = "&".join(part for part in _escaped(parts.query).split("&") if part and not _TRACKING.match(part))
    return urlunsplit((scheme, place, path, query, ""))


def _in_ascii(host: str) -> str:
    """Returns a host in ASCII (IDNA). Raises UnicodeError. The encoding takes time that grows with the square of a label."""
    if host.isascii():
        return host
    if len(host) > 253 or max(map(len, _DOTS.split(host))) > 63:
        raise UnicodeError("the host or one of its labels is too long")
    return host.encode("idna").decode()


def page_key(url: str) -> str:
    """Returns what all addresses of one page share: everything except the scheme and a leading `www.`. `url` is
    canonical.
    """
    return _without_www(url.split("://", 1)[1])


def site_of(url: str) -> str:
    """Returns the site of a canonical address: its host without `www.`, with the port when it is not the
    default one.
    """
    return _without_www(split_url(url).netloc)


def is_file(url: str) -> bool:
    """True when an address ends like a picture, a document or another file that is no page."""
    name = split_url(url).path.rsplit("/", 1)[-1]
    return "." in name and name.rsplit(".", 1)[-1].lower() in _FILES


class Picker(Struct, frozen=True):
    """Selects addresses: those that match one of `include` (all when it is empty) and none of `exclude`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str]) -> Picker:
        """Creates a Picker for patterns as people write them, without empty lines, which a form may contain."""
        return cls(_patterns(include), _patterns(exclude))

    def takes(self, url: str) -> bool:
        """True when a canonical address is selected."""
        if any(matches(pattern, url) for pattern in self.exclude):
            return False
        return not self.include or any(matches(pattern, url) for pattern in self.include)


def _patterns(lines: Iterable[str]) -> tuple[str, ...]:
    """Returns the patterns with letters, blanks and hosts as they stand in a canonical address."""
    return tuple(_as_in_addresses(text) for line in lines if (text := line.strip()))


def _as_in_addresses(pattern: str) -> str:
    scheme, separator, rest = pattern.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return _escaped(pattern)  # one further behind stands in a path
    host, slash, path = rest.partition("/")
    with suppress(UnicodeError):  # what is no host matches nothing
        host = _in_ascii(host.lower())
    return f"{scheme.lower()}://{host}{slash}{_escaped(path)}"


def matches(pattern: str, url: str) -> bool:
    """True when a pattern matches everything after the host, or the whole address when the pattern contains `://`.

    `*` matches any characters, also none. A pattern that ends with `/` matches everything below it. A pattern that
    starts with neither `/` nor `*` may match at any position, and without `*` it may match any part. The time is linear
    in the lengths.
    """
    text = url
    if "://" not in pattern:
        text = "/" + url.split("://", 1)[1].partition("/")[2]
        if not pattern.startswith(("/", "*")):
            pattern = f"*{pattern}" if "*" in pattern else f"*{pattern}*"
    if pattern.endswith("/"):
        pattern += "*"
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    if not text.startswith(first):
        return False
    position = len(first)
    for piece in rest[:-1]:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return len(text) - len(rest[-1]) >= position and text.endswith(rest[-1])


def _without_dots(path: str) -> str:
    """Resolves dot segments: `/a/./b/../c` becomes `/a/c` (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    pieces = path.split("/")[1:]
    for piece in pieces:
        if piece == "..":
            del kept[-1:]
        elif piece != ".":
            kept.append(piece)
    if pieces[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _without_www(text: str) -> str:
    return text.removeprefix("www.")


def _escaped(text: str) -> str:
    """Returns text with percent-encoding in normal form: `%7e` becomes `~`, `%c3` becomes `%C3`, a space
    becomes `%20`.
    """

    def one(match: re.Match[str]) -> str:
        letter = chr(int(match[1], 16))
        return letter if _UNRESERVED.match(letter) else f"%{match[1].upper()}"

    return _ESCAPE.sub(one, quote(text, safe="%/:@!$&'()*+,;=?-._~[]"))
