"""Files with rows: encodings, delimiters, types, and errors that name the line."""

from __future__ import annotations

import csv
import io
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.core.errors import Invalid, Refusal, TooLarge
from engine.table_files import json_table, reading
from engine.table_files.reading import read_table
from engine.table_files.table import MAX_COLUMNS
from engine.table_files.writing import MARK, csv_line, csv_rows, json_rows, safe_cell

ROWS = ({"name": "Rye", "price": 3.2, "stock": 12}, {"name": "Roll", "price": 0.6, "stock": None})


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("name,price,stock\nRye,3.2,12\nRoll,0.6,\n", "CSV, commas"),
        ("name;price;stock\r\nRye;3.2;12\r\nRoll;0.6;\r\n", "CSV, semicolons"),
        ("name\tprice\tstock\rRye\t3.2\t12\rRoll\t0.6\t", "CSV, tabs"),
        ("name|price|stock\n\nRye|3.2|12\n \nRoll|0.6\n\n", "CSV, bars"),
        ("\ufeffsep=;\nname;price;stock\nRye;3.2;12\nRoll;0.6;", "CSV, semicolons"),
        ('[{"name":"Rye","price":3.2,"stock":12},{"name":"Roll","price":0.6,"stock":null}]', "JSON"),
        ('\ufeff{"count": 2, "rows": [{"name":"Rye","price":3.2,"stock":12},{"name":"Roll","price":0.6,"stock":null}]}', "JSON"),
        ('{"name":"Rye","price":3.2,"stock":12}\n\n{"name":"Roll","price":0.6,"stock":null}\n', "JSON lines"),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_rows(text: str, form: str) -> None:
    table = read_table(text.encode())
    assert (table.columns, table.rows, table.form) == (("name", "price", "stock"), ROWS, form)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Artikel;Preis (EUR, netto)\nBrot;3,20\nMilch;1,10\n", ("Artikel", "Preis (EUR, netto)")),
        ("Name;Ort, Land\nAnna;Berlin, DE\n", ("Name", "Ort, Land")),
        ("Name\tOrt, Land\nAnna\tBerlin, DE\n", ("Name", "Ort, Land")),
        ("Name|Ort, Land\nAnna|Berlin, DE\n", ("Name", "Ort, Land")),
        ("1,5;2,5\n3,5;4,5\n", ("1,5", "2,5")),
        ("a,b;c\n1,2;3\n", ("a", "b;c")),
        ("2026,b;c\n1,2;3\n", ("2026", "b;c")),
        ("name, age; years\nRye, 3; 4\n", ("name", "age; years")),
        ("name,tags\nRye,bread;dark\nRoll,bread;white\n", ("name", "tags")),
        ("name, age\nRye, 3\n", ("name", "age")),
    ],
)
def test_commas_of_numbers_and_sentences_are_no_delimiters(text: str, columns: tuple[str, ...]) -> None:
    assert read_table(text.encode(), "prices.csv").columns == columns


def test_a_file_of_json_lines_with_one_line_has_one_row() -> None:
    table = read_table(b'{"id": 1, "items": [{"sku": "A"}, {"sku": "B"}]}\n', "orders.jsonl")
    assert (table.rows, table.form) == (({"id": 1, "items": [{"sku": "A"}, {"sku": "B"}]},), "JSON lines")


@pytest.mark.parametrize(
    ("encoding", "word"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ", UTF-16"), ("cp1252", ", Windows-1252")],
)
def test_the_encoding_is_found(encoding: str, word: str) -> None:
    table = read_table("Ort,Preis in €\nKöln,5\n".encode(encoding), "orte.csv")
    assert table.rows == ({"Ort": "Köln", "Preis in €": 5},)
    assert table.form == f"CSV, commas{word}"


@pytest.mark.parametrize(
    ("rest", "word", "name"),
    [
        (b"", "", "Rückgabe"),
        (b"caf\xe9\n", "", "Rückgabe"),
        ("Größe M in München\n".encode("cp1252") * 9, ", Windows-1252", "RÃ¼ckgabe"),
    ],
)
def test_a_damaged_letter_does_not_change_all_others(rest: bytes, word: str, name: str) -> None:
    table = read_table("Rückgabe\n".encode() + "Größe in München für Bäcker\n".encode() * 4 + rest, "a.csv")
    assert (table.columns, table.form) == ((name,), f"CSV, commas{word}")
    assert table.rows[-1] == ({name: "caf\ufffd"} if len(rest) == 5 else table.rows[-1])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-20", "0"], [1, -20, 0]),
        (["1", "2.50", "1e3"], [1, 2.5, 1000.0]),
        (["1", "x"], ["1", "x"]),
        (["007", "12"], ["007", "12"]),
        (["4111111111111111", "1"], ["4111111111111111", "1"]),
        (["123456789012345", "0"], [123456789012345, 0]),
        (["0.123456789012345", "1"], [0.123456789012345, 1]),
        (["12345678901234.56", "1"], [12345678901234.56, 1]),
        (["0.1234567890123456", "1"], ["0.1234567890123456", "1"]),
        (["1234567890123456.5", "1"], ["1234567890123456.5", "1"]),
        (["+5", "1"], ["+5", "1"]),
        ([".5", "1"], [".5", "1"]),
        (["5.", "1"], ["5.", "1"]),
        (["1e-3", "2E99"], [0.001, 2e99]),
        (["1e100", "1"], ["1e100", "1"]),
        (["+49 221", "1"], ["+49 221", "1"]),
        (["true", "FALSE", ""], [True, False, None]),
        (["yes", "no"], ["yes", "no"]),
        (['["a", 1]', "[]"], [["a", 1], []]),
        (['{"a": 1}', "{broken}"], ['{"a": 1}', "{broken}"]),
        (["[1]", "[NaN]"], ["[1]", "[NaN]"]),
        (["", ""], [None, None]),
        (["  spaced  ", " "], ["  spaced  ", None]),
        (["1,5", "2"], ["1,5", "2"]),
        (["NaN", "1"], ["NaN", "1"]),
        (["'=1+1", "x"], ["=1+1", "x"]),
        (["'tis", "x"], ["'tis", "x"]),
        (["line\nbreak", 'say "hi"'], ["line\nbreak", 'say "hi"']),
    ],
)
def test_a_column_gets_one_type_and_nothing_changes_its_meaning(cells: list[str], values: list) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["id", "cell"], *([f"row {n}", cell] for n, cell in enumerate(cells))])
    assert [row["cell"] for row in read_table(text.getvalue().encode()).rows] == values


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("name,price\nRye,1", ("name", "price")),
        ("1,2\n3,4", ("Column 1", "Column 2")),
        ("name,,price,\nRye,x,1,", ("name", "Column 2", "price")),
        ("name,,price,,\nRye,,1,,", ("name", "price")),
        ("name,price,\nRye,1,x\nRoll,2,", ("name", "price", "Column 3")),
        ("Column 2,\nRye,", ("Column 2",)),
        ("Column 2,\nRye,x", ("Column 2", "Column 2 (no name)")),
        ("addresses\nhttps://a\nhttps://b", ("addresses",)),
    ],
)
def test_columns_are_named_by_the_first_line(text: str, columns: tuple[str, ...]) -> None:
    assert read_table(text.encode()).columns == columns


def test_a_person_may_say_whether_the_first_line_holds_names() -> None:
    assert read_table(b"a,b\nc,d", names="none").rows == (
        {"Column 1": "a", "Column 2": "b"},
        {"Column 1": "c", "Column 2": "d"},
    )
    assert read_table(b"1,2\n3,4", names="first line").rows == ({"1": 3, "2": 4},)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"name,price\n", "no rows"),
        (b"name,name\nRye,1", "Line 1: two columns are called `name`"),
        (b"name,price\nRye,1\nRoll,2,3,4", "Line 3 has 4 values, but there are 2 columns"),
        (b'name,price\nRye,1\n"Roll,2\n', "Line 3: a quotation mark opens and never closes"),
        (b'name,price\n"two\nlines",1\n"Roll"x,2', "Line 4: text follows a closing quotation mark"),
        (b"Name\nRye,x", "Line 2 has 2 values, but there is 1 column"),
        (b"Name,\nRye,x,1", "Line 2 has 3 values, but there are 2 columns"),
        (b'[{"a": 1}, 5]', "Item 2 is a number, not an object"),
        (b'{"a": 1}\n"x"\n', "Line 2 is text, not an object"),
        (b'{"a": 1}\n{"a": \n', "Line 2, character 7"),
        (b'[{"a": 1},\n{"a" 2}]', "Line 2, character 6"),
        (b'[{"a": NaN}]', "`NaN` is no JSON value"),
        (b'[{"a": 1e999}]', "The number `1e999` is too large"),
        (b"[]", "The list is empty"),
        (b"[1", "Line 1, character 3"),
        (b'[{"a": ' + b"[" * 70 + b"]" * 70 + b"}]", "Item 1 is nested too deep"),
        (b"[" * 100_000, "nested too deep"),
        (b'[{"a": ' + b"9" * 5_000 + b"}]", "too many digits"),
        (b"PK\x03\x04abc", "an Excel workbook"),
        (b"a,b\n\0\1,2", "no text"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(data: bytes, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_table(data)
    assert said in refused.value.detail
    assert refused.value.remedy


def test_more_rows_or_bytes_than_a_dataset_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read_table(b"a\nx\ny", most_rows=2).rows) == 2
    for data in (b"a\nx\ny\nz", b'[{"a":1},{"a":2},{"a":3}]'):
        with pytest.raises(TooLarge, match="more than 2 rows"):
            read_table(data, most_rows=2)
    monkeypatch.setattr(reading, "MAX_FILE", 3)
    with pytest.raises(TooLarge, match="MiB are read"):
        read_table(b"a\nxy")


def test_a_table_has_at_most_two_thousand_columns() -> None:
    names = ",".join(map(str, range(MAX_COLUMNS)))
    assert len(read_table(f"a{names}\n{names}".encode()).columns) == MAX_COLUMNS
    many = ",".join(f"c{number}" for number in range(400_000))
    parts = ",".join(['"a\nb"'] * 3_000)
    begun = time.process_time()
    for text in (f"x{names},y\n", many, f"{many}\n1", f'"a\nb",{many}', parts, f"a,b\n1,2\n{parts}", "," * 2_000_000):
        with pytest.raises(TooLarge, match="more than 2,000 columns"):
            read_table(text.encode())
    with pytest.raises(TooLarge, match="more than 2,000 columns"):
        read_table(json.dumps([{f"c{number}": 1} for number in range(2_001)]).encode())
    assert time.process_time() - begun < 3


def test_commas_in_a_cell_are_no_columns() -> None:
    long = "1," * 5_000
    broken = f'{long}\n{long}, ""said"", {long}\n'
    table = read_table(f'a,b\n"{long}","{broken}"\n5" x,"{long}"\n'.encode())
    assert table.rows == ({"a": long, "b": broken.replace('""', '"')}, {"a": '5" x', "b": long})


def test_json_is_counted_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_table, "MAX_VALUES", 1_000)
    assert len(read_table(json.dumps([{"a": "x, [y"}] * 300).encode()).rows) == 300
    for data in (b"[" + b"{}," * 2_000 + b"{}]", b'{"rows": [' + b"[]," * 2_000 + b"[]]}", b'{"a":[1,2]}\n' * 400):
        with pytest.raises(TooLarge, match="more than 1,000 values"):
            read_table(data)


def test_rows_are_counted_while_json_is_read() -> None:
    """What follows the last row that fits is not read: else its fault would be told."""
    for data in (b'[{"a": 1}, {"a": 2}, {"a": 3}, {"a": ]', b'{"a": 1}\n{"a": 2}\n{"a": 3}\n{"a": \n'):
        with pytest.raises(TooLarge, match="more than 2 rows"):
            read_table(data, most_rows=2)


@given(some.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        table = read_table(data)
    except Refusal:
        return
    assert table.rows
    assert all(tuple(row) == table.columns for row in table.rows) or table.form.startswith("JSON")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_an_export_never_holds_a_formula_and_comes_back_as_it_was(cell: str) -> None:
    assert csv_line([cell]).lstrip('"').startswith("'")
    text = MARK + csv_line(["id", "cell"]) + csv_rows(("id", "cell"), [{"id": "a", "cell": cell}])
    assert read_table(text.encode()).rows == ({"id": "a", "cell": cell},)


def test_names_that_look_like_formulas_come_back_from_an_export() -> None:
    rows = [{"@id": "a", "-5%": "b", "=sum": "c", "'quoted": "d"}]
    text = csv_line(rows[0]) + csv_rows(tuple(rows[0]), rows)
    assert text.startswith("'@id,'-5%,'=sum,'quoted")
    assert list(read_table(text.encode(), "x.csv").rows) == rows


@pytest.mark.parametrize(
    "text",
    [
        r'[{"a\ud800": "\uDFFF!", "b": ["\ud83d\ude00", {"c\ud800": 1}]}]',
        r'{"rows": [{"a\ud800": "\uDFFF!", "b": ["\ud83d\ude00", {"c\ud800": 1}]}]}',
        '{"a\\ud800": "\\uDFFF!",\n"b": ["😀", {"c\\ud800": 1}]}',
        '{"a\\ud800": "\\uDFFF!", "b": ["😀", {"c\\ud800": 1}]}\n{"a\\udfff": 2}',
    ],
)
def test_json_with_half_of_a_character_can_be_shown(text: str) -> None:
    table = read_table(text.encode(), "x.json")
    assert table.columns == ("a\ufffd", "b")
    assert table.rows[0] == {"a\ufffd": "\ufffd!", "b": ["😀", {"c\ufffd": 1}]}


def test_values_keep_their_type_through_an_export() -> None:
    rows = [{"n": 1, "f": 2.5, "b": True, "l": [1, "x"], "o": {"a": None}, "t": 'ü, "q"', "z": None}]
    text = csv_line(rows[0]) + csv_rows(tuple(rows[0]), rows)
    assert list(read_table(text.encode(), "x.csv").rows) == rows
    assert json.loads(f"[{json_rows([*rows, {}])}]") == [*rows, {}]
    assert safe_cell(-1) == -1
