"""What a flow refers to outside its document: connections, secrets, datasets and called flows. Imports no NiceGUI.

Other pages create, rename and remove these. The problems and marks of nodes are computed from what was read last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict, replace
from sqlalchemy.orm import Session

from engine.actions.datasets import known_datasets
from engine.actions.deployments import unknown_connections
from engine.core.errors import Problem
from engine.core.settings import Settings
from engine.flow.document import Document
from engine.flow.flow_warnings import FlowWarning, flow_warnings
from engine.flow.made_up_answers import made_up_steps
from engine.flow.node_type import Catalog
from engine.flow.patterns import STEPS_AT_ONCE, PatternBudget
from engine.flow.payload_check import PATTERN_STEPS
from engine.flow.unused_results import UnusedResult, unused_result
from engine.flow.validation import marks, problems
from engine.jobs.outbound_rules import rules_for_flows
from engine.knowledge.known import known_collections
from engine.models.file_problems import file_problems, file_warnings
from engine.nodes import CATALOG
from engine.nodes.agent_tool_problems import server_problems
from engine.nodes.known_collections import KnownCollection, missing_collections, with_collections
from engine.nodes.known_datasets import (
    KnownDataset,
    find_known,
    meant_column,
    missing_datasets,
    unknown_columns,
    with_datasets,
)
from engine.nodes.model_answers import model_words
from engine.outbound.allow_list import OutboundRules
from engine.outbound.secret_hosts import host_problems, host_warnings
from engine.outbound.written_addresses import address_problems
from storage.connections import list_connections
from storage.secrets import SecretRow, list_secrets
from storage.tool_servers import allowed_tools
from ui.flow_view.canvas_types import Marks
from ui.kit.text import _
from ui.playground.state.called_flows import CalledFlows, load_called_flows
from ui.playground.state.only_model import model_for, only_model, replace_simulated_ops

#: The code of the warning that a step asks the Simulated model though a model is connected.
SIMULATED_MODEL: Final = "simulated_model"


class Analysis(Struct, frozen=True):
    """What a document and its dependencies say together: problems, warnings, the marks of each node by its id, and a step
    that works for nothing.
    """

    problems: list[Problem]
    warnings: list[FlowWarning]
    marks: dict[str, Marks]
    unused: UnusedResult | None = None
    #: False while something was not looked at because it would take too long.
    whole: bool = True


@dataclass(frozen=True)
class FlowDependencies:
    """The dependencies as last read. `connections` are the connections that a Prompt can use: name -> provider."""

    flow_id: str
    connections: Mapping[str, str]
    secrets: tuple[SecretRow, ...]
    datasets: tuple[KnownDataset, ...]
    collections: tuple[KnownCollection, ...]
    calls: CalledFlows
    #: By these rules addresses in nodes are checked; None when they are not known.
    rules: OutboundRules | None = None
    #: MCP server -> the names of its tools that agents may use.
    tool_servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The model that the connections offer when it is just one.
    only_model: str | None = None

    @cached_property
    def catalog(self) -> Catalog:
        """The node types, with the columns of the workspace's datasets as available data and names of collections."""
        catalog = with_datasets(CATALOG, self.datasets) if self.datasets else CATALOG
        return with_collections(catalog, self.collections) if self.collections else catalog

    def covers(self, document: Document) -> bool:
        """True when everything that the document refers to was read."""
        missing = missing_datasets(document, self.datasets) or missing_collections(document, self.collections)
        return self.calls.knows(document) and not missing

    def analyse_at_once(self, document: Document) -> Analysis:
        """Does the same on the event loop, without the patterns that would take too long; then it is not `whole`."""
        with PatternBudget(at_once=STEPS_AT_ONCE, searches=PATTERN_STEPS) as budget:
            analysis = self.analyse(document)
        return replace(analysis, whole=not budget.short)

    def analyse(self, document: Document) -> Analysis:
        """Returns what is wrong with the document and what its nodes show; an empty document has no problem. Costly
        patterns may take up to half a second.
        """
        in_itself = problems(document, self.catalog) if document.nodes else []
        datasets = [
            *missing_datasets(document, self.datasets),
            *missing_collections(document, self.collections),
        ]
        servers = server_problems(document, self.tool_servers)
        hosts = host_problems(document, self.secrets)
        addresses = address_problems(document, self.rules)
        calls = self.calls.problems(document, self.flow_id)
        connections = unknown_connections(document, self.connections)
        files = file_problems(document, self.connections)
        found = (
            [*in_itself, *connections, *files, *datasets, *servers, *hosts, *addresses, *calls]
            if document.nodes
            else []
        )
        warned = [
            *flow_warnings(document, self.catalog),
            *(FlowWarning(one, "") for one in file_warnings(document, self.connections)),
            *(FlowWarning(one, "") for one in host_warnings(document, self.secrets)),
            *(self._column_warning(one, document) for one in unknown_columns(document, self.datasets)),
            *self._simulated_warning(document),
        ]
        drawn = self._marks(document, in_itself, [*calls, *files, *datasets, *servers, *hosts, *addresses])
        return Analysis(found, warned, drawn, unused_result(document, self.catalog))

    def _simulated_warning(self, document: Document) -> Iterator[FlowWarning]:
        """One warning for all steps that ask the Simulated model though a model is connected."""
        steps = list(made_up_steps(document, {}))
        if not steps or not self.connections:
            return
        said = _("“{name}” uses the Simulated model, which makes its answers up, though a model is connected.")
        if len(steps) > 1:
            said = _("{count} steps use the Simulated model, which makes its answers up, though a model is connected.")
        said = said.format(name=steps[0].name, count=len(steps))
        problem = Problem(SIMULATED_MODEL, said, steps[0].node_id, "/config/model", blocks_import=False)
        if (model := model_for(document, self.connections, self.only_model)) is None:
            yield FlowWarning(problem, _("Choose a model"))
        else:
            ops = replace_simulated_ops(document, model)
            yield FlowWarning(problem, _("Use {model}").format(model=model_words({"model": model})), lambda: ops)

    def _column_warning(self, problem: Problem, document: Document) -> FlowWarning:
        """Adds the buttons: the column that is likely meant comes before a new one."""
        add = FlowWarning(dataclasses.replace(problem, code="column_to_add"), _("Add the column"), list)
        if (meant := self.meant_column(problem, document)) is None:
            return add
        return FlowWarning(problem, _("Fill “{column}” instead").format(column=meant), list, add)

    def meant_column(self, problem: Problem, document: Document) -> str | None:
        """Returns the column that a Save rows likely means, of the warning that its dataset lacks one."""
        node = document.node(problem.node_id or "")
        dataset = find_known(self.datasets, node.config.get("dataset")) if node else None
        if node is None or dataset is None:
            return None
        return meant_column(node, dataset, problem.pointer.removeprefix("/inputs/"))

    def _marks(self, document: Document, in_itself: list[Problem], others: list[Problem]) -> dict[str, Marks]:
        found: dict[str, Marks] = {
            node_id: Marks(**asdict(mark)) for node_id, mark in marks(document, self.catalog, in_itself).items()
        }
        for problem in others:
            if problem.node_id in found:
                mark = found[problem.node_id]
                mark["problems"] = mark.get("problems", 0) + 1
        for node_id, summary in self.calls.summaries(document).items():
            found[node_id]["summary"] = summary
        return found


def load_dependencies(
    session: Session, workspace_id: str, flow_id: str, document: Document, settings: Settings
) -> FlowDependencies:
    """Reads all dependencies in one transaction."""
    connections = list_connections(session, workspace_id)
    return FlowDependencies(
        flow_id,
        {connection.name: connection.provider for connection in connections},
        tuple(list_secrets(session, workspace_id)),
        known_datasets(session, workspace_id),
        known_collections(session, workspace_id),
        load_called_flows(session, workspace_id, flow_id, document),
        rules_for_flows(session, settings),
        allowed_tools(session, workspace_id),
        only_model(connections),
    )
