"""The flow that the answers to a goal's questions make: its document and title, how it is stored, and how it is known
again. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.actions.datasets import bring_samples, known_datasets
from engine.actions.flows import create_flow, rename_flow
from engine.actions.knowledge import bring_documents
from engine.core.ids import FlowId, JobId
from engine.flow.document import Document, load_document
from engine.flow.goals import BadAnswer, Goal, answers_in, filled, first_answers, read_answer, title_of
from engine.flow.node_context import Json
from engine.flow.times_asked import with_times
from engine.flow.version_comparison import draft_changes
from engine.knowledge.samples import sample_documents
from engine.nodes.known_datasets import KnownDataset, named_by_id
from engine.table_files.samples import sample_tables
from storage.connections import ConnectionRow, list_connections
from storage.flows import FlowRow, find_flow, get_draft
from storage.jobs import JobFilters, list_jobs
from storage.knowledge import CollectionLine, list_collections
from storage.schedules import count_schedules
from ui.page_session import PageSession
from ui.parts.open_drafts import drafts_of

SIMULATED = "simulated"


class Made(Struct, frozen=True):
    """A flow that a goal made: its row, its draft, and its newest run."""

    flow: FlowRow
    document: Document
    job_id: JobId | None
    #: True when it has a schedule.
    scheduled: bool = False

    @property
    def flow_id(self) -> FlowId:
        """The id of the flow."""
        return FlowId(self.flow.id)


def load_made(session: Session, workspace_id: str, flow_id: str) -> Made | None:
    """Reads a flow that was made here; None when it is gone."""
    flow = find_flow(session, workspace_id, flow_id)
    if flow is None:
        return None
    document = load_document(get_draft(session, workspace_id, flow_id).document)
    runs = list_jobs(session, workspace_id, JobFilters(flow_id=flow_id, environments=("playground",)), limit=1).jobs
    scheduled = bool(count_schedules(session, workspace_id, flow_id))
    return Made(flow, document, JobId(runs[0].id) if runs else None, scheduled)


class SearchedDocuments:
    """The steps of a template that search documents which it brings along, and the collection that they search."""

    def __init__(self, template: Document) -> None:
        brought = sample_documents(template)
        searched = {
            node.id: str(node.config["collection"])
            for node in template.nodes
            if node.type == "search_knowledge" and node.config.get("collection") in brought
        }
        #: The names of the practice collections that these steps search.
        self.practice = frozenset(searched.values())
        self._nodes = frozenset(searched)

    def that_of(self, document: Document) -> str:
        """The id of the collection that a document made here searches; empty for the practice documents."""
        named = [str(node.config.get("collection") or "") for node in document.nodes if node.id in self._nodes]
        return "" if not named or named[0] in self.practice else named[0]

    def practice_in(self, document: Document) -> bool:
        """True when a document made here answers from the practice documents."""
        return bool(self.practice) and not self.that_of(document)

    def put_into(self, document: Document, collection: str) -> Document:
        """Returns the document with this collection in the steps that search; the same one for the practice documents."""
        if not collection or not self._nodes:
            return document
        nodes = tuple(
            node.model_copy(update={"config": {**node.config, "collection": collection}})
            if node.id in self._nodes
            else node
            for node in document.nodes
        )
        return document.model_copy(update={"nodes": nodes})


class FilledIn(Struct, frozen=True):
    """What a person filled in. `answers`: those of `read_answer`, by the name of the question; `collection`: the id of
    the documents to answer from, empty for the practice documents.
    """

    answers: Mapping[str, Json]
    model: str
    collection: str


class GoalBlanks:
    """A goal with its template: which flow the answers make, and whether answers made a flow."""

    def __init__(self, goal: Goal, template: Document) -> None:
        self.goal = goal
        self.template = template
        self.searched = SearchedDocuments(template)

    def document(self, filled_in: FilledIn) -> Document:
        """Returns the template with the answers in it."""
        document = _with_model(filled(self.goal, self.template, filled_in.answers), filled_in.model)
        return self.searched.put_into(document, filled_in.collection)

    def first_document(self, filled_in: FilledIn) -> Document:
        """Returns the same flow with the answers that stood in the questions at first; with those that were filled in
        when one of them is missing.
        """
        try:
            answers = self._read(first_answers(self.goal, self.template))
        except BadAnswer:
            answers = filled_in.answers
        return self.document(replace(filled_in, answers=answers))

    def title_in(self, document: Document) -> str:
        """Returns the title that the answers in a document give the flow. Raises BadAnswer."""
        return title_of(self.goal, self._read(answers_in(self.goal, document)))

    def made(self, document: Document, datasets: Sequence[KnownDataset]) -> bool:
        """True when the answers that stand in a document make this document. `datasets`: those of the workspace."""
        try:
            answers = self._read(answers_in(self.goal, document))
        except BadAnswer:
            return False
        ours = self.document(FilledIn(answers, model_of(document), self.searched.that_of(document)))
        return draft_changes(named_by_id(ours, datasets), named_by_id(document, datasets)).same

    def _read(self, shown: Mapping[str, Json]) -> dict[str, Json]:
        return {one.name: read_answer(one, shown.get(one.name)) for one in self.goal.questions}


class GoalChoices(Struct, frozen=True):
    """What the workspace has for the questions of a goal to offer, and the flow that was made here before.

    `collections` and `datasets` are empty when the template uses none. `made`: the flow as the answers made it;
    `changed`: one that was changed elsewhere since, which is left as it is.
    """

    connections: Sequence[ConnectionRow]
    collections: Sequence[CollectionLine]
    datasets: Sequence[KnownDataset]
    made: Made | None = None
    changed: Made | None = None


def load_choices(session: Session, workspace_id: str, blanks: GoalBlanks, flow_id: str) -> GoalChoices:
    """Reads what the questions need. `flow_id`: the flow that was made here before; "" for none."""
    datasets = _load_datasets(session, workspace_id, blanks)
    before = load_made(session, workspace_id, flow_id) if flow_id else None
    ours = before is not None and blanks.made(before.document, datasets)
    return GoalChoices(
        list_connections(session, workspace_id),
        list_collections(session, workspace_id) if blanks.searched.practice else (),
        datasets,
        made=before if ours else None,
        changed=None if ours else before,
    )


def is_as_made(session: Session, workspace_id: str, blanks: GoalBlanks, flow_id: str) -> bool:
    """True when the draft of a flow is what the answers in it make. Raises NotFound."""
    document = load_document(get_draft(session, workspace_id, flow_id).document)
    return blanks.made(document, _load_datasets(session, workspace_id, blanks))


def _load_datasets(session: Session, workspace_id: str, blanks: GoalBlanks) -> Sequence[KnownDataset]:
    return known_datasets(session, workspace_id) if sample_tables(blanks.template) else ()


class GoalFlow:
    """The flow that an open page of a goal makes, and changes from then on.

    `time`: the times that the wish names; "" when it names none. `made`: the flow, as it was stored or read last.
    """

    def __init__(self, page_session: PageSession, blanks: GoalBlanks, made: Made | None, time: str) -> None:
        self.page_session = page_session
        self.blanks = blanks
        self.made = made
        self.time = time

    async def find_unchanged(self) -> Made | None:
        """The flow that this page made; None when there is none, or when it was changed elsewhere since."""
        if self.made is None:
            return None
        stored = await self.page_session.query(load_made, self.made.flow_id)
        return stored if stored is not None and draft_changes(self.made.document, stored.document).same else None

    async def create(self, filled_in: FilledIn) -> Made:
        """Makes the flow with the tables and documents that it brings; `change` puts the answers into it.

        Raises Refusal.
        """
        document, goal = self.blanks.document(filled_in), self.blanks.goal
        if samples := sample_tables(document):
            await self.page_session.execute(bring_samples, samples)
        if documents := sample_documents(document):
            await self.page_session.execute(bring_documents, documents)
        begin, title = self.blanks.first_document(filled_in), title_of(goal, filled_in.answers)
        says = with_times(goal.says, self.time)
        return await self._load(
            await self.page_session.execute(create_flow, title, begin, says, template=goal.template, goal=goal.name)
        )

    async def change(self, made: Made, filled_in: FilledIn, datasets: Sequence[KnownDataset]) -> Made:
        """Stores the answers in the draft of a flow, and in its title unless somebody gave it another one.

        Raises Refusal.
        """
        document = named_by_id(self.blanks.document(filled_in), datasets)
        if not draft_changes(made.document, document).same:  # answers of one's own are the first change of the flow
            revision = made.flow.draft_revision
            async with drafts_of(self.page_session.app).borrowed(self.page_session, made.flow_id) as draft:
                await draft.replace_described(self.page_session, document, revision)
        title = title_of(self.blanks.goal, filled_in.answers)
        if made.flow.title == self.blanks.title_in(made.document) != title:
            await self.page_session.execute(rename_flow, made.flow_id, title)
        return await self.read_again(made)

    async def read_again(self, made: Made) -> Made:
        """Reads the flow as it is stored now."""
        self.made = await self._load(made.flow_id)
        return self.made

    async def _load(self, flow_id: FlowId) -> Made:
        made = await self.page_session.query(load_made, flow_id)
        assert made is not None
        return made


def model_of(document: Document) -> str:
    """The model that the first step with one asks."""
    return next((str(node.config["model"]) for node in document.nodes if node.config.get("model")), SIMULATED)


def _with_model(document: Document, model: str) -> Document:
    """Sets this model in every step that asks one."""
    nodes = tuple(
        node.model_copy(update={"config": {**node.config, "model": model}}) if node.config.get("model") else node
        for node in document.nodes
    )
    return document.model_copy(update={"nodes": nodes})
