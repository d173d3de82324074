"""What to do next with a flow, from its first node to the first call. One pure function; imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.flow_warnings import EMPTY_RULE, FlowWarning
from engine.flow.graph import SOURCES, Graph
from engine.flow.unused_results import UnusedResult
from storage.first_steps import was_called
from storage.jobs import JobFilters, list_jobs
from storage.schedules import count_schedules
from ui.kit.text import _, without_marks

Run = Literal["none", "running", "asks", "failed", "stopped", "completed"]
Name = Literal[
    "add_input", "describe_input", "add_step", "connect", "mend", "improve", "use", "run", "wait", "look_at_failure", "look", "run_again",
    "save", "deploy", "update", "schedule", "call", "watch",
]  # fmt: skip


class Progress(Struct, frozen=True):
    """How far a flow is. `problem`: the first one that stops a run; `looked`: the person looked at the last run.

    `changed`: the document changed since it ran. `live_version`: None while it is not deployed; `live_differs`: the
    draft would answer differently.
    """

    document: Document
    problem: Problem | None = None
    #: What the button that mends this problem says; "" when a person has to do it.
    mend: str = ""
    #: A rule that is empty, or a warning that a press mends: the flow can run, but hardly does what it should.
    warning: FlowWarning | None = None
    #: A step whose data nobody reads.
    unused: UnusedResult | None = None
    #: Whether the input of the next run is written.
    filled: bool = True
    run: Run = "none"
    changed: bool = False
    looked: bool = True
    saved: bool = False
    live_version: int | None = None
    live_differs: bool = False
    called: bool = False
    #: Whether its title or description names a time at which it should start, and nothing starts it by itself yet.
    wants_times: bool = False
    may_edit: bool = True
    may_deploy: bool = True


class NextStep(Struct, frozen=True):
    """One step: its sentence, the label of its button ("" for none), and the field that it leads to, or the warning that
    its button mends.
    """

    name: Name
    sentence: str
    verb: str = ""
    icon: str = ""
    node_id: str = ""
    pointer: str = ""
    warning: Problem | None = None


class Past(Struct, frozen=True):
    """What happened before this page was opened: whether a run answered, and whether anybody called the flow."""

    run: Run
    called: bool
    scheduled: bool = False


def load_past(session: Session, workspace_id: str, flow_id: str) -> Past:
    """Reads the past of a flow, and whether it starts by itself."""
    newest = list_jobs(session, workspace_id, JobFilters(flow_id=flow_id, environments=("playground",)), limit=1).jobs
    answered = bool(newest) and newest[0].status == "completed"
    called, scheduled = was_called(session, workspace_id, flow_id), count_schedules(session, workspace_id, flow_id) > 0
    return Past("completed" if answered else "none", called, scheduled)


def is_filled(fields: Sequence[Mapping[str, Any]], payload: Mapping[str, Any]) -> bool:
    """True when no required field of the input is empty, and not all fields are."""
    written = [field for field in fields if not _is_empty(payload.get(str(field.get("name"))))]
    return all(field in written for field in fields if field.get("required")) and bool(written or not fields)


def _is_empty(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_empty(one) for one in value)
    return value is None or value == {} or (isinstance(value, str) and not value.strip())


def run_of(status: str) -> Run:
    """The state of a run by the status of its job."""
    match status:
        case "completed":
            return "completed"
        case "failed":
            return "failed"
        case "cancelled":
            return "stopped"
    return "running"


def next_step(progress: Progress) -> NextStep | None:
    """The next step; None for somebody who may only look."""
    if not progress.may_edit:
        return None
    return _to_build(progress) or _to_run(progress) or _to_use(progress) or _to_publish(progress)


def _to_build(progress: Progress) -> NextStep | None:
    """What the document still needs before it can run."""
    nodes = progress.document.nodes
    sources = [node for node in nodes if node.type in SOURCES]
    if not sources:
        said = _("Begin with what callers send.")
        if nodes:
            said = _("Begin with an API Input. When callers send nothing, it stays without fields.")
        return NextStep("add_input", said, _("Add an API Input"), "input")
    if len(nodes) == len(sources):
        return _behind_the_input(next((one for one in sources if one.type != "api_input"), sources[0]))
    parked = Graph(progress.document).parked
    loose = next((node for node in nodes if node.id in parked), None)
    if loose is not None:
        sentence = _("“{name}” is not connected yet: draw a line to it from the step whose data it needs.")
        return NextStep("connect", sentence.format(name=loose.name), _("Show it"), "my_location", loose.id)
    if (problem := progress.problem) is not None:
        return _at_problem(problem, progress.mend)
    if progress.run != "none" and not progress.changed:
        return None
    return _at_warning(progress.warning) if progress.warning is not None else _to_use(progress)


def _at_warning(warning: FlowWarning) -> NextStep:
    """Leads to an empty rule, which is to be filled in; mends every other one."""
    problem = warning.problem
    return _at_problem(problem, "" if problem.code == EMPTY_RULE else warning.verb)


def _to_use(progress: Progress) -> NextStep | None:
    """The step that could use what nobody reads, until callers get what is drawn."""
    if (unused := progress.unused) is None or (progress.live_version is not None and not progress.live_differs):
        return None
    sentence = _("Nothing uses what “{name}” gives yet.").format(name=unused.step.name)
    verb = _("Use it in {name}").format(name=unused.reader.name)
    return NextStep("use", sentence, verb, "edit", unused.reader.id, unused.pointer)


def _at_problem(problem: Problem, mend: str) -> NextStep:
    """Leads to the field of a problem, or mends it with a button that says `mend`."""
    if mend:
        return NextStep("improve", without_marks(problem.message), mend, "auto_fix_high", warning=problem)
    return NextStep(
        "mend", without_marks(problem.message), _("Show me"), "my_location", problem.node_id or "", problem.pointer
    )


def _behind_the_input(source: Node) -> NextStep:
    if source.type == "api_input" and not source.config.get("fields"):
        return NextStep(
            "describe_input",
            _("Say what callers send: add a field, like “text”. When they send nothing, add the next step at once."),
            _("Open API Input"),
            "edit",
            source.id,
            "/config/fields",
        )
    sentence = _("Add a step that does something with it: press + behind “{name}”.")
    return NextStep("add_step", sentence.format(name=source.name), _("Choose a step"), "add", source.id)


def _to_run(progress: Progress) -> NextStep | None:
    """What the last run asks for."""
    match progress.run:
        case "none":
            if not progress.filled:
                return NextStep("run", _("Try it: write an input below, then press Run."), _("Run"), "play_arrow")
            return NextStep("run", _("Try it: the input below is filled in."), _("Run"), "play_arrow")
        case "running" | "asks":
            asks = progress.run == "asks"
            said = _("Your answer is needed: approve or refuse it below.")
            return NextStep("wait", said if asks else _("It runs. Each step says when it is done."))
    if progress.changed:
        return NextStep("run_again", _("You changed the flow. See what it answers now."), _("Run"), "play_arrow")
    if progress.run == "stopped":
        return NextStep("run", _("The run was stopped. Try it again when you like."), _("Run"), "play_arrow")
    if progress.run == "failed":
        sentence = _("The run stopped at a step. See what happened and what to do.")
        return NextStep("look_at_failure", sentence, _("Show what happened"), "error")
    if not progress.looked:
        return NextStep("look", _("It answered. Is it what you wanted?"), _("Show the result"), "visibility")
    return None


def _to_publish(progress: Progress) -> NextStep:
    """What makes it an API."""
    if not progress.saved:
        return NextStep("save", _("Give it a name, and it stays under Saved Flows."), _("Save As"), "save")
    if progress.live_version is None:
        if not progress.may_deploy:
            return NextStep("save", _("It is saved. Ask an owner to deploy it, then others can call it."))
        return NextStep("deploy", _("Deploy it: then other programs can call it."), _("Deploy API"), "rocket_launch")
    if progress.live_differs:
        sentence = _("Callers still get version {number}. Update the API when your change is ready.")
        verb = _("Update API") if progress.may_deploy else ""
        return NextStep("update", sentence.format(number=progress.live_version), verb, "rocket_launch")
    if progress.wants_times and progress.may_deploy:
        sentence = _("It is live. Let it run by itself: choose the times.")
        return NextStep("schedule", sentence, _("Choose the times"), "schedule")
    if not progress.called:
        return NextStep("call", _("It is live. Send the first call."), _("Show how to call it"), "terminal")
    return NextStep("watch", _("It is live and was called. See how its calls go."), _("Open Monitoring"), "monitoring")
