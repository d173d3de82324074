"""Names of fields as headings."""

from __future__ import annotations

import pytest

from ui.kit.field_titles import field_title


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("invoice_number", "Invoice number"), ("total", "Total"), ("final_url", "Final URL"), ("id", "ID"),
        ("orderId", "Order ID"), ("invoiceNumber", "Invoice number"), ("größe", "Größe"), ("line_2", "Line 2"),
        ("total_EUR", "Total EUR"), ("x", "X"),
        # what people wrote, and data
        ("Invoice No.", "Invoice No."), ("e-mail", "e-mail"), ("example.com", "example.com"), ("2026-01-01", "2026-01-01"),
        ("iPhone", "iPhone"), ("two words", "two words"), ("_private", "_private"), ("", ""), ("价格", "价格"), ("GBP", "GBP"),
        ("<b>x</b>", "<b>x</b>"), ("a__b", "a__b"),
    ],
)  # fmt: skip
def test_a_name_of_a_field_is_shown_as_people_write_it(name: str, shown: str) -> None:
    assert field_title(name) == shown
