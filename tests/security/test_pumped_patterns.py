"""Every regular expression in the source code takes time linear to the length of the text."""

from __future__ import annotations

import gzip
import itertools
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from api.http.json_body import parse_json
from engine.core.errors import InvalidJson
from engine.core.file_names import clean_file_name
from engine.flow.agent_kinds import fixed_host
from engine.flow.curl_parser import CurlRefused, read_curl
from engine.flow.document import Document
from engine.flow.node_context import NodeFailed
from engine.flow.payload_check import check_payload
from engine.flow.reference_edits import change_in
from engine.flow.references import Reference
from engine.models.simulated import answer
from engine.models.structured_output import read_object
from engine.nodes import CATALOG
from engine.nodes.parse_json import read_json
from engine.nodes.sitemaps import read_sitemap
from engine.outbound.robots import read_robots
from engine.pages.markdown_writer import absolute
from engine.pages.parsing_limits import PageTooTangled, check_shape
from storage.knowledge_terms import composed
from tests.factories import greeting
from tests.security.pumping import Found, grows_faster_than_its_text, methods_of, methods_to_try, patterns_of_the_code
from ui.access_guard import local_path
from ui.playground.state.available_data import broken_finder

#: Patterns that once blocked the server, and patterns of the same kinds: the search must detect each of them.
BAD = {
    "sitemap address": re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^\s<\]]{1,4096})", re.IGNORECASE),
    "sitemap line": re.compile(r"^\s*(https?://\S{1,4096})\s*$", re.IGNORECASE | re.MULTILINE),
    "reference in braces": re.compile(r"\{\{([^\n]*?)\}\}"),
    "e-mail address": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "code fence": re.compile(r"```[a-zA-Z0-9]*\s*\n?(.*?)```", re.DOTALL),
    "blanks at the end": re.compile(r"\s+$"),
    "exponential": re.compile(r"(?:a+)+b"),
    "exponential in a choice": re.compile(r"(?:a|aa)+\Z"),
    "cubic": re.compile(r"\w*\d*\w*!"),
    "of bytes": re.compile(rb"<[^>]*;"),
    "blanks around a word": re.compile(r"^[ \t]{0,3}(```+|~~~+)[ \t]*([A-Za-z0-9_+-]*)[ \t]*\r?$", re.MULTILINE),
    "escaped quotes": re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?<![\w.])[a-z]\w{0,62}\s*\.\s*out\b"""),
}
GOOD = {
    "a class": re.compile(r"[a-z0-9]+"),
    "possessive": re.compile(r"[^,\\]++(?:\\.[^,\\]*+)*+"),
    "bounded": re.compile(r"\w{1,20}@\w{1,20}"),
    "anchored": re.compile(r"\A\s*x"),
}
#: Marks that a normal form changes the order of.
ACCENTS = "\u0301\u0316"
#: A number for each address, as the last ones that urlsplit read are kept.
UNIQUE = itertools.count()
URL = {"name": "url", "type": "string", "format": "uri"}
SCHEMA = {"properties": {"mail": {"type": "string", "format": "email"}, "kind": {"enum": ["b", "c"]}}}


def broken_references(text: str) -> list[str]:
    """Runs the search that the Playground makes when a node is opened."""
    document = Document.model_validate({name: greeting()[name] for name in ("format", "nodes", "edges")})
    return broken_finder(document, "text_template", CATALOG)(text)


def body(text: bytes) -> None:
    with suppress(InvalidJson):
        parse_json(text)


def json_in_words(text: str) -> None:
    with suppress(NodeFailed):
        read_json(text + "x y")


def unchanged(reference: Reference) -> None:
    """Leaves a reference as it is."""


def shape(text: str) -> None:
    with suppress(PageTooTangled):
        check_shape(text)


def curl(text: str) -> None:
    with suppress(CurlRefused):
        read_curl(text)


def robots(text: str) -> None:
    """Parses a robots.txt with as many user agents as rules."""
    names = "".join(f"User-agent: program{number}\n" for number in range(len(text) // 2))
    read_robots(names + "Allow: /\n" * (len(text) // 2))


#: Functions that read texts from outside, each with a text that once took seconds or minutes: (function, prefix,
#: repeated part).
READERS: dict[str, tuple[Callable[[Any], object], Any, Any]] = {
    "sitemap of blank lines": (read_sitemap, b"", b"\n"),
    "sitemap with a far address": (read_sitemap, b"<loc>", b" "),
    "packed sitemap": (lambda text: read_sitemap(gzip.compress(text)), b"", b"\n"),
    "opened braces": (broken_references, "", "{{"),
    "a prompt of one letter": (lambda text: answer(text, output_schema=SCHEMA), "", "a"),
    "a prompt of blank lines": (lambda text: answer(text, output_schema=SCHEMA), "", "\n"),
    "an answer of one fence": (lambda text: read_object(text, {}), "```", "a"),
    "a fence of blanks": (json_in_words, "```", " "),
    "a text without an end in a tag": (lambda text: change_in(text + "}}", unchanged), '{{ "', '\\"'),
    "a chain that never ends in a tag": (lambda text: change_in(text + "}}", unchanged), "{{ a.out", '["'),
    "a JSON string without an end": (body, b'{"a": ', b'"\\'),
    "names and rules of robots.txt": (robots, "", "x"),
    "accents of a letter": (composed, "a", ACCENTS),
    "accents of a file's name": (clean_file_name, "a", ACCENTS),
    "accents of the host of a field": (
        lambda text: check_payload([URL], {"url": f"{text}{next(UNIQUE)} "}),
        "http://a",
        ACCENTS,
    ),
    "accents of the host of a tool": (lambda text: fixed_host(f"{text}{next(UNIQUE)}"), "https://a", ACCENTS),
    "accents of the host of a curl command": (lambda text: curl(f"{text}{next(UNIQUE)}"), "curl https://a", ACCENTS),
    "accents of the host of a link": (lambda text: absolute("https://b/", f"{text}{next(UNIQUE)}"), "//a", ACCENTS),
    "accents of the host of a page to go on with": (lambda text: local_path(f"{text}{next(UNIQUE)}"), "//a", ACCENTS),
    "attributes of one tag": (shape, "<p", " a"),
}


@pytest.mark.parametrize("pattern", BAD.values(), ids=BAD)
def test_a_pattern_that_can_hold_the_server_is_found(pattern: re.Pattern[str]):
    assert grows_faster_than_its_text(Found("here", pattern))


def test_a_pattern_that_is_slow_for_whole_texts_only_is_found(tmp_path: Path):
    """`\\A` with what may be empty always matches the beginning of a text, and backtracks only to match all of it."""
    found = Found("here", re.compile(r"\A\w+[ \t]*=[ \t]*\w*([ \t]*;[ \t]*\w+([ \t]*=[ \t]*\w*)?)*"), "fullmatch")
    assert grows_faster_than_its_text(found)
    module = tmp_path / "module.py"
    module.write_text("part.fullmatch(text)\nreader(_HANDED_ON)\n_SEARCHED.sub('', text)\n_MATCHED.match(text)\n")
    assert {name: set(methods_to_try(methods)) for name, methods in methods_of([module]).items() if name.isupper()} == {
        "_HANDED_ON": {"finditer", "fullmatch"},
        "_SEARCHED": {"finditer"},
        "_MATCHED": {"match"},
    }


@pytest.mark.parametrize("pattern", GOOD.values(), ids=GOOD)
def test_a_linear_pattern_is_left_alone(pattern: re.Pattern[str]):
    assert grows_faster_than_its_text(Found("here", pattern)) is None


def test_no_pattern_grows_faster_than_its_text():
    patterns, _ = patterns_of_the_code()
    assert len(patterns) > 80, "most patterns were not found"
    slow = {one.where: shown for one in patterns if (shown := grows_faster_than_its_text(one))}
    assert slow == {}, "\n".join(f"{where}: {shown}" for where, shown in slow.items())


def test_every_pattern_is_written_where_it_can_be_read():
    _, unknown = patterns_of_the_code()
    assert unknown == [], "put together while the program runs: use str methods or RE2 (engine/flow/patterns.py)"


@pytest.mark.parametrize(("reader", "beginning", "repeated"), READERS.values(), ids=READERS)
def test_what_reads_a_text_grows_no_faster_than_the_text(
    reader: Callable[[Any], object], beginning: Any, repeated: Any
):
    def seconds(times: int) -> float:
        begun = time.thread_time()
        reader(beginning + repeated * times)
        return time.thread_time() - begun

    times = 2_000
    while (before := min(seconds(times) for _ in range(3))) < 0.002 and times < 500_000:
        times *= 2
    after = min(seconds(4 * times) for _ in range(3))
    assert after < 0.01 or after < 8 * before, f"{times} times: {before:.4f} s, four times as much: {after:.4f} s"


def test_end_tags_do_not_look_through_all_that_is_open():
    """Each end tag used to search a thousand open elements: 3 MB of end tags took a minute."""
    ends = "</i>" * 50_000
    open_elements = "".join(f"<b a{number}>" for number in range(1_000))

    def seconds(html: str) -> float:
        begun = time.thread_time()
        check_shape(html)
        return time.thread_time() - begun

    alone = min(seconds(ends) for _ in range(3))
    after = min(seconds(open_elements + ends) for _ in range(3))
    assert after < 5 * alone, f"alone: {alone:.4f} s, after open elements: {after:.4f} s"


def test_closing_what_lies_far_below_counts_like_what_is_left_open():
    inner, outer = ("".join(f"<{name} a{number}>" for number in range(600)) for name in "ib")
    check_shape(outer + inner + "</i>" * 600 + "</b>" * 600)
    with pytest.raises(PageTooTangled, match="never closed"):
        check_shape(outer + inner + "</b>" * 600)
