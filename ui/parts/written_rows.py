"""Which tables a run wrote into, with the way there; rows that a practice run added can be taken out again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nicegui import ui
from pydantic import JsonValue

from engine.actions.datasets import PRACTICE, take_out_rows
from engine.core.environments import Environment
from engine.core.web_addresses import split_url
from engine.flow.called_flows import AGENT
from engine.flow.document import Document, Node
from engine.flow.graph import Graph
from engine.flow.lists import ListScopes
from engine.flow.validation import without_parked
from engine.nodes.http_request import sends_something
from engine.nodes.known_datasets import Named, find_known
from engine.nodes.model_answers import SIMULATED
from storage.dataset_writes import TableWritten, list_added_rows, list_job_writes
from storage.jobs import JobRow
from ui.kit import feedback
from ui.kit.parts import button, link_button, note
from ui.kit.text import ENGLISH, Reader, _, plural
from ui.kit.value_words import shortened
from ui.page_session import PageSession
from ui.page_shell import times_of

#: The most tables, or addresses, that are named.
_MAX_TABLES = 5
#: The most characters of an address that a step calls.
_LONGEST_ADDRESS = 80


class WrittenRows:
    """A place for the note about one run; empty until `show`, and while the run wrote nothing.

    `new_tab`: the table opens in a new tab, so that the page behind it stays.
    """

    def __init__(self, page_session: PageSession, *, new_tab: bool = False) -> None:
        self.page_session = page_session
        self.new_tab = new_tab
        self.reader = times_of(page_session).reader
        self.box = ui.element("div").classes("fp-written").props("role=status")
        self.box.visible = False

    async def show(self, job: JobRow, instead: Sequence[TableWritten] = ()) -> None:
        """Shows what the run wrote. `instead`: what is shown when nothing is known of that any more."""
        tables = (await self.page_session.query(list_job_writes, job.id) or tuple(instead))[:_MAX_TABLES]
        if self.box.is_deleted:
            return
        self.box.clear()
        self.box.visible = bool(tables)
        if not tables:
            return
        practice = job.environment in PRACTICE
        added, may = sum(one.added for one in tables), self.page_session.may("edit datasets")
        kind = "warn" if practice and added else ""
        with (
            self.box,
            note(_about(job, tables), kind=kind, icon="table_rows", strong=written_words(tables, self.reader)).classes(
                "fp-note--act"
            ),
        ):
            if practice and added and job.ended and may:
                verb = _("Take it out again") if added == 1 else _("Take them out again")
                button(verb, lambda: self._take_out(job), icon="undo", small=True)
            for one in tables:
                name = _("Open “{table}”").format(table=one.name) if len(tables) > 1 else _("Open the table")
                link_button(name, f"/datasets/{one.dataset_id}", icon="table_rows", small=True, new_tab=self.new_tab)

    async def _take_out(self, job: JobRow) -> None:
        rows = await self.page_session.query(list_added_rows, job.id)
        taken = await self.page_session.try_execute(take_out_rows, job.id, rows)
        if taken is None:
            return
        count = plural(taken, _("row was"), _("rows were"), self.reader)
        feedback.told(_("{count} taken out.").format(count=count))
        await self.show(job)


def written_words(tables: Sequence[TableWritten], reader: Reader = ENGLISH) -> str:
    """`1 row was added to “Invoices”. 2 rows were changed in “Customers”.`"""

    def rows(count: int) -> str:
        return plural(count, _("row was"), _("rows were"), reader)

    said: list[str] = []
    for one in tables:
        table = f"“{one.name}”"
        lines = [
            _("{rows} added to {table}.").format(rows=rows(one.added), table=table) if one.added else "",
            _("{rows} changed in {table}.").format(rows=rows(one.changed), table=table) if one.changed else "",
            _("{rows} in {table} already.").format(rows=rows(one.left), table=table) if one.left else "",
            _("{rows} taken out of {table} again.").format(rows=rows(one.taken_out), table=table)
            if one.taken_out
            else "",
        ]
        said += [line for line in lines if line] or [_("The flow saves rows in {table}.").format(table=table)]
    return " ".join(said)


def _about(job: JobRow, tables: Sequence[TableWritten]) -> str:
    if job.environment not in PRACTICE:
        return ""
    if not any(one.added or one.changed for one in tables):
        return ""
    said = [
        _("A call from Try it now or with a key of Development writes into the table like every other.")
        if job.environment == Environment.DEV
        else _("A run that tries the flow writes into the table like every other.")
    ]
    if job.simulated:
        said.append(_("The Simulated model took part: its values may be made up."))
    return " ".join(said)


def tables_of(document: Document, known: Sequence[Named]) -> list[TableWritten]:
    """Returns the tables into which a flow saves rows, for a run of which nothing else is known."""
    named = [node.config.get("dataset") for node in document.nodes if node.type == "dataset_sink"]
    found = {one.id: one for name in named if (one := find_known(known, name)) is not None}
    return [TableWritten(one.id, one.name) for one in found.values()]


def writes_before_a_run(document: Document, inner: Mapping[str, Node], known: Sequence[Named]) -> str:
    """Says in which tables a run of this flow would save rows; "" when in none. `inner`: the nodes of called flows, by the
    names of their steps, like `call_flow.save`.
    """
    runs = without_parked(document)
    names = {node.id for node in runs.nodes}
    called = [node for name, node in inner.items() if name.partition(".")[0] in names]
    tables = tables_of(runs.model_copy(update={"nodes": (*runs.nodes, *called)}), known)
    if not tables:
        return ""
    around = ListScopes(runs, Graph(runs)).around
    saving = [node for node in [*runs.nodes, *called] if node.type == "dataset_sink"]
    # how often a called flow saves is not looked at: it may run for each item, or save each of its own
    one_row = len(saving) == 1 and saving[0] in runs.nodes and not around.get(saving[0].id)
    return writing_words([one.name for one in tables], one_row=one_row)


def calls_before_a_run(document: Document, inner: Mapping[str, Node]) -> str:
    """Says which addresses a run of this flow would send something to, and which the model of an Agent may; "" when none.
    `inner`: the nodes of called flows, by the names of their steps.
    """
    runs = without_parked(document)
    names = {node.id for node in runs.nodes}
    called = [node for name, node in inner.items() if name.partition(".")[0] in names]
    found = dict.fromkeys(address_of(node) for node in [*runs.nodes, *called] if sends_something(node))
    may = dict.fromkeys(one for node in [*runs.nodes, *called] for one in _tools_that_send(node) if one not in found)
    said = [
        _("Running here calls {addresses} too.").format(addresses=_listed(found)) if found else "",
        _("Running here may call {addresses} too.").format(addresses=_listed(may)) if may else "",
    ]
    return " ".join(filter(None, said))


def does_before_a_run(document: Document, inner: Mapping[str, Node], known: Sequence[Named]) -> str:
    """Says both: what a run of this flow would write and which addresses it would call."""
    said = writes_before_a_run(document, inner, known), calls_before_a_run(document, inner)
    return " ".join(filter(None, said))


def _listed(addresses: Iterable[str]) -> str:
    return ", ".join([*addresses][:_MAX_TABLES])


def _tools_that_send(node: Node) -> Iterator[str]:
    """The addresses of an Agent's tools that change something. The Simulated model calls none of them."""
    tools: JsonValue = (
        node.config.get("tools") if node.type == AGENT and node.config.get("model") != SIMULATED else None
    )
    for tool in tools if isinstance(tools, list | tuple) else ():
        if isinstance(tool, Mapping) and tool.get("kind") == "http" and str(tool.get("method") or "GET") != "GET":
            yield _shown_address(str(tool.get("address") or ""), "{", node.name)


def address_of(node: Node) -> str:
    """The address of an HTTP Request as far as it is the same in every run; its name where it is another each time."""
    return _shown_address(str(node.inputs.get("url") or ""), "{{", node.name)


def _shown_address(address: str, data: str, name: str) -> str:
    """An address up to the data in it, which begins with `data`; the name of the step where the host is not known. A user
    name, a password and what stands after `?` are left out.
    """
    fixed, found, _data = address.strip().partition(data)
    try:
        parts = split_url(fixed)
        host = parts.hostname
    except ValueError:  # an opening bracket without its closing one, or a letter that no host has
        return f"“{name}”"
    if not host or (found and fixed.endswith(parts.netloc)):
        return f"“{name}”"
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return shortened(f"{shown}{'…' if found else ''}", _LONGEST_ADDRESS)


def writing_words(names: Sequence[str], *, one_row: bool) -> str:
    """`Running here writes a row to “Invoices” too.`"""
    said = (
        _("Running here writes a row to {tables} too.") if one_row else _("Running here writes rows to {tables} too.")
    )
    return said.format(tables=", ".join(f"“{name}”" for name in names))
