"""Files as sources: how they are read, and what is found while one is replaced."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.actions.knowledge import add_text
from engine.actions.principal import Principal
from engine.core.errors import Invalid, TooLarge
from engine.knowledge.indexer import Indexer
from storage.files import list_uses
from storage.knowledge import page_of_pieces
from tests.engine.documents.made_files import pdf
from tests.engine.jobs.world import World
from tests.engine.knowledge.conftest import Model
from tests.engine.knowledge.indexing import check_index, found, give, read_all, set_model, sources, texts


@pytest.mark.process
async def test_files_are_read_and_replaced_by_their_name(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    first = give(world, ada, made, "../prices.csv", b"name;price\nRye;5\nRoll;1\n")
    give(world, ada, made, "notes.md", b"# Oven\n\nIt is hot.")
    await read_all(indexer)
    csv, notes = sources(world, made)
    assert (csv.name, texts(world, csv.id)) == ("prices.csv", ["name: Rye\nprice: 5", "name: Roll\nprice: 1"])
    assert texts(world, notes.id) == ["It is hot."]
    file_id = csv.settings["file_id"]
    assert world.read(list_uses, "collection", first) == [file_id]
    assert give(world, ada, made, "prices.csv", b"name;price\nRye;6\n") == first
    await read_all(indexer)
    csv, notes = sources(world, made)
    assert texts(world, csv.id) == ["name: Rye\nprice: 6"]
    assert world.read(list_uses, "collection", first) == [csv.settings["file_id"]] != [file_id]
    with pytest.raises(Invalid, match=r"like “film.mp4” cannot be read"):
        give(world, ada, made, "film.mp4", b"x")
    with pytest.raises(Invalid, match="is empty"):
        give(world, ada, made, "a.txt", b"")
    with pytest.raises(TooLarge):
        world.write(add_text, ada, made, "Large", "x" * (6 << 20))
    check_index(world)


async def test_a_file_that_is_replaced_is_found_until_the_new_one_was_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    source_id = give(world, ada, made, "terms.txt", b"You may return goods within thirty days.")
    await read_all(indexer)
    give(world, ada, made, "terms.txt", b"You may return goods within ten days.")
    (source,) = sources(world, made)
    assert (source.id, source.state) == (source_id, "waiting")
    assert await found(world, made, "return goods") == ["You may return goods within thirty days."]
    await read_all(indexer)
    assert await found(world, made, "return goods") == ["You may return goods within ten days."]
    give(world, ada, made, "terms.txt", b" \n \n")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.message) == (
        "failed",
        "“terms.txt” has no text that can be read. Add it as text. What was read of it before can still be found.",
    )
    assert await found(world, made, "return goods") == ["You may return goods within ten days."]
    give(world, ada, made, "blank.txt", b" \n \n")
    await read_all(indexer)
    assert sources(world, made)[1].message == "“blank.txt” has no text that can be read. Add it as text."
    check_index(world)


async def test_a_file_that_is_replaced_while_it_is_read_is_the_new_one(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    set_model(world, made)
    give(world, ada, made, "terms.txt", b"Return goods within thirty days.")
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()
    give(world, ada, made, "terms.txt", b"Return goods within ten days.")
    await indexer.pass_over()
    await indexer.settled()  # the reading of the earlier file has ended
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source.id)) == ("ready", ["Return goods within ten days."])


@pytest.mark.process
async def test_documents_are_read_apart_with_their_pages(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    give(world, ada, made, "terms.pdf", a_pdf("Returns within 30 days", "Delivery is free"))
    give(world, ada, made, "us.html", b"<html><title>Us</title><body><h1>Us</h1><p>We bake.</p></body></html>")
    give(world, ada, made, "broken.pdf", b"%PDF-1.4 nothing")
    give(world, ada, made, "short.pdf", a_pdf("Only one page"))
    left, right = (
        [(x, 700 - 14 * at, 10, f"{word} column goes on in its line number {at}.") for at in range(3)]
        for x, word in ((57, "Left"), (300, "Right"))
    )
    give(world, ada, made, "columns.pdf", pdf([*left, *right]))
    told = ["Two sisters founded our bakery", "in 1890. They baked rye bread", "for the workers of the mill."]
    asks = ["Whoever wants to visit us may", "come on Fridays. Please tell", "the desk how many you will be."]
    news_lines = [*column(40, told), *column(230, asks)]
    give(world, ada, made, "news.pdf", pdf(news_lines))
    contacts = [  # drawn column by column
        *column(40, ["Name", "Dr. Angela Meierhofer", "Bernd Schmidt-Langner"], 500),
        *column(200, ["Responsible for", "Purchasing and contracts", "Complaints and returns"], 500),
        *column(360, ["E-mail", "angela.meierhofer@example.com", "bernd.schmidt@example.com"], 500),
    ]
    give(world, ada, made, "contacts.pdf", pdf([*news_lines, *contacts]))
    printed = [
        "| raw milk and rye bread | keep it cold at night |",
        "| --- | --- |",
        "| and eggs | but never in the sun |",
    ]
    manual = ["Write a table so:", *printed, "That is all."]
    foods = ["raw milk", "rye bread", "fresh eggs", "green tea"]
    rules = ["keep it cold", "keep it dry", "keep them cold", "away from light"]
    give(world, ada, made, "care.pdf", pdf([*column(40, manual), *column(40, foods, 500), *column(300, rules, 500)]))
    breads = ["Rye bread of the mill", "Spelt rolls with seeds", "and pretzels with butter", *["Milk rolls, sweet"] * 3]
    shelves = ["Shelf beside the window", "upper tray of the oven", *["Basket on the counter"] * 4]
    give(world, ada, made, "shop.pdf", pdf([*column(40, breads), *column(300, shelves)]))
    await read_all(indexer)
    terms, us, broken, short, columns, news, people, care, shop = sources(world, made)

    def places(source_id: str) -> list[tuple[str, str]]:
        pieces, _ = world.read(
            lambda session: page_of_pieces(session, world.workspace_id, source_id, offset=0, limit=9)
        )
        return [(one.place, one.text) for one in pieces]

    assert places(terms.id) == [("page 1", "Returns within 30 days"), ("page 2", "Delivery is free")]
    assert places(short.id) == [("page 1", "Only one page")]
    lines = [f"{word} column goes on in its line number {at}." for word in ("Left", "Right") for at in range(3)]
    assert places(columns.id) == [("page 1", "\n".join(lines))]
    assert places(news.id) == [("page 1", "\n".join([*told, *asks]))]
    rows = [
        "| Name | Responsible for | E-mail |",
        "| --- | --- | --- |",
        "| Dr. Angela Meierhofer | Purchasing and contracts | angela.meierhofer@example.com |",
        "| Bernd Schmidt-Langner | Complaints and returns | bernd.schmidt@example.com |",
    ]
    assert "\n".join(text for _, text in places(people.id)).replace("\n\n", "\n").split("\n") == [*told, *asks, *rows]
    for source, above, left, right in ((care, manual, foods, rules), (shop, [], breads, shelves)):
        head, *rows = (f"| {one} | {other} |" for one, other in zip(left, right, strict=True))
        said = "\n".join(text for _, text in places(source.id)).replace("\n\n", "\n")
        assert said.split("\n") == [*above, head, "| --- | --- |", *rows]
    assert places(us.id)[0][0] == ""
    assert "We bake." in texts(world, us.id)
    assert broken.state == "failed"
    assert broken.message.endswith(".")


def column(x: float, texts: Sequence[str], top: float = 700) -> list[tuple[float, float, float, str]]:
    return [(x, top - 14 * at, 9, text) for at, text in enumerate(texts)]


def a_pdf(*pages: str) -> bytes:
    """Returns a PDF with a line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text_ in pages:
        stream = f"BT /F1 18 Tf 60 700 Td ({text_}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R"
        objects.append(f"{page} /Resources << /Font << /F1 3 0 R >> >> >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n"
    )
    return body + f"{end}startxref\n{len(body)}\n%%EOF\n".encode()
