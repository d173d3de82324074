// The document behind the drawing: edits become operations for the server, operations of the server become edits here.
import { markRaw, nextTick, reactive, ref, shallowRef } from "vue";
import { FlowDocument, read } from "./flow_document.js";
import { History } from "./history.js";
import { Journal } from "./journal.js";
import { Resending } from "./resending.js";

/** Notes share Vue Flow's list with the nodes; a node id has no colon. */
export const noteElement = (id) => `note:${id}`;
export const noteId = (elementId) => elementId.slice(5);
export const isNote = (element) => element.type === "note";

const NODE = { focusable: false, domAttributes: { "aria-roledescription": undefined } };
const asNode = (node) => ({ ...NODE, id: node.id, type: "flow", position: { ...node.position }, data: { part: markRaw(node) } });
const asNote = (note) => ({ ...NODE, id: noteElement(note.id), type: "note", zIndex: -1, position: { ...note.position }, data: { part: markRaw(note) } });
const asEdge = (edge) => ({
  id: edge.id, type: "flow", source: edge.source, sourceHandle: edge.source_port ?? "out", target: edge.target, targetHandle: "in",
  ariaLabel: null, domAttributes: { role: "presentation", "aria-roledescription": undefined, "data-edge": edge.id, "data-testid": `edge-${edge.id}` },
});

export class Editor {
  document = new FlowDocument();
  history = new History();
  status = reactive({}); // node id -> run status: never saved, never undone
  marks = reactive({}); // node id -> what the server says of it
  loaded = ref(false); // no edits before the first loadGraph: it would wipe them
  version = shallowRef(0); // grows with every change of the document
  rev = 0;

  constructor(flow, types, journalOf, send) {
    Object.assign(this, { flow, types, journal: new Journal(...journalOf), send });
    this.resending = new Resending(() => this.journal.messages, (message) => send("change", message));
  }

  async load(graph) {
    const { flow } = this;
    flow.setEdges([]);
    flow.setNodes([]);
    await nextTick();
    this.document.load(graph);
    for (const id of Object.keys(this.status)) if (!this.document.nodes.has(id)) delete this.status[id];
    this.history.forget();
    if (!this.loaded.value) this.journal.delivered(); // the server has put what came before `ready` into this, or asked about it
    this.rev = graph.rev ?? 0;
    this.document.apply(this.document.settle(this.journal.travelling()));
    flow.setNodes([...[...this.document.nodes.values()].map(asNode), ...[...this.document.notes.values()].map(asNote)]);
    await nextTick(); // an edge needs both of its nodes
    flow.setEdges([...this.document.edges.values()].map(asEdge));
    await nextTick();
    this.version.value++;
    this.loaded.value = true;
  }

  /** An edit of this tab. Edits with the same key within a second are one step of undo. */
  change(reason, ops, key = "") {
    if (!this.loaded.value) return [];
    const settled = this.document.settle(ops, { types: this.types() });
    if (settled.length) {
      this.history.remember(settled, key);
      this.#send(reason, settled);
    }
    return settled;
  }

  /** True when there was a step of which nothing is left: others have changed or removed all of it since. */
  undo() {
    return this.#back("undo");
  }

  redo() {
    return this.#back("redo");
  }

  /** What the server did: another tab's edits, or with `history` what this tab asked for. It is not sent back. */
  receive(ops, rev, { history = false, key = "" } = {}) {
    const settled = this.document.settle(history ? ops : this.journal.withoutMine(ops));
    this.rev = Math.max(this.rev, rev ?? 0);
    if (!settled.length) return;
    this.#show(settled);
    if (history) this.history.remember(settled, key);
  }

  acknowledge(seq, rev) {
    this.journal.acknowledge(seq);
    this.resending.acknowledged();
    this.rev = Math.max(this.rev, rev ?? 0);
  }

  /** Operations that bring parts to new places: maps of id -> {x, y}. */
  moves(nodes, notes = new Map()) {
    const moved = (kind, parts, places) =>
      [...places].flatMap(([id, position]) => (parts.has(id) ? [{ op: `update${kind}`, id, before: { position: parts.get(id).position }, after: { position } }] : []));
    return [...moved("Node", this.document.nodes, nodes), ...moved("Note", this.document.notes, notes)];
  }

  #back(way) {
    if (!this.loaded.value) return false;
    const ops = this.history[way]((list) => this.document.settle(list, { mine: true, types: this.types() }));
    if (ops?.length) this.#send(way, ops);
    return ops?.length === 0;
  }

  #send(reason, ops) {
    this.#show(ops);
    this.send("change", this.journal.write(this.rev, reason, ops));
    this.resending.sent();
  }

  #show(ops) {
    this.document.apply(ops);
    const { flow, document } = this, kinds = { addNode: [], addNote: [], addEdge: [], removeNode: [], removeNote: [], removeEdge: [] };
    for (const op of ops) {
      const { verb, kind, id, part } = read(op);
      if (verb !== "update") {
        kinds[op.op].push(part);
        continue;
      }
      const element = flow.findNode(kind === "Note" ? noteElement(id) : id);
      const now = (kind === "Note" ? document.notes : document.nodes).get(id);
      if (!element || !now) continue;
      element.data = { part: markRaw(now) };
      if (op.after.position && !element.dragging) element.position = { ...now.position };
    }
    // One batch may remove and add a part again: what the document holds in the end is what is drawn.
    const gone = (kind, parts) => kinds[kind].map((part) => part.id).filter((id) => !parts.has(id));
    const here = (kind, parts, has) => [...new Set(kinds[kind].map((part) => part.id))].filter((id) => parts.has(id) && !has(id)).map((id) => parts.get(id));
    flow.removeEdges(gone("removeEdge", document.edges));
    flow.removeNodes([...gone("removeNode", document.nodes), ...gone("removeNote", document.notes).map(noteElement)], false);
    const nodes = here("addNode", document.nodes, flow.findNode), notes = here("addNote", document.notes, (id) => flow.findNode(noteElement(id)));
    if (nodes.length || notes.length) flow.addNodes([...nodes.map(asNode), ...notes.map(asNote)]);
    const edges = here("addEdge", document.edges, flow.findEdge);
    if (edges.length) flow.addEdges(edges.map(asEdge));
    this.version.value++;
  }
}

/** Replaces a status when it brings a state, else adds to it (only changes are sent); null clears it. */
export function mergeInto(target, map, whole = () => false) {
  for (const [id, value] of Object.entries(map ?? {})) {
    if (value === null) delete target[id];
    else target[id] = whole(value) ? value : { ...target[id], ...value };
  }
}
