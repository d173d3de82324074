"""The tab "Set up" of a node: its settings, its inputs (`inputs_section.py`), and what happens when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import jsonpointer
from msgspec.structs import replace
from nicegui import background_tasks, ui

from engine.core.errors import Problem
from engine.flow.called_flows import AGENT
from engine.flow.contract import input_fields, payload_schema
from engine.flow.document import Node
from engine.flow.edits import Op, update_node
from engine.flow.flow_warnings import FlowWarning
from engine.flow.node_type import Catalog, NodeType
from engine.flow.ways import LOOK_UP
from ui.forms.form import Form
from ui.forms.specs import ABSENT, Absent, FieldSpec, specs_of_model, specs_of_schema
from ui.forms.values import get_at, with_value
from ui.kit.parts import button, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.ask_owners import asking
from ui.parts.mending import COLLECTED, with_button
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.inspector.called_flow_fields import CalledFields
from ui.playground.inspector.collection_choice import CollectionChoice
from ui.playground.inspector.curl_paste import paste_button
from ui.playground.inspector.dataset_choice import DatasetChoice
from ui.playground.inspector.failure_policy import Failing
from ui.playground.inspector.fields_from_example import ask_for_example
from ui.playground.inspector.fixed_value import ATTRIBUTE, SETTING, draw_fixed_value
from ui.playground.inspector.inputs_section import InputsSection
from ui.playground.inspector.item_field_choice import ItemFieldChoice
from ui.playground.inspector.model_picker import ModelPicker
from ui.playground.inspector.output_offers import OutputOffers
from ui.playground.inspector.pattern_choice import PatternChoice
from ui.playground.inspector.person_fields import PersonFields
from ui.playground.inspector.problem_list import Mend, ProblemList
from ui.playground.inspector.renaming import NewName, Rename, with_readers
from ui.playground.inspector.secret_headers import SecretHeaders
from ui.playground.inspector.tool_choice import ToolChoice
from ui.playground.state.item_fields import item_fields
from ui.playground.state.last_run import LastRun

#: Settings that are shown above the inputs; the others are shown below. What happens with a row that is there already
#: decides what is filled in.
_FIRST = frozenset({"model", "method", "dataset", "collection", "flow_id"})
_FIRST_OF = {"dataset_sink": _FIRST | {"mode", "key_column"}, LOOK_UP: _FIRST | {"column"}}
#: Browser handler: Enter in a box of one line leaves it for a moment, so that what was typed last is sent before the name
#: counts as typed. The script is constant.
_LEAVE = """(event) => {
  const box = event.target;
  if (!box.matches("input:not([readonly], [type=checkbox], [role=combobox])") || event.isComposing) return;
  box.blur();
  box.focus();
}"""
#: Browser handler: a box that is left by a script sends its text only after the script.
_WAS_LEFT = "() => setTimeout(() => emit())"


class SetUpTab:
    """Drawn once for a node. Edits made elsewhere update its fields where the fields stay the same."""

    def __init__(
        self,
        page_session: PageSession,
        draft: OpenDraft,
        node: Node,
        kind: NodeType,
        *,
        last_run: LastRun,
        edit: Edit,
        catalog: Catalog,
        item: int,
    ) -> None:
        self.page_session = page_session
        self.draft = draft
        self.node_id = node.id
        self.kind = kind
        self.last_run = last_run
        self.edit = edit
        self.item = item
        self.readonly = not page_session.may("edit flows")
        self.inputs: InputsSection | None = None
        self.forms: list[Form] = []
        self.failing: Failing | None = None
        self.pattern_choice: PatternChoice | None = None
        self.secrets = SecretHeaders(page_session, lambda: self.node.inputs.get("url") if self.node else None)
        self.called = CalledFields(page_session, draft, node)
        self.datasets = DatasetChoice(page_session, lambda: self.node)
        self.collections = CollectionChoice(page_session)
        self.tools = ToolChoice(page_session, draft.flow_id, lambda: self.node)
        self.item_fields = ItemFieldChoice()
        self.person_fields = PersonFields(lambda: self.node)
        self.catalog = catalog
        #: The new name of a field which other steps read, until it is typed and asked about.
        self._held: NewName | None = None
        self._asked_name: NewName | None = None
        #: Pointers of settings whose problem was clicked.
        self._asked: set[str] = set()
        self._shown: tuple[Sequence[Problem], Sequence[FlowWarning], Mend | None] = ((), (), None)
        self._editing = asyncio.Lock()  # edits wait while it is asked about a rename
        self._waiting = 0  # edits that are not made yet
        self.models = ModelPicker(page_session, draft.flow_id)

    @property
    def node(self) -> Node | None:
        """The node in the current document."""
        return self.draft.document.node(self.node_id)

    async def draw(self) -> None:
        """Draws the tab into the current container."""
        node = self.node
        assert node is not None
        if self.readonly:
            words(asking(self.page_session, _("Editors and owners can change this.")), "fp-hint", tag="p")
        self.problems = ProblemList(readonly=self.readonly)
        if node.type == "http_request" and not self.readonly:
            paste_button(self.page_session, lambda: self.node, self.edit, self._filled)
        specs = await self._specs()
        await self.called.load()
        await self.datasets.load(node)
        await self.collections.load(node)
        await self.tools.load(node)
        first = _FIRST_OF.get(node.type, _FIRST)
        self._draw_form([spec for spec in specs if spec.name in first])
        if self.called.is_call:
            self.called_box = ui.element("div").classes("fp-stack")
            with self.called_box:
                self.called.draw(node)
        if self.kind.inputs.model_fields or self.kind.free_form:
            self.inputs = InputsSection(
                self.page_session,
                self.draft,
                node,
                self.kind,
                last_run=self.last_run,
                edit=self._edit_input,
                catalog=self.catalog,
                item=self.item,
                fields=self.called.fields(node),
            )
        rest = sorted((spec for spec in specs if spec.name not in first), key=lambda spec: not _is_early(spec))
        if node.type == "api_input" and not self.readonly:
            self._draw_example()
        if node.type == "extract_pattern":
            self.pattern_choice = PatternChoice(self._pattern, self._write_pattern, readonly=self.readonly)
        with_fields = [spec for spec in rest if _is_early(spec)]
        self._draw_form(with_fields or rest)
        self.offers = OutputOffers(
            self.draft, self.node_id, self.catalog, self.edit, self.follow, readonly=self.readonly
        )
        self._draw_form([spec for spec in rest if with_fields and not _is_early(spec)])
        if self.kind.type not in {"api_input", "api_output"}:
            self.failing = Failing(
                self.kind, lambda: self.node, lambda op: self._edit_soon(lambda _node: op), readonly=self.readonly
            )
        await self.look_again()

    async def look_again(self) -> None:
        """Reads the last run again and redraws available data, suggestions, previews and cost."""
        if self.inputs is not None:
            await self.inputs.look_again()
        await self.datasets.look_again()
        self._offer_item_fields()

    @property
    def is_behind(self) -> bool:
        """True when nodes or connections were added, removed or renamed since the available data was last drawn."""
        return self.inputs is not None and self.inputs.is_behind

    # Calls from the inspector.

    def show_problems(
        self, problems: Sequence[Problem], warned: Sequence[FlowWarning] = (), mend: Mend | None = None
    ) -> None:
        """Shows each problem at its field; warnings, and problems without a field, are listed above the fields."""
        self._shown = (problems, warned, mend)
        mine = [problem for problem in problems if problem.node_id == self.node_id]
        if self.inputs is not None:
            self.inputs.show_problems(mine)
        in_settings = {
            one.pointer.removeprefix("/config"): one.message
            for one in mine
            if one.pointer.startswith("/config/") and not self._is_quiet(one)
        }
        for form in self.forms:
            form.show_errors({pointer: text for pointer, text in in_settings.items() if _has(form, pointer)})
        # One button mends all fields of one kind of problem: it stands once, above the fields.
        offered = (with_button(one, self.draft.document) for one in mine if one.code in COLLECTED)
        mended = {one.problem.code: one for one in offered if one.verb}
        apart = [one for one in mine if not self._has_field(one) and one.code not in mended]
        warnings = [one for one in warned if one.problem.node_id == self.node_id]
        self.problems.show(apart, [*mended.values(), *warnings], mend)
        self.offers.show()

    def _has_field(self, problem: Problem) -> bool:
        """True when a problem is shown at its field."""
        in_inputs = self.inputs is not None and self.inputs.has_field(problem.pointer)
        return problem.pointer.startswith("/config/") or in_inputs

    def _is_quiet(self, problem: Problem) -> bool:
        """True for a setting that was not made yet, until somebody clicked its problem."""
        node = self.node
        if problem.blocks_import or node is None or problem.pointer in self._asked:
            return False
        value = get_at(node.config, problem.pointer.removeprefix("/config"))
        return isinstance(value, Absent) or value in (None, "", [])

    def follow(self) -> bool:
        """Updates the fields after another tab or an undo changed the node. False when the tab must be drawn again."""
        node = self.node
        if node is None or self.called.is_stale(node):
            return False
        if self.inputs is not None:
            self.inputs.follow(node)
        config = self._held.put_in(node.config) if self._held is not None else node.config
        # a field that is now at another place in the list stays under the keyboard until its name is typed
        moved = self._held is not None and get_at(config, self._held.pointer) != self._held.new
        self._fit_count(config)
        for form in self.forms:
            if moved and self._held is not None and _has(form, self._held.pointer):
                continue
            shown = form.value
            if any(shown.get(spec.name) != config.get(spec.name) for spec in form.specs):
                form.set_value(config)
        if self.failing:
            self.failing.follow(node.policy)
        self._follow_pattern()
        self.datasets.offer_keys()
        return True

    def focus(self, pointer: str) -> None:
        """Moves the keyboard focus into the field that a problem concerns."""
        if pointer.startswith("/inputs/") and self.inputs:
            self.inputs.focus(pointer)
        elif pointer.startswith("/config/"):
            wanted = pointer.removeprefix("/config")
            self._asked.add(pointer)
            self.show_problems(*self._shown)
            for form in self.forms:
                if _has(form, wanted):
                    form.focus(wanted)
        elif pointer.startswith("/policy") and self.failing:
            self.failing.focus(pointer.removeprefix("/policy"))

    async def _filled(self) -> None:
        await self.secrets.load()  # the pasted curl command may have created secrets
        node = self.node
        if node is None or self.inputs is None:
            return
        self.inputs.put(dict(node.inputs))
        for form in self.forms:
            form.set_value(node.config)
        self.inputs.preview_soon()

    # Settings.

    def _pattern(self) -> str:
        pattern = self.node.config.get("pattern") if self.node else None
        return pattern if isinstance(pattern, str) else ""

    def _follow_pattern(self) -> None:
        """Shows the choice that writes the pattern. While an edit waits, the pattern is older than the words typed."""
        if self.pattern_choice and not self._waiting:
            self.pattern_choice.follow()

    def _write_pattern(self, pattern: str) -> None:
        for form in self.forms:
            form.write("/pattern", pattern)

    async def _specs(self) -> list[FieldSpec]:
        """The fields of the settings, with the model as a choice among the workspace's models."""
        specs = self._with_sample_fields(list(specs_of_model(self.kind.config)))
        specs = self._with_count(specs, self.node.config if self.node else {})
        if any(spec.widget == "secrets" for spec in specs) or self.kind.type == AGENT:
            await self.secrets.load()
        if any(spec.widget == "model" for spec in specs):
            await self.models.load()
        return await self.called.offered(specs)

    def _with_count(self, specs: Sequence[FieldSpec], config: Mapping[str, Any]) -> list[FieldSpec]:
        """The settings without how many rows are taken, where Read rows takes all of them."""
        takes_all = self.kind.type == "dataset_source" and config.get("take", "all") == "all"
        return [one for one in specs if not (takes_all and one.name == "count")]

    def _fit_count(self, config: Mapping[str, Any]) -> None:
        """Shows how many rows are taken where it counts."""
        for form in self.forms:
            if self.kind.type == "dataset_source" and any(one.name == "take" for one in form.specs):
                every = [one for one in specs_of_model(self.kind.config) if one.name not in _FIRST]
                specs = self._with_count(every, config)
                if len(specs) != len(form.specs):
                    form.reshape(specs, {**config, **form.value})

    def _with_sample_fields(self, specs: Sequence[FieldSpec]) -> list[FieldSpec]:
        """The settings of an API Input, with a box for each of its fields in a sample."""
        node = self.node
        if node is None or node.type != "api_input":
            return list(specs)
        inside = specs_of_schema(payload_schema(input_fields(self.draft.document)))
        return [
            replace(one, fields=_with_payload(one.fields, inside)) if one.name == "samples" else one for one in specs
        ]

    def _draw_form(self, specs: list[FieldSpec]) -> None:
        node = self.node
        if specs and node is not None:
            widgets = {
                "secrets": self.secrets.draw,
                "model": self.models.draw,
                "text": draw_fixed_value,
                **self.datasets.widgets,
                **self.collections.widgets,
            }
            widgets |= {**self.tools.widgets, **self.item_fields.widgets, **self.person_fields.widgets}
            titles = {one.id: one.name for one in (*self.datasets.known, *self.collections.known)}
            form = Form(
                specs,
                node.config,
                self._config_changed,
                widgets=widgets,
                read_only=self.readonly,
                titles=titles | dict(self.tools.flows),
            )
            form.element.props[ATTRIBUTE] = SETTING
            form.element.on("focusout", self._settle, js_handler=_WAS_LEFT)
            form.element.on("keydown.enter", js_handler=_LEAVE)
            self.forms.append(form)

    def _config_changed(self, pointer: str, new: Any) -> None:
        name = pointer.split("/")[1]
        form = next((one for one in self.forms if any(spec.name == name for spec in one.specs)), None)
        node = self.node
        if node is None or form is None:
            return
        value = form.value.get(name, ABSENT)
        if name == "take":
            self._fit_count({**node.config, "take": value})
        held = self._held
        if held is not None and pointer == held.pointer:
            self._held = NewName(pointer, held.old, new)  # also the old name: it may be asked about another one
            return
        if held is not None and not held.pointer.startswith(f"/{name}/"):
            held = None  # another setting: the name is still being typed
        else:
            self._held = None
        op = _set(node, name, value)
        if op is None and not self._waiting:
            return  # while an edit waits, it may change the setting to another value
        if op is not None and pointer.endswith("/name") and Rename(self.draft.document, op, self.catalog):
            # other steps read the old name: the edit waits until the new one is typed
            self._held = NewName(pointer, get_at(node.config, pointer), get_at(op["after"]["config"], pointer))
            return
        self._edit_soon(lambda node: _set(node, name, value), is_rename=held is not None)

    def _reshape_samples(self) -> None:
        """Shows the fields that the API Input has now in its samples."""
        for form in self.forms:
            specs = self._with_sample_fields(form.specs)
            if specs != list(form.specs):
                form.reshape(specs, form.value)

    def _settle(self) -> None:
        """Makes the edit of a renamed field once its name is typed, after a question about the steps that read it."""
        held = self._held
        if held is not None and held is not self._asked_name:
            self._asked_name = held
            self._edit_soon(lambda node: _renamed(node, held), is_rename=True)

    def _go_on_typing(self, held: NewName, *, done: bool) -> None:
        """Goes on with what was typed while it was asked: it renames the field that has the name asked about now."""
        typed = self._held
        if typed is held:
            self._held = None
        elif done and typed is not None and typed.pointer == held.pointer:
            self._held = NewName(typed.pointer, held.new, typed.new) if typed.new != held.new else None
            if typed is self._asked_name:  # the box was left before the answer
                self._settle()

    async def _edit_input(self, ops: Sequence[Op]) -> bool:
        done = await self.edit(ops)
        if len(ops) > 1:
            self.follow()  # a renamed field may be named in the settings of this node, too
        self._offer_item_fields()  # another list may have been bound
        self.person_fields.offer()
        self.datasets.offer_keys()
        return done

    def _offer_item_fields(self) -> None:
        node = self.node
        if node is not None and node.type == "dataset_source":
            self.item_fields.offer(self.datasets.columns_of(node), _("In the rows:"))
        elif node is not None and self.inputs is not None and "items" in self.kind.inputs.model_fields:
            outputs = self.inputs.previews.outputs
            self.item_fields.offer(item_fields(node, self.draft.document, self.catalog, outputs), _("In the items:"))

    def _draw_example(self) -> None:
        async def ask() -> None:
            fields, sample = await ask_for_example(self.node)
            node = self.node
            if fields is None or node is None:
                return
            config = {**node.config, "fields": fields}
            if sample is not None:
                config["samples"] = [*(node.config.get("samples") or []), sample]
            if await self.edit([update_node(node, config=config)]):
                self.follow()

        with ui.element("div").classes("fp-row"):
            button(_("From an example"), ask, icon="content_paste", small=True)
            words(
                _("Paste what a program sends (JSON, or a curl line); the fields are drafted for you."), "fp-t3 fp-s12"
            )

    def _edit_soon(self, change: Callable[[Node], Op | None], *, is_rename: bool = False) -> None:
        """Applies a change of a form in the background: forms call this without waiting, and the draft applies changes
        in order. `change` makes the edit of the node as it is then; None when there is nothing to change.
        """

        def make() -> Op | None:
            node = self.node
            return change(node) if node is not None else None

        async def edit() -> None:
            async with self._turn():
                asked = False
                if is_rename:
                    ops, asked = await with_readers(lambda: self.draft.document, make, self.catalog, layout)
                else:
                    op = make()
                    ops = [op] if op is not None else []
                with layout:
                    done = bool(await self.edit(ops)) and bool(ops)
            if is_rename and held is not None:
                self._go_on_typing(held, done=done)
            if self.problems.box.is_deleted:
                return
            if asked or held is not None:
                self.follow()  # what others have changed while it was asked
            self._reshape_samples()
            self._follow_pattern()
            self._offer_item_fields()  # another dataset may have been chosen
            self.datasets.offer_keys()
            with self.problems.box:
                await self._another_flow()
                if self.inputs is not None:
                    self.inputs.preview_soon()

        self._waiting += 1
        held = self._held
        layout = self.problems.box.client.layout  # the question stays when another step is selected
        background_tasks.create(edit(), name="inspector edit")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The turn of an edit among those that wait."""
        try:
            async with self._editing:
                yield
        finally:
            self._waiting -= 1

    async def _another_flow(self) -> None:
        """Draws the fields of the newly chosen flow in place of the previous one's."""
        node = self.node
        if node is None or self.inputs is None or not self.called.is_stale(node):
            return
        await self.called.load()
        if self.called_box.is_deleted:
            return
        self.called_box.clear()
        with self.called_box:
            self.called.draw(node)
        self.inputs.take_fields(self.called.fields(node))


def _set(node: Node, name: str, value: Any) -> Op | None:
    """The edit that gives a setting this value and leaves the others; None when it has it."""
    config = with_value(node.config, f"/{jsonpointer.escape(name)}", value)
    return update_node(node, config=config) if config != node.config else None


def _renamed(node: Node, name: NewName) -> Op | None:
    config = name.put_in(node.config)
    return update_node(node, config=config) if config != node.config else None


def _is_early(spec: FieldSpec) -> bool:
    """True for settings that stand right after the inputs: output fields, and the tools of an agent."""
    return spec.widget == "fields" or spec.name == "tools"


def _has(form: Form, pointer: str) -> bool:
    return any(pointer == f"/{spec.name}" or pointer.startswith(f"/{spec.name}/") for spec in form.specs)


def _with_payload(fields: Sequence[FieldSpec], inside: tuple[FieldSpec, ...]) -> tuple[FieldSpec, ...]:
    """The fields of a sample; its request body is a group when the API Input has fields."""
    if not inside:
        return tuple(fields)
    return tuple(replace(one, kind="group", fields=inside) if one.name == "payload" else one for one in fields)
