"""Sources are read in the background: what changed is written anew, what is gone is removed, and a stop or a crash loses
nothing that was read.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, text

from engine.actions import knowledge as actions
from engine.actions.datasets import (
    add_dataset,
    add_row,
    change_row,
    delete_dataset,
    delete_rows,
    import_rows,
    remove_column,
    rename_column,
)
from engine.actions.knowledge import (
    add_collection,
    add_dataset_rows,
    add_file,
    add_site,
    add_text,
    delete_collection,
    delete_source,
    read_again,
    set_again,
    set_meaning,
    set_piece_length,
    stop_reading,
)
from engine.actions.principal import Principal
from engine.core.clock import DAY, MovedClock
from engine.core.errors import Conflict, Invalid, TooLarge
from engine.files.intake import incoming_of
from engine.flow.node_context import NodeFailed
from engine.jobs.worker import knowledge as worker_knowledge
from engine.jobs.worker.knowledge import WorkspaceKnowledge
from engine.jobs.worker_locks import reclaim_of
from engine.knowledge import indexer as indexing
from engine.knowledge import reading
from engine.knowledge.indexer import Indexer
from engine.knowledge.reading import Tools
from engine.knowledge.search import search
from engine.outbound.allow_list import OutboundRules, parse_allow_list
from engine.outbound.client import OutboundClient
from engine.sandbox.pool import Sandbox
from storage.dataset_changes import checked_rows
from storage.datasets import CHUNK, list_row_ids, list_rows
from storage.files import list_uses
from storage.knowledge import SourceLine, list_collections, list_sources, page_of_pieces
from storage.knowledge_changes import claim_next, end_source, known_documents, move_documents
from storage.tables_knowledge import KnowledgeSource
from tests.engine.documents.made_files import pdf
from tests.engine.jobs.world import World, add_workspace
from tests.engine.knowledge.conftest import Model
from tests.factories import person
from tests.postgres_cluster import POSTGRES
from tests.stand_ins.web_site import Page, WebSite

PRACTICE = "https://practice.flowport.example/"


@pytest.fixture
def made(world: World, ada: Principal) -> str:
    return world.write(add_collection, ada, "Shop")


async def read_all(indexer: Indexer) -> None:
    await indexer.pass_over()
    while indexer.busy:
        await indexer.settled()
        await indexer.pass_over()


def sources(world: World, made: str) -> list[SourceLine]:
    return world.read(list_sources, world.workspace_id, made)


def texts(world: World, source_id: str) -> list[str]:
    pieces, total = world.read(
        lambda session: page_of_pieces(session, world.workspace_id, source_id, offset=0, limit=500)
    )
    assert total == len(pieces)
    return [one.text for one in pieces]


async def found(world: World, made: str, question: str, model: Model | None = None) -> list[str]:
    async def vectors(name: str, asked: Any, purpose: Any) -> Any:
        assert model is not None
        return await model.embed("", name, asked, purpose)

    return [one.piece.text for one in (await search(world.database, world.workspace_id, made, question, vectors)).hits]


def check_index(world: World) -> None:
    """The index for words is sound, and no piece is in it twice or left behind."""
    table = "knowledge_words" if POSTGRES else "knowledge_words_docsize"
    if not POSTGRES:
        check = text("insert into knowledge_words(knowledge_words) values('integrity-check')")
        world.write(lambda session: session.execute(check))
    rows = world.read(lambda session: session.execute(text(f"select count(*) from {table}")).scalar())
    assert rows == world.read(lambda session: session.execute(text("select count(*) from knowledge_pieces")).scalar())


async def test_a_short_text_is_found_at_once_and_a_site_when_it_was_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    world.write(add_text, ada, made, "Terms", "# Returns\n\nTins may be returned within 30 days.")
    assert await found(world, made, "returning a tin") == ["Tins may be returned within 30 days."]
    world.write(add_site, ada, made, "practice.flowport.example")
    assert [one.state for one in sources(world, made)] == ["ready", "waiting"]
    await read_all(indexer)
    site = sources(world, made)[1]
    assert (site.state, site.documents, site.done, site.total) == ("ready", 12, 12, 12)
    assert any("Not Found" in one["message"] for one in site.problems)
    assert any("apron" in one for one in await found(world, made, "what to bring to a baking course"))
    assert not any("](http" in one for one in texts(world, site.id))
    check_index(world)


async def test_what_did_not_change_is_left_and_what_is_gone_is_removed(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    goods = [{"name": f"Loaf {at}", "made of": "rye"} for at in range(70)]
    world.write(import_rows, ada, dataset, checked_rows(goods))
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    source_id = world.write(add_dataset_rows, ada, made, "Goods")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.documents, source.pieces, source.vectors) == ("ready", 70, 70, 70)
    assert (len(model.texts), source.input_tokens, source.cost_nanos) == (70, 700, 70)
    assert "name: Loaf 3\nmade of: rye" in texts(world, source_id)
    world.write(add_row, ada, dataset, {"name": "Bun", "made of": "wheat"})
    first = world.read(list_rows, ada.workspace_id, dataset)[0].id
    world.write(delete_rows, ada, dataset, [first])
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    assert model.texts[70:] == ["Bun\nname: Bun\nmade of: wheat"]
    (source,) = sources(world, made)
    assert (source.documents, source.vectors) == (70, 70)
    assert await found(world, made, "wheat bun", model)
    assert not any("Loaf 0\n" in one for one in texts(world, source_id))
    check_index(world)


async def test_the_same_table_imported_again_costs_only_what_is_new(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    goods = [{"name": f"Loaf {at}", "made of": "rye"} for at in range(230)] + [{"name": "Twin"}, {"name": "Twin"}]
    world.write(import_rows, ada, dataset, checked_rows(goods))
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    assert len(model.texts) == 232
    goods = [{"name": "Bun", "made of": "wheat"}, {"name": "Twin"}, {"name": "Twin"}, {"name": "Twin"}, *goods[3:230]]
    world.write(import_rows, ada, dataset, checked_rows(goods), "replace")
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    assert sorted(model.texts[232:]) == ["Bun\nname: Bun\nmade of: wheat", "Twin\nname: Twin"]
    (source,) = sources(world, made)
    assert (source.state, source.documents, source.pieces, source.vectors) == ("ready", 231, 231, 231)
    keys = world.read(lambda session: session.scalars(text("select key from knowledge_documents")).all())
    assert {int(one) for one in keys} == set(world.read(list_row_ids, ada.workspace_id, dataset))
    assert "name: Loaf 229\nmade of: rye" in await found(world, made, "loaf 229", model)
    check_index(world)


async def test_documents_are_taken_over_together(world: World, ada: Principal, made: str, indexer: Indexer) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Loaf {at}"} for at in range(indexing.SLICE)]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    known = world.read(known_documents, source_id)
    moves = [(one.id, f"{int(key) + 10_000}") for key, one in known.items()]
    sent: list[Any] = []

    def move(session: Any) -> None:
        session.get_one(KnowledgeSource, source_id).owner = "boot_here"
        session.flush()
        event.listen(session, "do_orm_execute", sent.append)
        move_documents(session, source_id, "boot_here", moves)

    world.write(move)
    assert {one.id: key for key, one in world.read(known_documents, source_id).items()} == dict(moves)
    assert len(sent) <= 3, "all others wait for this write"


async def test_rows_that_are_replaced_while_they_are_read_are_all_of_one_table(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Old {at}"} for at in range(CHUNK + 5)]))
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    world.write(add_dataset_rows, ada, made, dataset)
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()  # the first page of rows is read
    new = checked_rows([{"name": f"New {at}"} for at in range(CHUNK + 5)])
    world.write(import_rows, ada, dataset, new, "replace")
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.documents) == ("ready", CHUNK + 5)
    old = text("select count(*) from knowledge_pieces where text like 'name: Old%'")
    assert world.read(lambda session: session.scalar(old)) == 0
    check_index(world)


async def test_long_and_short_documents_are_removed_together(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    rows = [
        {"name": f"Row {at}", "text": "Some more words. " * (60 * many)} for at, many in enumerate((3, 500, 1, 260, 2))
    ]
    world.write(import_rows, ada, dataset, checked_rows([*rows, {"name": "Stays"}]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    assert sources(world, made)[0].pieces > 2 * indexing.SLICE
    world.write(delete_rows, ada, dataset, world.read(list_row_ids, ada.workspace_id, dataset)[:5])
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.documents, source.pieces, source.chars) == (1, 1, len("name: Stays"))
    assert texts(world, source_id) == ["name: Stays"]
    check_index(world)


def claimed(world: World, count: int, **room: bool) -> list[str]:
    """Returns the names of the sources that a worker gets, in order."""
    tasks = [world.write(claim_next, "boot_here", **room) for _ in range(count)]
    return [one.source.name for one in tasks if one is not None]


async def test_what_somebody_waits_for_comes_before_what_is_read_again_by_itself(
    world: World, ada: Principal, made: str, clock: MovedClock
) -> None:
    for name in ("a", "b"):
        world.write(set_again, ada, world.write(add_site, ada, made, f"{name}.example"), "hourly")
    assert claimed(world, 3) == ["a.example", "b.example"]
    a, b = sources(world, made)
    for one in (b, a):
        world.write(end_source, one.id, "boot_here", "ready", "", ())
        clock.offset += 1
    clock.offset += DAY
    world.write(add_site, ada, made, "new.example")
    clock.offset += 1
    world.write(read_again, ada, a.id)
    assert [one.next_at for one in sources(world, made) if one.state == "waiting"] == [None, None]
    names = ["new.example", "a.example", "b.example"]
    assert claimed(world, 4) == names, "those that wait by how long they do, then what is due"
    assert [(one.state, one.next_at) for one in sources(world, made)] == [("working", None)] * 3


async def test_a_workspace_of_which_nothing_is_read_comes_first(world: World, ada: Principal, made: str) -> None:
    for at in range(3):
        world.write(add_site, ada, made, f"{at}.example")
    bob = person(world.write(add_workspace), name="Bob")
    world.write(add_site, bob, world.write(add_collection, bob, "Bob"), "bob.example")
    assert claimed(world, 4) == ["0.example", "bob.example", "1.example", "2.example"]


async def test_a_website_that_is_read_puts_back_no_other_source_of_its_workspace(
    world: World, ada: Principal, made: str, clock: MovedClock
) -> None:
    world.write(add_site, ada, made, "a.example")
    assert claimed(world, 1) == ["a.example"]
    bob = person(world.write(add_workspace), name="Bob")
    bobs = world.write(add_collection, bob, "Bob")
    for who, where, name in ((ada, made, "ada"), (bob, bobs, "bob 0"), (bob, bobs, "bob 1"), (ada, made, "ada 1")):
        clock.offset += 1
        give(world, who, where, f"{name}.txt", b"Some words.")
    clock.offset += 1
    world.write(add_site, ada, made, "b.example")
    clock.offset += 1
    world.write(add_site, bob, bobs, "bob.example")
    others = claimed(world, 4, sites=False)
    assert others == ["ada.txt", "bob 0.txt", "bob 1.txt", "ada 1.txt"]
    assert claimed(world, 2) == ["bob.example", "b.example"]


async def test_one_website_at_most_is_read_at_a_time(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    world.write(add_site, ada, made, PRACTICE)
    world.write(add_site, ada, made, f"{PRACTICE}bakery")
    model.ready.clear()
    await indexer.pass_over()
    assert [one.state for one in sources(world, made)] == ["working", "waiting"]
    world.write(add_text, ada, made, "Terms", "We give your money back.")
    await indexer.pass_over()
    assert [one.state for one in sources(world, made)] == ["working", "waiting", "working"]
    model.ready.set()
    await read_all(indexer)
    assert not any(one.busy for one in sources(world, made))


def goods_with_columns(world: World, ada: Principal, made: str) -> tuple[str, str]:
    """Makes a dataset and a source of the columns `name` and `made of`; returns the ids of both."""
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": "Rye", "made of": "rye", "cost": 7.25}]))
    return dataset, world.write(add_dataset_rows, ada, made, dataset, ["name", "made of"])


async def test_a_chosen_column_that_is_renamed_stays_chosen(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset, source_id = goods_with_columns(world, ada, made)
    world.write(rename_column, ada, dataset, "name", " sort  of bread ")
    world.write(rename_column, ada, dataset, "cost", "price")
    await read_all(indexer)
    assert texts(world, source_id) == ["sort of bread: Rye\nmade of: rye"]


async def test_without_its_chosen_columns_nothing_else_of_a_dataset_is_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset, source_id = goods_with_columns(world, ada, made)
    await read_all(indexer)
    world.write(remove_column, ada, dataset, "name")
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source_id)) == ("ready", ["made of: rye"])
    assert [one["message"] for one in source.problems] == [
        "The dataset does not have these chosen columns any more: `name`. The other chosen ones are read."
    ]
    world.write(remove_column, ada, dataset, "made of")
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source_id)) == ("failed", [])
    assert source.message.startswith("The dataset has none of the chosen columns any more (`name`, `made of`)")
    check_index(world)


async def test_the_rows_of_a_deleted_dataset_are_found_no_more(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    dataset, source_id = goods_with_columns(world, ada, made)
    await read_all(indexer)
    world.write(delete_dataset, ada, dataset)
    assert (sources(world, made), await found(world, made, "rye")) == ([], [])
    # what an earlier release left: a source whose dataset is gone
    world.write(lambda session: setattr(session.get_one(KnowledgeSource, source_id), "state", "waiting"))
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces) == ("failed", 0)
    assert source.message == "The dataset Goods was deleted, and its rows with it. Delete this source too."
    check_index(world)


def give(world: World, ada: Principal, made: str, name: str, content: bytes) -> str:
    """Adds a file as the page does."""
    incoming = incoming_of(world.database.file_bytes, content, name)
    try:
        return world.write(add_file, ada, made, incoming)
    finally:
        incoming.discard()


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
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
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
    lines_of = [(x, 700 - 14 * at, 9, text) for x, texts in ((40, told), (230, asks)) for at, text in enumerate(texts)]
    give(world, ada, made, "news.pdf", pdf(lines_of))
    goods, costs = (
        [(x, 700 - 14 * at, 10, text) for at, text in enumerate(texts)]
        for x, texts in (
            (57, ("Rye bread from the old mill", "Roll with seeds and salt on top")),
            (400, ("3.20", "0.80")),
        )
    )
    give(world, ada, made, "prices.pdf", pdf([*goods, *costs]))
    await read_all(indexer)
    terms, us, broken, short, columns, news, prices = sources(world, made)

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
    rows = "| Rye bread from the old mill | 3.20 |\n| --- | --- |\n| Roll with seeds and salt on top | 0.80 |"
    assert places(prices.id) == [("page 1", rows)]
    assert places(us.id)[0][0] == ""
    assert "We bake." in texts(world, us.id)
    assert broken.state == "failed"
    assert broken.message.endswith(".")


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


async def test_a_long_document_is_written_in_slices(world: World, ada: Principal, made: str, indexer: Indexer) -> None:
    long = "\n\n".join(f"Paragraph {at}. " + "Words and more words. " * 40 for at in range(450))
    source_id = world.write(add_text, ada, made, "Long", long)
    await read_all(indexer)
    assert len(texts(world, source_id)) == 450
    world.write(set_piece_length, ada, made, 4_000)
    await read_all(indexer)
    assert 100 < len(texts(world, source_id)) < 200
    check_index(world)


async def test_a_site_that_is_not_there_is_told_in_words(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    world.write(add_site, ada, made, f"{PRACTICE}gone")
    world.write(add_site, ada, made, "http://10.0.0.1/")
    await read_all(indexer)
    gone, inside = sources(world, made)
    assert gone.state == inside.state == "failed"
    assert "answered 404" in gone.message
    assert "private or reserved network" in inside.message
    for bad in ("", "ftp://a.example/", "http://", "mailto:a@b.example"):
        with pytest.raises(Invalid):
            world.write(add_site, ada, made, bad)


def a_page(text_: str, *links: str) -> str:
    made = "".join(f"<a href='{one}'>{one}</a>" for one in links)
    return f"<html><title>{text_}</title><body><p>{text_} of the shop.</p>{made}</body></html>"


@pytest.mark.process
async def test_pages_that_could_not_be_looked_for_stay(
    world: World, ada: Principal, made: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DELAY_SECONDS", 0.0)
    pages = {"/": a_page("Start", "/help"), "/help": a_page("Help", "/help/returns"), "/old": a_page("Old")}
    with WebSite({**pages, "/help/returns": a_page("Returns"), "/new": a_page("New")}) as site:
        listed = "".join(f"<url><loc>{site.at(one)}</loc></url>" for one in ("/old", "/new"))
        sitemap = Page(f"<urlset>{listed}</urlset>", content_type="application/xml")
        site.pages["/sitemap.xml"] = sitemap
        allowed = parse_allow_list(site.origin.removeprefix("http://"))
        tools = Tools(world.database, OutboundClient(OutboundRules(allow=tuple(allowed))), Sandbox(1))
        indexer = Indexer(tools, model, "boot_here")  # type: ignore[arg-type]
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read() -> tuple[int, list[str]]:
            await read_all(indexer)
            (source,) = sources(world, made)
            assert source.state == "ready"
            world.write(read_again, ada, source_id)
            return source.documents, [one["message"] for one in source.problems]

        stays = "Pages that were found before stay as they were."
        assert await read() == (5, [])
        for status in (503, 403, 401):
            site.pages["/sitemap.xml"] = Page("", status)
            documents, told = await read()
            assert (documents, told[0].endswith(stays)) == (5, True)
            assert f"/sitemap.xml` answered {status}" in told[0]
        site.pages["/sitemap.xml"], site.pages["/help"], site.pages["/old"] = sitemap, Page("", 503), Page("", 410)
        documents, told = await read()
        assert (documents, told[0].endswith(stays)) == (4, True), "a page that says that it is gone is removed"
        assert "/help` answered 503" in told[0]
        site.pages["/help"], site.pages["/sitemap.xml"] = pages["/help"], Page("", 404)
        documents, told = await read()
        assert (documents, told) == (3, []), "no sitemap is no trouble; what no page names is removed"
        site.pages["/sitemap.xml"] = Page("", 403)
        assert await read() == (3, []), "it was not there before"
        await tools.sandbox.close()
        await tools.outbound.aclose()
    check_index(world)


@pytest.mark.process
async def test_a_site_that_answers_403_for_what_is_not_there_loses_its_deleted_pages(
    world: World, ada: Principal, made: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DELAY_SECONDS", 0.0)
    denied = Page("<Error><Code>AccessDenied</Code></Error>", 403, "application/xml")
    pages = {"/": a_page("Start", "/a", "/b"), "/a": a_page("A"), "/b": a_page("B")}
    with WebSite({**pages, "/robots.txt": denied, "/sitemap.xml": denied}) as site:
        allowed = parse_allow_list(site.origin.removeprefix("http://"))
        tools = Tools(world.database, OutboundClient(OutboundRules(allow=tuple(allowed))), Sandbox(1))
        indexer = Indexer(tools, model, "boot_here")  # type: ignore[arg-type]
        source_id = world.write(add_site, ada, made, site.at("/"))
        await read_all(indexer)
        (source,) = sources(world, made)
        assert (source.state, source.documents, source.problems) == ("ready", 3, ())
        site.pages |= {"/b": denied, "/": a_page("Start", "/a")}
        world.write(read_again, ada, source_id)
        await read_all(indexer)
        (source,) = sources(world, made)
        assert (source.state, source.documents, source.problems) == ("ready", 2, ())
        await tools.sandbox.close()
        await tools.outbound.aclose()
    check_index(world)


@pytest.mark.process
async def test_pages_that_are_refused_for_a_time_stay(
    world: World, ada: Principal, made: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DELAY_SECONDS", 0.0)
    pages = {"/": a_page("Start", "/help", "/staff", "/news"), "/help": a_page("Help", "/help/a", "/help/b")}
    pages |= {"/help/a": a_page("A", "/help/a/deep"), "/help/b": a_page("B"), "/news": a_page("News")}
    with WebSite({**pages, "/staff": Page("", 401), "/maps.xml": Page("", 404)}) as site:
        site.pages["/robots.txt"] = f"Sitemap: {site.at('/maps.xml')}"
        allowed = parse_allow_list(site.origin.removeprefix("http://"))
        tools = Tools(world.database, OutboundClient(OutboundRules(allow=tuple(allowed))), Sandbox(1))
        indexer = Indexer(tools, model, "boot_here")  # type: ignore[arg-type]
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read() -> tuple[int, list[str]]:
            await read_all(indexer)
            (source,) = sources(world, made)
            world.write(read_again, ada, source_id)
            told = [one["message"] for one in source.problems]
            return source.documents, [one for one in told if "page was left out" not in one and "links lead" not in one]

        stays = "Pages that were found before stay as they were."
        assert (await read())[0] == 5
        for status in (403, 401, 400):
            site.pages["/help"] = Page("<html>Just a moment...</html>", status)
            documents, told = await read()
            assert (documents, told[0].endswith(stays)) == (5, True)
            assert f"/help` answered {status}" in told[0]
        site.pages["/help"] = Page.redirect(site.at("/help"))
        documents, told = await read()
        assert (documents, told[0].endswith(stays)) == (5, True)
        assert "/help` was sent on more than 5 times" in told[0]
        site.pages["/help"], site.pages["/maps.xml"] = pages["/help"], Page("", 403)
        documents, told = await read()
        assert (documents, told[0].endswith(stays)) == (5, True)
        assert "/maps.xml` answered 403" in told[0]
        site.pages["/maps.xml"], site.pages["/help/b"] = Page("", 404), Page("", 403)
        site.pages["/"] = a_page("Start", "/help", "/staff")
        documents, told = await read()
        assert documents == 4, "what is linked no more is removed: no page is known from those that were never shown"
        assert "/help/b` answered 403" in told[0]
        site.pages["/help"] = Page("", 410)
        assert (await read())[0] == 1
        await tools.sandbox.close()
        await tools.outbound.aclose()
    check_index(world)


@pytest.mark.process
async def test_pages_that_lead_elsewhere_or_became_files_are_not_refused(
    world: World, ada: Principal, made: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "DELAY_SECONDS", 0.0)
    moved = ["/careers", "/intranet", "/manual"]
    pages = {one: a_page(one[1:], f"{one}/deep") for one in moved} | {"/news": a_page("News")}
    with WebSite({"/": Page("No programs", 403)}) as other, WebSite({**pages, "/": a_page("/", *pages)}) as site:
        elsewhere = other.at("/").replace("127.0.0.1", "localhost")
        hosts = "\n".join(one.removeprefix("http://").rstrip("/") for one in (site.origin, elsewhere))
        tools = Tools(world.database, OutboundClient(OutboundRules(allow=tuple(parse_allow_list(hosts)))), Sandbox(1))
        indexer = Indexer(tools, model, "boot_here")  # type: ignore[arg-type]
        source_id = world.write(add_site, ada, made, site.at("/"))

        async def read() -> tuple[int, list[str]]:
            await read_all(indexer)
            (source,) = sources(world, made)
            world.write(read_again, ada, source_id)
            return source.documents, [one["message"] for one in source.problems if one["name"] != site.at("/")]

        assert (await read())[0] == 5
        site.pages["/"] = a_page("Start", *moved)
        site.pages["/careers"] = Page.redirect(elsewhere)
        site.pages["/intranet"] = Page.redirect("http://10.1.2.3/")
        site.pages["/manual"] = Page(b"%PDF" + b"x" * (11 << 20), content_type="application/pdf")
        assert await read() == (1, [])
        assert texts(world, source_id)[0].startswith("Start")
        await tools.sandbox.close()
        await tools.outbound.aclose()
    check_index(world)


async def test_without_an_answer_of_the_model_the_words_are_found(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    model.broken = "The key was refused."
    source_id = world.write(add_text, ada, made, "Terms", "We give your money back.")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces, source.vectors) == ("failed", 1, 0)
    assert source.message == "Its words can be found, its meaning cannot: The key was refused."
    assert await found(world, made, "money") == ["We give your money back."]
    model.broken = ""
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces, source.vectors) == ("ready", 1, 1)
    assert await found(world, made, "reimburse", model) == ["We give your money back."]
    model.broken = "Out of order."
    assert await found(world, made, "money", model) == ["We give your money back."], "the words alone decide"


async def test_a_worker_that_is_gone_leaves_its_source_to_another(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    source_id = world.write(add_site, ada, made, PRACTICE)
    assert world.write(claim_next, "boot_gone") is not None
    await read_all(indexer)
    assert sources(world, made)[0].state == "working", "it is the other worker's"
    world.write(reclaim_of, "boot_gone", None)
    await read_all(indexer)
    assert sources(world, made)[0].state == "ready"
    world.write(read_again, ada, source_id)
    await indexer.pass_over()
    await indexer.close()
    assert (sources(world, made)[0].state, len(texts(world, source_id)) > 12) == ("waiting", True)


async def test_a_change_ends_the_reading_that_is_under_way_and_begins_another(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    source_id = world.write(add_text, ada, made, "Terms", "We give your money back. " * 40)
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()
    world.write(set_piece_length, ada, made, 200)
    await indexer.pass_over()
    await indexer.settled()
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces, source.vectors) == ("ready", 5, 5)
    model.ready.clear()
    model.asked.clear()
    world.write(set_piece_length, ada, made, 1_000)
    await indexer.pass_over()
    await model.asked.wait()
    world.write(delete_source, ada, source_id)
    await indexer.pass_over()
    await indexer.settled()
    await read_all(indexer)
    assert sources(world, made) == []
    check_index(world)


async def test_a_source_that_no_reading_has_any_more_is_given_back(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    world.write(add_site, ada, made, PRACTICE)
    assert world.write(claim_next, "boot_here") is not None
    await read_all(indexer)
    assert sources(world, made)[0].state == "ready"


async def test_a_source_is_stopped_and_keeps_what_was_read(
    world: World, ada: Principal, made: str, indexer: Indexer
) -> None:
    waits = world.write(add_site, ada, made, PRACTICE)
    world.write(stop_reading, ada, waits)
    assert sources(world, made)[0].state == "stopped"
    world.write(read_again, ada, waits)
    await indexer.pass_over()
    with pytest.raises(Conflict, match="is being read now"):
        world.write(read_again, ada, waits)
    world.write(stop_reading, ada, waits)
    await indexer.pass_over()
    await indexer.settled()
    assert sources(world, made)[0].state == "stopped"
    world.write(delete_source, ada, waits)
    await read_all(indexer)
    assert sources(world, made) == []


async def test_it_is_read_again_when_its_time_has_come(
    world: World, ada: Principal, made: str, indexer: Indexer, clock: MovedClock
) -> None:
    dataset = world.write(add_dataset, ada, "Goods")
    world.write(import_rows, ada, dataset, checked_rows([{"name": "Rye"}]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    world.write(set_again, ada, source_id, "daily")
    clock.offset += DAY + 1
    world.write(stop_reading, ada, source_id)
    await read_all(indexer)
    assert sources(world, made)[0].state == "stopped", "its next time is a day away"
    clock.offset += DAY + 1
    await read_all(indexer)
    world.write(add_row, ada, dataset, {"name": "Roll"})
    await read_all(indexer)
    assert len(texts(world, source_id)) == 1
    clock.offset += DAY + 1
    await read_all(indexer)
    assert len(texts(world, source_id)) == 2
    assert (sources(world, made)[0].next_at or 0) > clock.now()
    text_id = world.write(add_text, ada, made, "Terms", "x")
    with pytest.raises(Invalid, match="cannot be read again by itself"):
        world.write(set_again, ada, text_id, "daily")


async def test_a_deleted_collection_leaves_nothing_behind(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    world.write(add_site, ada, made, PRACTICE)
    await read_all(indexer)
    world.write(delete_collection, ada, made)
    assert world.read(list_collections, ada.workspace_id) == []
    await read_all(indexer)
    for table in ("collections", "sources", "contents", "documents", "pieces", "vectors"):
        count = world.read(
            lambda session, table=table: session.execute(text(f"select count(*) from knowledge_{table}")).scalar()
        )
        assert (table, count) == (table, 0)
    check_index(world)


def step(world: World, name: str, model: Model) -> WorkspaceKnowledge:
    """Knowledge as a step of a flow adds to it."""
    return WorkspaceKnowledge(world.database, world.workspace_id, name, model.embed, lambda _call: None, print)


async def test_what_a_step_adds_while_its_collection_is_read_anew_stays(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    quick = Model()
    for at in range(26):
        await step(world, f"job_1:add:0/{at}", quick).add(made, f"It costs {at} dollars.", f"Price {at}")
    await step(world, "job_1:add:0/26", quick).add(made, "A page of the site.", "https://a.example/")
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    (source,) = sources(world, made)
    world.write(read_again, ada, source.id)
    model.ready.clear()
    await indexer.pass_over()
    await model.asked.wait()  # the first texts are read, their vectors are not there yet
    long = "\n\n".join(f"# {at}\n\nIt costs less." for at in range(indexing.SLICE + 1))
    assert (await step(world, "job_2:add:", quick).add(made, long, "Price 3"))["action"] == "replaced"
    assert (await step(world, "job_3:add:", quick).add(made, "Zebras are free.", "Zebras"))["action"] == "added"
    model.ready.set()
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.documents, source.pieces) == ("ready", 28, 27 + indexing.SLICE + 1)
    assert source.vectors == source.pieces
    kept = texts(world, source.id)
    assert "It costs 3 dollars." not in kept
    assert {"It costs less.", "It costs 4 dollars.", "Zebras are free."} < set(kept)
    pieces, _ = world.read(lambda session: page_of_pieces(session, world.workspace_id, source.id, offset=0, limit=500))
    assert {one.address for one in pieces if one.document.startswith("https:")} == {"https://a.example/"}
    check_index(world)


async def test_in_a_full_workspace_a_text_makes_way_for_the_one_of_the_same_source(
    world: World, made: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_knowledge, "MAX_PIECES", 2)
    for at, text_ in enumerate(("# 1\n\nOld.\n\n# 2\n\nOld.", "# 1\n\nOld.\n\n# 2\n\nOld.", "New.", "Newest.")):
        await step(world, f"job_{at}:add:", model).add(made, text_, "Terms")
    with pytest.raises(NodeFailed, match="The workspace holds its most"):
        await step(world, "job_9:add:", model).add(made, "# 1\n\nMore.\n\n# 2\n\nMore.", "Others")
    monkeypatch.setattr(worker_knowledge, "MAX_PIECES", 0)
    assert (await step(world, "job_10:add:", model).add(made, "Newest.", "Terms"))["action"] == "unchanged"
    (source,) = sources(world, made)
    assert texts(world, source.id) == ["Newest."]


async def test_a_step_that_waited_for_the_former_model_asks_the_new_one(
    world: World, ada: Principal, made: str, model: Model
) -> None:
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:tiny"))
    model.ready.clear()
    adding = asyncio.create_task(step(world, "job_1:add:", model).add(made, "Zebras are free. " * 40, "Zebras"))
    await model.asked.wait()
    world.write(lambda session: setattr(session.get_one(_collection(), made), "model", "box:other"))
    world.write(set_piece_length, ada, made, 200)
    model.ready.set()
    result = await adding
    (source,) = sources(world, made)
    assert (result["pieces"], source.pieces, source.vectors) == (4, 4, 4)
    stored = world.read(lambda session: session.scalars(text("select distinct model from knowledge_vectors")).all())
    assert stored == ["box:other"]


async def test_a_deleted_source_is_found_no_more_while_the_worker_reads_others(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    secret = world.write(add_text, ada, made, "Secret", "\n\n".join(f"# {at}\n\nThe salary." for at in range(60)))
    world.write(add_text, ada, made, "Jobs", "We are looking for a baker. The salary is fair, and the oven is warm.")
    slow = world.write(add_collection, ada, "Slow")
    world.write(lambda session: setattr(session.get_one(_collection(), slow), "model", "box:tiny"))
    model.ready.clear()
    for at in range(indexing.AT_ONCE):
        world.write(add_text, ada, slow, f"Slow {at}", "text")
    await indexer.pass_over()
    await model.asked.wait()
    world.write(delete_source, ada, secret)
    assert len(await found(world, made, "salary")) == 1, "and it takes the place of no other piece"
    assert [one.state for one in sources(world, slow)] == ["working"] * indexing.AT_ONCE
    await indexer.pass_over()
    while world.read(lambda session: session.scalar(text("select count(*) from knowledge_pieces"))) != 1:
        await asyncio.sleep(0.005)
    assert [one.state for one in sources(world, slow)] == ["working"] * indexing.AT_ONCE
    model.ready.set()
    await read_all(indexer)
    check_index(world)


async def test_only_some_documents_are_searched_however_many_others_fit_better(
    world: World, ada: Principal, made: str
) -> None:
    for at in range(4):
        world.write(add_text, ada, made, f"Other {at}", "\n\n".join(f"# {at}\n\nReturns." for at in range(300)))
    world.write(add_text, ada, made, "Manual", "What to do with a loaf that returns to the shop. " * 9)

    async def vectors(*_asked: Any) -> Any:
        raise AssertionError

    hits = await search(world.database, world.workspace_id, made, "returns", vectors, sources=["manua"])
    assert {one.piece.document for one in hits.hits} == {"Manual"}


async def test_a_full_workspace_takes_no_more(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "MAX_PIECES", 5)
    world.write(add_text, ada, made, "Five", "\n\n".join(f"# {at}\n\ntext" for at in range(6)))
    world.write(add_site, ada, made, PRACTICE)
    await read_all(indexer)
    assert sources(world, made)[1].message.startswith("The workspace holds its most: 5 pieces")


async def test_in_a_full_workspace_a_file_makes_way_for_the_one_that_replaces_it(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (indexing, actions):
        monkeypatch.setattr(module, "MAX_PIECES", 3)
    source_id = give(world, ada, made, "terms.md", b"# 1\n\nOld.\n\n# 2\n\nOld.\n\n# 3\n\nOld.")
    await read_all(indexer)
    with pytest.raises(TooLarge, match="The workspace holds its most"):
        give(world, ada, made, "other.md", b"Other.")
    give(world, ada, made, "terms.md", b"# 1\n\nNew.\n\n# 2\n\nNew.\n\n# 3\n\nNew.\n\n# 4\n\nNew.")
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, texts(world, source_id)) == ("ready", ["New."] * 4)
    check_index(world)


async def test_a_file_without_room_leaves_the_one_that_it_replaces(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_id = give(world, ada, made, "terms.md", b"Old.")
    await read_all(indexer)
    first = world.read(list_uses, "collection", source_id)
    world.write(add_text, ada, made, "Five", "\n\n".join(f"# {at}\n\ntext" for at in range(5)))
    with monkeypatch.context() as full:
        full.setattr(actions, "MAX_PIECES", 5)
        with pytest.raises(TooLarge, match="The workspace holds its most"):
            give(world, ada, made, "terms.md", b"# 1\n\nNew.\n\n# 2\n\nNew.")
    assert sources(world, made)[0].state == "ready"
    assert world.read(list_uses, "collection", source_id) == first
    give(world, ada, made, "terms.md", b"# 1\n\nNew.\n\n# 2\n\nNew.")
    monkeypatch.setattr(indexing, "MAX_PIECES", 5)  # others were faster
    await read_all(indexer)
    assert sources(world, made)[0].message == (
        "The workspace holds its most: 5 pieces or 200 million characters of text. Remove what is not needed, or add"
        " less. What was read of it before can still be found."
    )
    assert texts(world, source_id) == ["Old."]


async def test_in_a_full_workspace_what_is_gone_goes_and_makes_room(
    world: World, ada: Principal, made: str, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "MAX_PIECES", 30)
    dataset = world.write(add_dataset, ada, "People")
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Person {at}"} for at in range(30)]))
    source_id = world.write(add_dataset_rows, ada, made, dataset)
    await read_all(indexer)
    ids = world.read(list_row_ids, ada.workspace_id, dataset)
    world.write(delete_rows, ada, dataset, ids[:20])
    world.write(change_row, ada, dataset, ids[20], {"name": "Changed 20"})
    world.write(add_row, ada, dataset, {"name": "Newcomer"})
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert (source.state, source.pieces) == ("ready", 11)
    kept = [f"name: Person {at}" for at in range(21, 30)]
    assert sorted(texts(world, source_id)) == sorted(["name: Changed 20", "name: Newcomer", *kept])
    world.write(import_rows, ada, dataset, checked_rows([{"name": f"Other {at}"} for at in range(40)]))
    world.write(change_row, ada, dataset, ids[20], {"name": "Changed again"})
    world.write(read_again, ada, source_id)
    await read_all(indexer)
    (source,) = sources(world, made)
    assert source.state == "failed"
    assert source.message.startswith("The workspace holds its most: 30 pieces")
    assert "name: Changed again" in texts(world, source_id), "what needs no more room is written"
    check_index(world)


async def test_another_model_makes_every_vector_anew(
    world: World, ada: Principal, made: str, indexer: Indexer, model: Model
) -> None:
    with pytest.raises(Invalid, match="No connection is called “box”"):
        world.write(set_meaning, ada, made, "box:tiny")
    world.write(add_text, ada, made, "Terms", "We give your money back.")
    for name in ("box:tiny", "box:other"):
        world.write(lambda session, name=name: setattr(session.get_one(_collection(), made), "model", name))
        world.write(read_again, ada, sources(world, made)[0].id)
        await read_all(indexer)
    assert len(model.texts) == 2
    assert sources(world, made)[0].vectors == 1
    await asyncio.sleep(0)


def _collection() -> Any:
    from storage.tables_knowledge import KnowledgeCollection

    return KnowledgeCollection
