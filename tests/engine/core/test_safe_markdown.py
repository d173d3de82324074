"""Markdown that models and web pages wrote, as HTML."""

from __future__ import annotations

import time

import pytest
from selectolax.lexbor import LexborHTMLParser

from engine.core.safe_markdown import MAX_FOREIGN, foreign_html
from tests.browser.hostile import HOSTILE

ALLOWED = {
    "p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "blockquote", "a", "hr",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def parsed(text: str) -> LexborHTMLParser:
    return LexborHTMLParser(f"<main>{foreign_html(text)}</main>")


def test_markdown_becomes_its_html() -> None:
    html = foreign_html("# Bread\n\n* **Rye**\n* [Shop](https://a.example/x?a=1&b=2)\n\n|a|b|\n|-|-|\n|1|2|")
    assert "<p><strong>Bread</strong></p>" in html, "headings of the page have their own order"
    assert "<li><strong>Rye</strong></li>" in html
    link = 'href="https://a.example/x?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">Shop</a>'
    assert link in html
    assert "<td>1</td>" in html


@pytest.mark.parametrize("around", ["{}", "# {}\n\n- {}", "[{}]({})", "|{}|\n|-|\n|{}|", "<{}>"])
def test_hostile_texts_make_no_element_and_no_address(around: str) -> None:
    for text in HOSTILE:
        tree = parsed(around.replace("{}", text)[:MAX_FOREIGN])
        nodes = tree.css("main *")
        assert {node.tag for node in nodes} <= ALLOWED, text
        for node in nodes:
            assert set(node.attributes) <= {"href", "rel", "target"}
            assert str(node.attributes.get("href") or "https://").startswith(("http://", "https://")), text


def test_a_picture_is_a_link_and_loads_nothing() -> None:
    html = foreign_html('![a "cat"](https://a.example/cat.png)')
    assert "<img" not in html
    assert 'href="https://a.example/cat.png"' in html


def test_an_address_on_this_server_is_no_link() -> None:
    assert "href" not in foreign_html("[sign out](/sign-out) [here](?tab=settings) [other](//a.example)")


@pytest.mark.parametrize("text", ["[", "![", "[a](", "`a", "**a", "> ", "|a", "<a ", '[a]: b "', "* ", "_a"])
def test_texts_that_are_made_to_be_slow_are_not(text: str) -> None:
    begun = time.process_time()
    foreign_html((text * MAX_FOREIGN)[:MAX_FOREIGN])
    assert time.process_time() - begun < 2, "markdown2 needs 7 seconds for some of them"


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_table_of_few_letters_makes_no_large_page(end: str) -> None:
    wide = ("|a" * 100 + "|\n" + "|-" * 100 + "|\n" + "|x\n" * 1_500).replace("\n", end)
    assert len(foreign_html(wide[:MAX_FOREIGN])) < 10 * MAX_FOREIGN, "rows are filled up to the number of columns"
    real = "|name|price|\n|-|-|\n" + "|a tart|3.20|\n" * 200
    assert foreign_html(real).count("<td>") == 400


def test_a_longer_text_is_not_rendered() -> None:
    with pytest.raises(ValueError, match="too long"):
        foreign_html("x" * (MAX_FOREIGN + 1))
