"""A web site of thirty pages on four levels, for nodes that follow links."""

from __future__ import annotations


def page(*links, more=""):
    return f"<!doctype html><title>T</title>{more}<main>" + "".join(f'<a href="{link}">l</a>' for link in links)


def thirty_pages():
    """Returns the pages and their order: 1, 5, 17 and 30 pages down to depth 0, 1, 2 and 3.

    Every page also links to the home page.
    """
    sections = [f"/s{one}" for one in range(4)]
    topics = [f"{section}/t{two}" for section in sections for two in range(3)]
    leaves = [f"{topics[number % 12]}/leaf{number}" for number in range(13)]
    pages = {"/": page(*sections)}
    pages |= {one: page("/", *(topic for topic in topics if topic.startswith(f"{one}/"))) for one in sections}
    pages |= {one: page("/", "../", *(leaf for leaf in leaves if leaf.startswith(f"{one}/"))) for one in topics}
    pages |= {one: page("/", topics[0]) for one in leaves}
    return pages, ["/", *sections, *topics, *sorted(leaves, key=lambda leaf: topics.index(leaf.rsplit("/", 1)[0]))]
