"""Reading pages: main content, Markdown, links, charsets, and pages that attack a parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.pages.main_content import (
    SelectorUnreadable,
    check_selector,
    decode_body,
    extract_text,
    needs_browser,
    read_page,
)
from engine.pages.parsing_limits import LONGEST_PAGE, PageTooTangled, check_shape

PRACTICE = Path(__file__).parents[3] / "assets" / "practice"
SITE = "https://practice.flowport.example"
PAGES = sorted(path.relative_to(PRACTICE).as_posix() for path in PRACTICE.rglob("*.html"))


def practice(name: str) -> str:
    return (PRACTICE / name).read_text()


def unmarked(html: str) -> str:
    """Returns the page without the elements that mark its main content."""
    return html.replace("<main>", "<div>").replace("</main>", "</div>").replace("article>", "div>")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("change", [str, unmarked], ids=["marked", "unmarked"])
def test_the_main_content_of_a_small_page_has_its_words_and_not_its_menu(name, change):
    html = practice(name)
    page = read_page(change(html), f"{SITE}/")
    inside, _, length = extract_text(html, "main")
    assert len(page.text) >= 0.9 * length
    assert page.text.split("\n")[0] == inside.split("\n")[0]
    for chrome in ("Bakery in Alderbrook since", "Sitemap", "Telephone 01632 960 148. E-mail"):
        assert chrome not in page.text


def test_a_page_says_its_title_description_language_and_links():
    page = read_page(practice("visit.html"), f"{SITE}/visit")
    assert page.title == "Visit us: opening hours and how to get here | Hearth & Rye"
    assert page.description.startswith("Opening hours, address, telephone")
    assert page.language == "en"
    assert {"url": f"{SITE}/bread", "text": "Bread"} in page.links
    assert len({link["url"] for link in page.links}) == len(page.links)
    assert all(link["url"].startswith("https://") for link in page.links)


def test_opening_hours_come_out_as_a_table():
    page = read_page(practice("visit.html"), f"{SITE}/visit")
    assert "| --- | --- |\n| Monday | Closed |\n| Tuesday to Friday | 7:00 to 17:00 |" in page.markdown
    assert "Monday | Closed\nTuesday to Friday | 7:00 to 17:00" in page.text


def test_text_that_looks_like_code_comes_out_as_it_is():
    page = read_page(practice("guestbook.html"), f"{SITE}/guestbook")
    assert "{{ 7*7 }}" in page.text
    assert "{{ 7*7 }}" in page.markdown
    assert '<script>alert("fresh bread")</script> {% for bun in buns %}' in page.text
    assert "\\<script>" in page.markdown


def test_the_whole_page_keeps_the_menu_and_leaves_scripts_out():
    html = "<body><nav><a href=/a>Menu</a></nav><main>Words</main><script>code()</script><style>p{}</style></body>"
    assert read_page(html, "https://e.example/", content="page").text == "Menu\n\nWords"
    assert read_page(html, "https://e.example/").text == "Words"


def test_a_selector_gives_one_match_for_each_element_in_page_order():
    page = read_page(practice("pastries.html"), SITE, content="selector", selector="main li")
    assert page.matches[:2] == ["Cardamom bun, twisted by hand: £2.80", "Cinnamon knot: £2.80"]
    assert len(page.matches) == 7
    assert page.text.startswith("Cardamom bun, twisted by hand: £2.80\n\nCinnamon")
    assert page.html.startswith("<li>Cardamom bun")


def test_nested_matches_are_all_listed_but_their_text_comes_once():
    page = read_page("<div>a<div>b</div></div>", SITE, content="selector", selector="div")
    assert page.matches == ["a\n\nb", "b"]
    assert page.text == "a\n\nb"


def test_a_selector_without_match_gives_nothing():
    page = read_page("<p>a", SITE, content="selector", selector=".no")
    assert (page.text, page.markdown, page.html, page.matches) == ("", "", "", [])


@pytest.mark.parametrize("selector", ["", "[", "p > > b", "???", "p:nth-child("])
def test_a_wrong_selector_is_said_so(selector):
    with pytest.raises(SelectorUnreadable, match="is not a CSS selector"):
        check_selector(selector)
    with pytest.raises(SelectorUnreadable):
        read_page("<p>a", SITE, content="selector", selector=selector)


MARKDOWN = [
    ("<h2>A <b>b</b></h2>", "## A **b**"),
    ("<p>one</p><p>two</p>", "one\n\ntwo"),
    ("<p>a  \n b<br>c</p>", "a b\nc"),
    ("<b>bold </b>next", "**bold** next"),
    ("<p>x <em>y</em><code>z</code></p>", "x *y*`z`"),
    ('<a href="x">l</a>', "[l](https://e.example/d/x)"),
    ('<a href="/p(1)?a b">l</a>', "[l](https://e.example/p%281%29?a%20b)"),
    ('<a href="javascript:alert(1)">l</a>', "l"),
    ('<a href="mailto:a@b.example">l</a>', "l"),
    ('<a href="#top">l</a>', "l"),
    ('<a href="/c"><h3>Card</h3><p>Text</p></a>', "### Card\n\nText"),
    ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c"),
    ('<ol start="3"><li>a<li>b</ol>', "3. a\n4. b"),
    ("<ul><li><p>a</p><p>b</p></ul>", "- a\n  b"),
    ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "- **a**: b\n- **c**: d"),
    ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n> \n> b"),
    ("<pre>  x\n y</pre>", "```\n  x\n y\n```"),
    ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
    ("<table><tr><th>a<th>b<tr><td>1<td>x|y</table>", "| a | b |\n| --- | --- |\n| 1 | x\\|y |"),
    ("<table><tr><td>a<td>b</table>", "|  |  |\n| --- | --- |\n| a | b |"),
    ("<table><tr><th>a<th>b<tr><td>1</table>", "| a | b |\n| --- | --- |\n| 1 |  |"),
    ("<table><tr><td>only<tr><td>layout</table>", "only\n\nlayout"),
    ("<table><tr><td><table><tr><td>a<td>b</table><td>c</table>", "|  |  |\n| --- | --- |\n| a | b |\n\nc"),
    ("<img alt='a pic' src=x><img src=y>", "[a pic]"),
    ("a<hr>b", "a\n\n---\n\nb"),
    ("a<span>b</span> <i></i>c", "ab c"),
    ("1 &lt; 2 &amp; <b>3</b>", "1 \\< 2 & **3**"),
    ("<template>no</template><noscript>no</noscript><svg><text>no</text></svg>yes", "yes"),
    ("", ""),
]


@pytest.mark.parametrize(("html", "markdown"), MARKDOWN)
def test_markdown_is_written_as_people_write_it(html, markdown):
    page = read_page(f"<body>{html}</body>", "https://e.example/d/", content="page")
    assert page.markdown == markdown


def test_a_long_base_does_not_grow_with_every_link():
    html = f"<base href='/{'b' * 100_000}/'>" + "<a href=x>l</a>" * 1_000
    page = read_page(html, f"{SITE}/d/", content="page")
    assert page.links == [{"url": f"{SITE}/d/x", "text": "l"}]
    assert len(page.markdown) < len(html)
    assert read_page(f"<base href='/{'b' * 2_000}/'><a href=x>l", SITE).links[0]["url"].endswith("bb/x")


@pytest.mark.parametrize("path", ["x" * 5_000, "(" * 2_000], ids=["as written", "with escapes"])
def test_an_address_that_is_too_long_is_no_link(path):
    page = read_page(f"<a href='/{path}'>one</a> <a href=/two>two</a>", SITE, content="page")
    assert [link["text"] for link in page.links] == ["two"]
    assert page.markdown == f"one [two]({SITE}/two)"


def test_a_table_with_one_long_row_is_not_filled_up_with_empty_cells():
    html = f"<table><tr>{'<td>x' * 2_000}{'<tr><td>y' * 2_000}</table>"
    page = read_page(html, SITE, content="page")
    assert len(page.markdown) < 3 * len(html)
    assert page.markdown.endswith("\n| y |\n| y |")
    assert len(page.text) < len(html)


def test_relative_links_follow_the_base_of_the_page():
    page = read_page('<base href="/other/"><a href="x#part">l</a><a href="x">again</a>', "https://e.example/d/")
    assert page.links == [{"url": "https://e.example/other/x", "text": "l"}]


def test_the_text_of_html_can_be_picked_cut_and_keep_its_links():
    html = '<title>T</title><nav>menu</nav><p class="a">One <a href="/x">link</a></p><p class="b">Two</p>'
    assert extract_text(html) == ("menu\n\nOne link\n\nTwo", "T", 19)
    assert extract_text(html, drop=("nav", ".b")) == ("One link", "T", 8)
    assert extract_text(html, ".a, .b") == ("One link\n\nTwo", "T", 13)
    assert extract_text(html, ".a", keep_links=True) == ("One [link](/x)", "T", 14)
    assert extract_text(html, ".b", max_chars=2) == ("Tw", "T", 3)
    assert extract_text("") == ("", "", 0)
    assert extract_text("just text") == ("just text", "", 9)


@pytest.mark.parametrize(
    ("html", "answer"),
    [
        ('<body><div id="root"></div><script src="/app.js"></script></body>', True),
        ('<body><div id="__next">Loading</div><script>1</script></body>', True),
        ("<body><noscript>Please enable JavaScript.</noscript><script>1</script></body>", True),
        (f'<body><div id="root">{"Words. " * 60}</div><script src="/app.js"></script></body>', False),
        ('<body><div id="root"></div></body>', False),
        ("<body><p>Short page</p><script>1</script></body>", False),
        ("", False),
    ],
)
def test_a_page_that_scripts_draw_is_noticed(html, answer):
    assert needs_browser(html) is answer


def test_no_practice_page_needs_a_browser():
    assert [name for name in PAGES if needs_browser(practice(name))] == []


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("café".encode(), "text/html; charset=utf-8", "café"),
        ("café".encode("latin-1"), "text/html; charset=ISO-8859-1", "café"),
        ("“café”".encode("cp1252"), 'text/html; charset="latin1"', "“café”"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=latin1", "café"),
        ("\ufeffcafé".encode("utf-16-le"), "", "café"),
        ('<meta charset="windows-1251">Привет'.encode("cp1251"), "text/html", '<meta charset="windows-1251">Привет'),
        (
            '<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">日本'.encode("cp932"),
            "",
            '<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">日本',
        ),
        ('<meta charset="utf-16">é'.encode(), "", '<meta charset="utf-16">é'),
        ("café".encode(), "", "café"),
        (b"caf\xe9", "", "café"),
        (b"caf\xe9", "text/html; charset=no-such-thing", "café"),
        (b"a\xff", "text/html; charset=utf-8", "a\ufffd"),
        (b"+AGE-", "text/html; charset=utf-7", "+AGE-"),
        (b"\\u0041", "text/html; charset=unicode_escape", "\\u0041"),
        (b"68656c6c6f", "text/html; charset=hex", "68656c6c6f"),
        (b"", "", ""),
    ],
)
def test_bytes_become_text_in_the_right_charset(body, content_type, text):
    assert decode_body(body, content_type) == text


FONTS = "".join(f"<font a{number}>" for number in range(400))
TANGLED = {
    "attributes": "<p " + " ".join(f"a{number}" for number in range(80_000)) + ">x",
    "many tags": "<p>" * 250_000,
    "quotes that never end": '<a x="' * 200_000,
    "tags that never end": "<a " * 200_000,
    "nested thousands deep": "<div>" * 20_000,
    "nested with closing tags of others": "<div></span>" * 20_000,
    "nested unknown elements": "<x-y>" * 20_000,
    "self-closed outside a drawing": "<path/>" * 20_000,
    "self-closed after a drawing was left": "<svg><div></div>" + "<path/>" * 20_000,
    "a slash that belongs to a value": "<svg>" + "<path d=M0/>" * 20_000,
    "open formatting in every paragraph": "<p>" + FONTS + "<p>x" * 20_000,
    "closed only inside attributes": "<p>" + FONTS.replace(">", ' title="</font>">') + "<p>x" * 20_000,
    "closed only inside comments": "<p>" + FONTS.replace(">", "><!-- </font> -->") + "<p>x" * 20_000,
    "closed only inside text fields": "<p>" + FONTS.replace(">", "><textarea></font></textarea>") + "<p>x" * 20_000,
    "a quote that opens nothing": '<a x"><p>' + FONTS + "<p>x" * 20_000,
}
HARMLESS = {
    "a long page": "<div><p>hello <b>x</b> <a href='/x?y=1'>l</a></p></div>" * 20_000,
    "paragraphs and items that close themselves": "<ul>" + "<li><p>x" * 50_000,
    "one formatting element left open again and again": "<b>x<p>" * 20_000,
    "many icons": "<svg><title>Icon</title><path d='x'/></svg>" * 9_000,
    "many links": "".join(f"<a href='/{number}'>x</a>" for number in range(50_000)),
    "comments that never end": "<!--" * 200_000,
    "only signs": "<" * 500_000,
}


@pytest.mark.parametrize("html", TANGLED.values(), ids=TANGLED)
def test_a_page_that_would_cost_gigabytes_is_refused_before_it_is_parsed(html):
    with pytest.raises(PageTooTangled):
        read_page(html, SITE)
    with pytest.raises(PageTooTangled):
        extract_text(html)


@pytest.mark.parametrize("html", HARMLESS.values(), ids=HARMLESS)
def test_a_page_that_only_looks_odd_is_let_through(html):
    check_shape(html)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 4_000 + "<p>x</p>" * 1_000,
        "<ul><li>" * 2_000 + "x" + "<li>y" * 5_000,
        "<blockquote>" * 1_000 + "<p>y</p>" * 5_000,
        "<table><tr><td>a<td>b" * 500 + "<p>y</p>" * 1_000,
        "<dl><dt>a<dd>b" * 500 + "<p>y</p>" * 1_000,
    ],
    ids=["div", "list", "quote", "table", "terms"],
)
def test_deep_nesting_makes_no_long_output(html):
    page = read_page(html, SITE, content="page")
    assert 0 < len(page.markdown) < 20 * len(html)


def test_only_the_first_part_of_an_endless_page_is_read():
    page = read_page("<p>" + "word " * 700_000 + "<p>last", SITE, content="page")
    assert "last" not in page.text
    assert len(page.text) <= LONGEST_PAGE
