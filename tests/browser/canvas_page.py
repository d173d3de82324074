"""A small page with the canvas element for the browser tests: `python canvas_page.py PORT`.

The server keeps one document per flow id in memory and answers the canvas as the Playground does. `/document/{flow}` and
`/log/{flow}` return what arrived, `/call/{flow}` calls a method of the element, so that a test reads the server's state.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import ui
from starlette.staticfiles import StaticFiles

from engine.flow.document import Document, Position
from engine.flow.edits import add_node
from engine.nodes import CATALOG
from ui.playground.canvas.canvas_element import EditableCanvas

ROOT = Path(__file__).resolve().parent.parent.parent


def _type(title: str, icon: str, group: str, ports: tuple[str, ...] = ("out",), *, accepts_input: bool = True) -> dict:
    return {
        "title": title,
        "icon": icon,
        "group": group,
        "tooltip": title,
        "ports": list(ports),
        "accepts_input": accepts_input,
    }


TYPES = {
    "api_input": _type("API Input", "input", "io", accepts_input=False),
    "api_output": _type("API Output", "output", "io", ()),
    "page_scraper": _type("Page Scraper", "article", "web"),
    "website_mapper": _type("Website Mapper", "travel_explore", "web"),
    "prompt": _type("Prompt", "auto_awesome", "ai"),
    "array_splitter": _type("For each item", "alt_route", "lists"),
    "array_flatten": _type("Collect into a list", "merge", "lists"),
    "set_fields": _type("Set Fields", "edit_square", "transform"),
    "condition": _type("Condition", "call_split", "logic", ("yes", "no")),
    "approval": _type("Approval", "how_to_reg", "logic", ("approved", "refused")),
}


class Flow:
    """One flow: parts by kind and id, a revision, and the canvases that show it."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, dict]] = {"Node": {}, "Edge": {}, "Note": {}}
        self.rev = 0
        self.log: list[dict] = []
        self.canvases: list[EditableCanvas] = []
        self.seen: set[tuple[str, int]] = set()

    def apply(self, ops: list[dict]) -> int:
        for op in ops:
            verb, kind = op["op"][:-4], op["op"][-4:]
            if verb == "update":
                part = self.parts[kind][op["id"]]
                part.update(op["after"])
            elif verb == "add":
                self.parts[kind][op[kind.lower()]["id"]] = dict(op[kind.lower()])
            else:
                del self.parts[kind][op[kind.lower()]["id"]]
        self.rev += 1
        return self.rev

    def new_id(self, stem: str) -> str:
        taken = {**self.parts["Node"], **self.parts["Note"]}
        return next(
            name for number in range(1, 999) if (name := stem if number == 1 else f"{stem}_{number}") not in taken
        )

    def as_json(self) -> dict:
        return {
            "rev": self.rev,
            "nodes": list(self.parts["Node"].values()),
            "edges": list(self.parts["Edge"].values()),
            "notes": list(self.parts["Note"].values()),
        }


flows: dict[str, Flow] = defaultdict(Flow)
app = FastAPI()
app.mount("/look", StaticFiles(directory=ROOT / "assets"))


@app.get("/document/{name}")
def document(name: str) -> dict:
    return flows[name].as_json()


@app.put("/document/{name}")
def put_document(name: str, graph: dict[str, Any]) -> None:
    flow = flows[name]
    for kind in flow.parts:
        flow.parts[kind] = {part["id"]: part for part in graph.get(f"{kind.lower()}s", [])}


@app.get("/log/{name}")
def log(name: str) -> list[dict]:
    return flows[name].log


@app.post("/call/{name}")
async def call(name: str, body: dict[str, Any]) -> Any:
    answer = None
    for canvas in flows[name].canvases:
        if not canvas.is_deleted:
            answer = getattr(canvas, body["method"])(*body.get("args", []), **body.get("options", {}))
    return await answer if body.get("wait") and answer is not None else None


class Watched:
    """One browser tab: the canvas and the server's answers to it."""

    def __init__(self, flow: Flow, name: str, *, readonly: bool) -> None:
        self.flow = flow
        self.canvas = EditableCanvas(
            name,
            node_types=TYPES,  # pyright: ignore[reportArgumentType]
            readonly=readonly,
            client_id=ui.context.client.id,
            on_kept=self._kept_arrived,
            on_ready=self._ready,
            on_change=self._changed,
            on_add_request=self._add,
            on_paste_request=self._paste,
            on_note_request=self._note,
            **{  # pyright: ignore[reportArgumentType]
                f"on_{event}": lambda message, event=event: flow.log.append({"event": event, **message})
                for event in (
                    "select",
                    "invalid",
                    "open",
                    "run_request",
                    "save_request",
                    "search_request",
                    "traffic_request",
                )
            },
        )
        self.kept: list[dict] = []
        flow.canvases.append(self.canvas)

    def _kept_arrived(self, message: dict) -> None:
        self.kept.append(message)

    def _ready(self, message: dict) -> None:
        self.flow.log.append({"event": "ready", **message, "messages": self.kept})
        assert len(self.kept) == message["kept"]
        for kept in self.kept:
            self._take(kept)
        self.canvas.load_graph(self.flow.as_json())

    def _take(self, message: dict) -> None:
        if (edit := (message["clientId"], message["seq"])) not in self.flow.seen:
            self.flow.seen.add(edit)
            self.flow.apply(message["ops"])
            for other in self.flow.canvases:
                if other is not self.canvas and not other.is_deleted:
                    other.apply_ops(message["ops"], self.flow.rev)

    def _changed(self, message: dict) -> None:
        self.flow.log.append({"event": "change", **message})
        self._take(message)
        # the test added a note with this id: the server does not acknowledge the change
        if self.flow.parts["Note"].get("deaf") is None:
            self.canvas.ack(message["seq"], self.flow.rev)

    def _edit(self, ops: list[dict], select: list[str]) -> None:
        rev = self.flow.apply(ops)
        for canvas in self.flow.canvases:
            if not canvas.is_deleted:
                mine = canvas is self.canvas
                canvas.apply_ops(ops, rev, history=mine, select=select if mine else None)

    def _add(self, message: dict) -> None:
        self.flow.log.append({"event": "add_request", **message})
        graph = {"format": 1, **{key: value for key, value in self.flow.as_json().items() if key != "rev"}}
        node_id, ops = add_node(
            Document.model_validate(graph),
            CATALOG[message["type"]],
            CATALOG,
            position=Position(**message["position"]) if message["position"] else None,
            after=message["after"],
            port=message["port"],
            between=message["between"],
        )
        self._edit(ops, [node_id])

    def _note(self, message: dict) -> None:
        note_id = self.flow.new_id("note")
        note = {"id": note_id, "text": "", "position": message["position"], "size": {"width": 200, "height": 80}}
        self._edit([{"op": "addNote", "note": note}], [note_id])

    def _paste(self, message: dict) -> None:
        self.flow.log.append({"event": "paste_request", **message})
        corner = {axis: min(node["position"][axis] for node in message["nodes"]) for axis in "xy"}
        new, ops = {}, []
        for node in message["nodes"]:
            new[node["id"]] = node_id = next(
                name
                for number in range(2, 999)
                if (name := f"{node['type']}_{number}") not in self.flow.parts["Node"] and name not in new.values()
            )
            place = {axis: node["position"][axis] - corner[axis] + message["position"][axis] for axis in "xy"}
            ops.append({"op": "addNode", "node": {**node, "id": node_id, "position": place}})
        ops += [
            {"op": "addEdge", "edge": new_edge(new[edge["source"]], new[edge["target"]], edge["source_port"])}
            for edge in message["edges"]
        ]
        self._edit(ops, list(new.values()))


def new_node(node_id: str, node_type: str, x: float, y: float) -> dict:
    return {
        "id": node_id,
        "type": node_type,
        "type_version": 1,
        "label": TYPES[node_type]["title"],
        "position": {"x": x, "y": y},
        "config": {},
        "inputs": {},
    }


def new_edge(source: str, target: str, port: str = "out") -> dict:
    return {"id": f"e_{source}_{port}_{target}", "source": source, "source_port": port, "target": target}


@ui.page("/flow/{name}", language="en-US", reconnect_timeout=20)
def flow_page(name: str, dark: bool = False, readonly: bool = False, picture: bool = False) -> None:
    ui.add_head_html('<link rel="stylesheet" href="/look/theme.css">')
    ui.add_css(".stage{display:grid;grid-template-columns:160px minmax(0,1fr);height:100vh;width:100%}")
    ui.dark_mode(dark)
    with ui.element("div").classes("stage"):
        with ui.element("div"):
            for node_type, about in TYPES.items():
                ui.html(
                    f'<div draggable="true" data-testid="palette-{node_type}" style="padding:6px 10px" '
                    f"ondragstart=\"event.dataTransfer.setData('application/x-flowport-node','{node_type}')\">{about['title']}</div>",
                    sanitize=False,
                )
        with ui.element("div").style("min-width:0"):
            Watched(flows[name], name, readonly=readonly or picture).canvas.props["picture"] = picture
    if picture:
        ui.element("div").style("height:100vh")  # below it: the page scrolls


ui.run_with(app, title="Canvas", storage_secret="only for the test page", show_welcome_message=False, tailwind=False)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
