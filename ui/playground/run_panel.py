"""The Run panel: an input form made from the API Input, Run and Stop, the steps as they happen, and their values."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from engine.actions.jobs import RunOptions, cancel_run, run_in_playground
from engine.errors import FlowInvalid, PayloadInvalid, Refusal
from engine.flow.contract import api_input, input_fields, payload_schema, sample_payload, samples_of
from engine.flow.edits import Op, update_node
from engine.ids import FlowId, JobId
from storage.jobs import read_value
from storage.steps import StepRow
from ui.forms.form import Form
from ui.forms.specs import specs_of_schema
from ui.look import feedback
from ui.look.ask import ask_text
from ui.look.code_view import value_view
from ui.look.frame import reader
from ui.look.parts import button, icon, icon_button, segments, status_badge, status_icon, words
from ui.look.text import _, cost, duration, number, tokens
from ui.playground.batch import SampleBatch
from ui.playground.point_at import pointing
from ui.playground.watch import Look, item_paths, look_at, statuses, step_of
from ui.visit import SignedOut, Visit

if TYPE_CHECKING:
    from ui.playground.draft import OpenDraft

#: A running job is looked at so often at most; the canvas gets one batch of changes each time.
LOOK_SECONDS = 0.1
#: The clock in the panel moves while nothing happens.
TICK_SECONDS = 0.4


class RunPanel:
    """Runs the draft. `on_status` gets what changed on the canvas, `on_look` every look at the job."""

    def __init__(
        self,
        visit: Visit,
        draft: OpenDraft,
        payload: dict[str, Any],
        *,
        on_status: Callable[[dict[str, Any] | None], None],
        on_open: Callable[[str], Awaitable[None]],
        on_edit: Callable[[Sequence[Op]], Awaitable[Any]],
    ) -> None:
        self.visit = visit
        self.draft = draft
        self.reader = reader()
        self.on_status = on_status
        self.on_open = on_open
        self.on_edit = on_edit
        self.payload: dict[str, Any] = payload
        self.touched = False
        self.job_id: JobId | None = None
        self.look: Look | None = None
        self.node_id: str | None = None
        #: Of a node that runs once per item: the item whose values are shown.
        self.index_path: str | None = None
        self.shown: dict[str, dict[str, Any]] = {}
        self.as_json = False
        self.fields: Any = None
        self.samples: list[dict[str, Any]] = []
        self.form: Form | None = None
        self._draw()

    # What other parts of the page ask.

    def document_changed(self) -> None:
        """The API Input's fields may have changed: the form follows, values that were typed stay."""
        fields = input_fields(self.draft.document)
        if fields == self.fields and samples_of(self.draft.document) == self.samples:
            return
        fresh = sample_payload(self.draft.document)
        if self.touched:
            names = {str(field.get("name")) for field in fields}
            self.payload = fresh | {name: value for name, value in self.payload.items() if name in names}
        else:
            self.payload = fresh
        self._draw_form()

    async def run(self, until: str | None = None) -> None:
        """Starts a run of what is on the canvas; `until` runs only this node and what it needs."""
        if self.running:
            return
        self.run_button.disable()
        try:
            job_id = await self.visit.do(
                run_in_playground,
                FlowId(self.draft.flow_id),
                self.draft.document,
                self.payload,
                RunOptions(until=until) if until else RunOptions(),
            )
        except PayloadInvalid as refusal:
            self._show_wrong_fields(refusal)
            return
        except FlowInvalid as refusal:
            first = refusal.problems[0]
            feedback.failed(
                _("The flow cannot run yet."),
                first.message,
                action=_("Show me") if first.node_id else "",
                on_action=lambda: self.on_open(first.node_id or ""),
            )
            return
        except Refusal as refusal:
            feedback.refused(refusal)
            return
        finally:
            self.run_button.enable()
        self.watch(job_id)

    def watch(self, job_id: JobId) -> None:
        """Shows this job from now on until it ends."""
        self.job_id, self.look, self.shown = job_id, None, {}
        self.on_status(None)
        self.value_box.clear()
        background_tasks.create(self._follow(job_id), name=f"run panel {job_id}")

    async def stop(self) -> None:
        """Cancels the run; the panel says cancelling until the work has stopped."""
        if self.job_id is not None:
            await self.visit.try_do(cancel_run, self.job_id)

    @property
    def running(self) -> bool:
        """True while a run goes on."""
        return self.job_id is not None and (self.look is None or not self.look.job.ended)

    async def step_value(self, node_id: str, name: str) -> Any:
        """`input` or `output` of a node in the last run, None when it did not run."""
        if self.job_id is None or self.look is None:
            return None
        step = step_of(self.look, node_id, self.index_path if node_id == self.node_id else None)
        if step is None:
            return None
        job_id = self.job_id
        return await self.visit.see(
            lambda session, _workspace: read_value(session, job_id, name, node_id, step.index_path)
        )

    # Drawing.

    def _draw(self) -> None:
        with ui.element("section").classes("fp-runp") as panel:
            panel.props["aria-label"] = _("Run")
            with ui.element("div").classes("fp-rh"):
                words(_("Run"), tag="h2")
                self.state = ui.element("span").classes("fp-row").props("role=status")
                words("", "fp-sp")
                self.run_button = button(_("Run"), self.run_clicked, icon="play_arrow", small=True)
                self.run_button.props("title='Ctrl+Enter'")
                self.stop_button = button(_("Stop"), self.stop, icon="stop", small=True)
                self.stop_button.visible = False
            with ui.element("div").classes("fp-rb"):
                self.form_box = ui.element("div").classes("fp-rc")
                self.steps_box = ui.element("div").classes("fp-rc fp-rl").props("tabindex=0 role=region")
                self.steps_box.props["aria-label"] = _("Steps")
                self.value_box = ui.element("div").classes("fp-rc").props("tabindex=0 role=region")
                self.value_box.props["aria-label"] = _("Value")
        self._draw_form()
        with self.steps_box:
            words(_("Press Run to see every step here."), "fp-t2", tag="p").style("padding: 8px")

    async def run_clicked(self) -> None:
        """Run from the button."""
        await self.run()

    def _draw_form(self) -> None:
        self.fields = input_fields(self.draft.document)
        self.form = None
        self.form_box.clear()
        with self.form_box:
            with ui.element("div").classes("fp-lab"):
                words(_("Input"))
                words("", "fp-sp")
                segments(
                    {"form": _("Form"), "json": "JSON"},
                    "json" if self.as_json else "form",
                    self._switch,
                    label=_("Input as"),
                )
            self._draw_samples()
            if self.as_json:
                self._draw_json()
            elif self.fields:
                self.form = Form(specs_of_schema(payload_schema(self.fields)), self.payload, self._changed, types=True)
            else:
                words(_("This flow takes no input yet. Add an API Input and define its fields."), "fp-t2", tag="p")

    def _draw_samples(self) -> None:
        """The flow's saved samples; choosing one fills the form."""
        samples = samples_of(self.draft.document)
        self.samples = samples
        if not samples and not self.touched:
            return
        with ui.element("div").classes("fp-row").style("margin-bottom: 9px"):
            if samples:
                names = {
                    number: str(sample.get("title") or f"{_('Sample')} {number + 1}")
                    for number, sample in enumerate(samples)
                }
                chosen = next(
                    (number for number, sample in enumerate(samples) if sample.get("payload") == self.payload), None
                )
                choice = ui.select(names, value=chosen, on_change=lambda event: self._choose_sample(event.value))
                choice.props("outlined dense options-dense").style("flex: 1; min-width: 0")
                choice.props["aria-label"] = _("Sample")
            if len(samples) > 1:
                icon_button("playlist_play", _("Run all samples"), self._run_samples)
            if self.visit.may("edit flows") and self.fields:
                icon_button("bookmark_add", _("Keep this input as a sample"), self._keep_sample)

    def _choose_sample(self, number: Any) -> None:
        if isinstance(number, int) and number < len(self.samples):
            self.payload, self.touched = dict(self.samples[number].get("payload") or {}), True
            self._draw_form()

    async def _run_samples(self) -> None:
        self.value_box.clear()
        with self.value_box:
            batch = SampleBatch(self.visit, self.draft.flow_id, self.draft.document, on_open=self._show_run)
        await batch.run()

    async def _show_run(self, job_id: JobId) -> None:
        self.watch(job_id)

    async def _keep_sample(self) -> None:
        title = await ask_text(_("Keep this input"), _("Title"), f"{_('Sample')} {len(self.samples) + 1}", _("Keep"))
        node = api_input(self.draft.document)
        if title and node is not None:
            samples = [*samples_of(self.draft.document), {"title": title, "payload": self.payload}]
            await self.on_edit([update_node(node, config={**node.config, "samples": samples})])
            self._draw_form()

    def _draw_json(self) -> None:
        text = ui.textarea(value=json.dumps(self.payload, indent=2, ensure_ascii=False)).props("outlined autogrow")
        text.classes("fp-mono").props["aria-label"] = _("Input as JSON")

        def typed() -> None:
            try:
                value = json.loads(text.value or "{}")
            except ValueError as error:
                text.props(f"error error-message={json.dumps(f'This is not valid JSON: {error}')}")
                return
            text.props(remove="error error-message")
            if isinstance(value, dict):
                self.payload, self.touched = value, True

        text.on("blur", typed)

    def _switch(self, to: str) -> None:
        self.as_json = to == "json"
        self._draw_form()

    def _changed(self, pointer: str, value: Any) -> None:
        if self.form is not None:
            self.payload, self.touched = self.form.value, True

    def _show_wrong_fields(self, refusal: PayloadInvalid) -> None:
        if self.form is not None:
            self.form.show_errors({error.pointer: error.detail for error in refusal.errors})
        feedback.refused(refusal)

    async def _follow(self, job_id: JobId) -> None:
        """Looks at the job until it ends, another run begins, or the page goes away."""
        async with self.visit.app.hub.subscribe(job_id) as changes:
            while self.job_id == job_id and not self.steps_box.is_deleted:
                try:
                    look = await self.visit.see(look_at, job_id, -1 if self.look is None else self.look.job.last_seq)
                except SignedOut:
                    return
                if self.job_id != job_id or self.steps_box.is_deleted:
                    return
                if look is not None:
                    self.look = look
                    self._show(look)
                    if look.job.ended:
                        return
                elif self.look is not None:
                    self._show_state(self.look)
                await asyncio.sleep(LOOK_SECONDS)
                await changes.wait(TICK_SECONDS)

    def _show(self, look: Look) -> None:
        fresh = statuses(look, self.draft.document, self.reader)
        changed = {node_id: status for node_id, status in fresh.items() if self.shown.get(node_id) != status}
        if look.job.ended:
            changed |= dict.fromkeys([node_id for node_id in self.shown if node_id not in fresh])
        self.shown = fresh
        if changed:
            self.on_status(changed)
        self._show_state(look)
        self._show_steps(look)
        if look.job.ended:
            background_tasks.create(self._show_end(look), name="run panel end")

    def _show_state(self, look: Look) -> None:
        job = look.job
        self.stop_button.visible = not job.ended
        self.run_button.visible = job.ended
        state = "cancelling" if job.cancel_requested_at and not job.ended else job.status
        end = job.completed_at or self.visit.app.database.clock.now()
        spent = [duration(max(0, end - (job.started_at or job.created_at)) / 1000, self.reader)]
        if job.model_calls:
            spent += [tokens(job.input_tokens + job.output_tokens, self.reader)]
            spent += [cost(None if job.cost_nanos is None else job.cost_nanos / 1e9, self.reader)]
        self.state.clear()
        with self.state:
            status_badge(state)
            if job.simulated:
                status_badge("simulated")
            words(" · ".join(spent), "fp-t2 fp-num fp-nw")

    def _show_steps(self, look: Look) -> None:
        """One row a node: a list may have thousands of steps."""
        labels = {node.id: node.name for node in self.draft.document.nodes}
        self.steps_box.clear()
        with self.steps_box:
            for node_id in dict.fromkeys(step.node_id for step in look.steps):
                shown = self.shown.get(node_id) or {}
                with ui.element("button").classes("fp-rs").props("type=button") as row:
                    if node_id == self.node_id:
                        row.classes("fp-on")
                    status_icon("completed" if shown.get("state") == "done" else str(shown.get("state") or "completed"))
                    words(labels.get(node_id, node_id), "fp-cut")
                    words("", "fp-sp")
                    if shown.get("total"):
                        words(str(shown["word"]), "fp-s12 fp-num fp-nw fp-t2")
                    words(str(shown.get("time") or ""), "fp-tm fp-s12 fp-num fp-t2")
                row.on("click", lambda _event, node_id=node_id: self._open_step(node_id))

    async def _open_step(self, node_id: str) -> None:
        self.node_id, self.index_path = node_id, None
        if self.look:
            self._show_steps(self.look)
        await self._show_value(node_id)
        await self.on_open(node_id)

    async def _show_end(self, look: Look) -> None:
        job = look.job
        if job.status == "failed" and job.error:
            self.value_box.clear()
            with self.value_box:
                self._error_card(job.error)
            return
        job_id = job.id
        result = await self.visit.see(lambda session, _workspace: read_value(session, job_id, "result"))
        if self.value_box.is_deleted:
            return
        self.value_box.clear()
        with self.value_box:
            value_view(result, label=_("Result"))

    def _item_row(self, step: StepRow) -> None:
        """Which item's values are shown, and the way to its neighbours."""
        assert self.look is not None
        paths = item_paths(self.look, step.node_id)
        at = paths.index(step.index_path)

        async def go(to: int) -> None:
            self.node_id, self.index_path = step.node_id, paths[to]
            await self._show_value(step.node_id)

        with ui.element("div").classes("fp-row"):
            status_icon(step.status)
            where = " · ".join(number(part + 1, self.reader) for part in step.index)
            words(f"{_('Item')} {where}", "fp-num")
            words(f"{number(at + 1, self.reader)} {_('of')} {number(len(paths), self.reader)}", "fp-t2 fp-s12 fp-num")
            words("", "fp-sp")
            before = icon_button("chevron_left", _("Item before"), lambda: go(at - 1))
            after = icon_button("chevron_right", _("Next item"), lambda: go(at + 1))
            before.set_enabled(at > 0)
            after.set_enabled(at + 1 < len(paths))

    def _error_card(self, error: dict[str, Any]) -> None:
        label = error.get("node_label") or _("The run")
        node_id = error.get("node_id")
        card = feedback.error_card(
            f"{label} {_('failed')}",
            happened=str(error.get("message", "")),
            why=str(error.get("why", "")),
            todo=str(error.get("remedy", "")),
            code=str(error.get("code", "")),
            copy_label=_("Copy with job id"),
            copy_text=f"{self.job_id}\n{json.dumps(error, ensure_ascii=False, indent=2)}",
        )
        if isinstance(node_id, str):
            with card.actions:
                button(f"{_('Open')} {label}", lambda: self.on_open(node_id), small=True)

    async def _show_value(self, node_id: str) -> None:
        step = step_of(self.look, node_id, self.index_path) if self.look else None
        if step is None:
            return
        value = await self.step_value(node_id, "output")
        given = await self.step_value(node_id, "input")
        node = self.draft.document.node(node_id)
        self.value_box.clear()
        with self.value_box:
            with ui.element("div").classes("fp-row"):
                words(node.name if node else node_id, tag="h3")
                if step.simulated:
                    status_badge("simulated")
                words("", "fp-sp")
                if step.model_calls:
                    price = None if step.cost_nanos is None else step.cost_nanos / 1e9
                    words(f"{tokens(step.input_tokens + step.output_tokens)} · {cost(price)}", "fp-t2 fp-s12 fp-num")
            if step.index_path:
                self._item_row(step)
            for warning in step.warnings:
                with ui.element("p").classes("fp-warn fp-s12 fp-row"):
                    icon("warning", size=14)
                    words(warning)
            if step.error:
                self._error_card(step.error)
            else:
                editable = self.on_edit if self.visit.may("edit flows") else None
                _strip, pick = pointing(lambda: self.draft.document, node_id, editable)
                value_view(value, label=_("Output"), on_pick=pick)
            value_view(given, label=_("Input"))
