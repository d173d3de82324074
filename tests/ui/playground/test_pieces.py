"""Messages of the canvas that arrive in pieces."""

from __future__ import annotations

from typing import Any

from ui.playground.canvas.pieces import Pieces


def pieces(number: int, *texts: str) -> list[dict[str, Any]]:
    last = len(texts) - 1
    return [
        {"event": "change", "number": number, "at": at, "last": at == last, "text": text}
        for at, text in enumerate(texts)
    ]


def test_pieces_are_joined_and_what_has_a_gap_is_dropped() -> None:
    arriving = Pieces()
    whole = pieces(1, '{"seq"', ": 1", "}")
    assert [arriving.take(piece) for piece in whole] == [None, None, ("change", {"seq": 1})]
    # A connection that broke lost pieces: at the end, at the beginning, in between.
    sent = [*whole[:2], *whole[1:], *pieces(2, '{"seq"', ": 2", "}")[1:], whole[0], whole[2]]
    assert [arriving.take(piece) for piece in sent] == [
        None,
        None,
        None,
        ("change", {"seq": 1}),
        None,
        None,
        None,
        None,
    ]
    assert [arriving.take(piece) for piece in pieces(3, '{"seq": 3', "}")] == [None, ("change", {"seq": 3})]


def test_half_a_character_in_a_large_message_does_not_keep_it_from_being_read() -> None:
    text = r'{"seq": 4, "text": "\ud800 \uD83D\uDE00 \uDE00\uD83D \\ud800 \n\u00e9"}'

    (taken,) = [Pieces().take(piece) for piece in pieces(1, text)]

    assert taken == (
        "change",
        {"seq": 4, "text": "\ufffd \U0001f600 \ufffd\ufffd \\ud800 \n\u00e9"},
    )


def test_pieces_that_no_canvas_sends_are_dropped() -> None:
    arriving = Pieces()
    wrong = [
        *pieces(1, "{"),
        *pieces(2, "[]"),
        *pieces(3, '"', *["x" * 200_000] * 12, '"'),
        {"event": "change", "text": "{}", "last": True},
        {"at": 0, "number": "1", "text": "{}", "last": True},
    ]
    assert [arriving.take(piece) for piece in wrong] == [None] * len(wrong)
