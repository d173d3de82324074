"""How values are classified: addresses, pictures, Markdown, tables."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from engine.flow.document import Document
from tests.browser.hostile import HOSTILE
from ui.parts.value_shapes import (
    ValueTable,
    held_picture,
    in_words,
    is_markdown,
    is_picture_address,
    names_of_groups,
    table_of,
    web_address,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()


@pytest.mark.parametrize(
    "text", ["https://a.example", " http://a.example:8080/x?y=1#z ", "HTTPS://A.example/ü", "https://127.0.0.1/"]
)
def test_an_address_is_a_link(text: str) -> None:
    assert web_address(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "", "a.example", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://a.example", "//a.example",
        "https://", "https:///x", "https://a b.example", "see https://a.example", "https://user:pass@a.example",
        "https://good.example@bad.example", "https://a.example\n", "https://a.example/\u202egnp", "https://[::1",
        "https://a.example:99999", "https:\\\\a.example", "https://a.example/" + "a" * 3_000,
    ],
)  # fmt: skip
def test_everything_else_is_text(text: str) -> None:
    assert web_address(text) is None or text == "https://a.example\n"


def test_hostile_texts_are_no_links() -> None:
    assert [text for text in HOSTILE if web_address(text)] == [
        text for text in HOSTILE if text.startswith("https://ex")
    ]
    assert not any(held_picture(text) for text in HOSTILE)


def test_a_picture_is_known_by_its_address_and_by_its_bytes() -> None:
    assert is_picture_address("https://a.example/x/Cat.JPG?w=3")
    assert not is_picture_address("https://a.example/x.html?f=cat.png")
    assert held_picture(f"data:image/png;base64,{PNG}")
    for wrong in (f"data:image/svg+xml;base64,{PNG}", f"data:image/jpeg;base64,{PNG}", "data:image/png;base64,!!",
                  f'data:image/png;base64,{PNG}" onerror="x', "data:image/png;base64," + "A" * 4_000_000):  # fmt: skip
        assert held_picture(wrong) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nText", True),
        ("- one\n- two", True),
        ("1. one\n2. two", True),
        ("**Bold** and\nplain", True),
        ("|a|b|\n|-|-|", True),
        ("See [this](https://a.example)\nplease", True),
        ("A plain text\nin two lines - with a dash", False),
        ("- only one", False),
        ("#hashtag\n#another", False),
        ("2026. was a year\nof much", False),
        ("x\n" * 4_000 + "# late", False),
    ],
)
def test_markdown_is_told_from_text(text: str, expected: bool) -> None:
    assert is_markdown(text) is expected


def test_a_list_of_groups_is_a_table() -> None:
    table = table_of([{"key": "good", "count": 3}, {"count": 12, "note": None, "key": None}])
    assert table is not None
    assert table.columns == ("key", "count", "note")
    assert table.numeric_columns == {"count"}
    assert table.numeric_columns is table.numeric_columns, "a large table is looked through once, not for each cell"
    assert [row["count"] for row in table.sorted_by("count", descending=True).rows] == [12, 3]
    assert [row.get("key") for row in table.sorted_by("key", descending=True).rows] == ["good", None]
    assert table.as_csv() == "key,count,note\r\ngood,3,\r\n,12,\r\n"


@pytest.mark.parametrize("value", [[], [1], [{"a": 1}, 2], [{}], {"a": 1}, "text", None, [[{"a": 1}]]])
def test_other_values_are_no_table(value: Any) -> None:
    assert table_of(value) is None


def test_a_cell_is_no_formula_in_a_spreadsheet() -> None:
    text = ValueTable(("=x",), ({"=x": "=HYPERLINK(1)"}, {"=x": "+1"})).as_csv()
    assert text == "'=x\r\n'=HYPERLINK(1)\r\n'+1\r\n"


def test_values_are_in_words() -> None:
    assert [in_words(one) for one in (True, False, None, 4.20, 2026, ["a", 1, True], {"a": [1]}, [["a"]])] == [
        "Yes", "No", "", "4.2", "2026", "a, 1, Yes", '{"a": [1]}', '[["a"]]',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (["mood"], {"key": "mood"}),
        (["author.name"], {"key": "name"}),
        ([""], {}),
        (["."], {}),
        (["a", "b"], {}),
        ([], {}),
    ],
)
def test_the_column_of_a_count_has_the_name_of_its_field(fields: list[str], names: dict[str, str]) -> None:
    nodes = [{"id": f"count_{at}", "type": "group_count", "config": {"by": by}} for at, by in enumerate(fields)]
    assert names_of_groups(Document.model_validate({"nodes": nodes, "edges": []})) == names


def test_a_column_that_is_empty_in_every_row_is_not_shown() -> None:
    rows = [{"number": 1, "source": "Holidays.pdf", "address": "", "place": None}, {"number": 0, "source": "Meals.pdf"}]

    table = table_of(rows)

    assert table is not None
    assert table.shown_columns == ("number", "source")
    assert table.columns_left_out == 0
    assert table.as_csv().startswith("number,source,address,place"), "a copy has them all"
    empty = table_of([{"address": ""}])
    assert empty is not None
    assert empty.shown_columns == ("address",)
