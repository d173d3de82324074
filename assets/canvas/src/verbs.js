// What a person can do on the canvas, once, for keys, menus, tools and the page.
import { nextTick } from "vue";
import { aligned } from "./aligning.js";
import { newEdgeId } from "./connecting.js";
import { isNote, noteElement, noteId } from "./editor.js";
import { joinsWithout } from "./flow_document.js";
import { arranged, notesBeside } from "./auto_layout.js";
import { GRID, snapped } from "./measures.js";

const EMPTY_STEP = 80; // pixels an arrow moves the view
const SMALLEST = { width: 120, height: 40 };

export function verbsOf({ props, flow, editor, view, root, emit, editable, say, tell, selected, focus, adds, joins, finds, types, menu, shortcuts, writing, hovered }) {
  const { document: drawing } = editor;
  const nameOf = (id) => drawing.nodes.get(id).label || types()[drawing.nodes.get(id).type]?.title || id;
  const elementsOf = (ids) => ids.map((id) => flow.findNode(id) ?? flow.findNode(noteElement(id))).filter(Boolean);

  function selectNodes(ids) {
    flow.removeSelectedElements();
    flow.addSelectedNodes(elementsOf(ids));
  }
  /** These are no longer selected; what was chosen since stays. */
  function deselect(ids) {
    const { nodes, edges, notes } = selected.now();
    if ([...nodes, ...edges, ...notes].every((id) => ids.includes(id))) flow.removeSelectedElements();
  }
  function selectEdge(id) {
    flow.removeSelectedElements();
    const edge = flow.findEdge(id);
    if (edge) flow.addSelectedEdges([edge]);
  }
  /** What a key or a menu is about: the selection, or what has the keyboard. */
  function about(here) {
    const { nodes, edges, notes } = selected.now();
    if (nodes.length || edges.length || notes.length || !here) return { nodes, edges, notes };
    selectNodes([isNote({ type: here.startsWith("note:") ? "note" : "" }) ? noteId(here) : here]);
    return selected.now();
  }
  const elementIds = ({ nodes, notes }) => [...nodes, ...notes.map(noteElement)];

  function focusNode(id) {
    if (!flow.findNode(id)) return;
    selectNodes([id]);
    view.centre(id);
    focus.on(id);
  }
  function remove(here) {
    if (!editable()) return;
    const removed = (ids, kind, parts) => ids.filter((id) => parts.has(id)).map((id) => ({ op: `remove${kind}`, [kind.toLowerCase()]: parts.get(id) }));
    const { nodes, edges, notes } = about(here);
    const inside = root.value?.contains(document.activeElement);
    const joins = joinsWithout(drawing, nodes).map((edge) => ({ op: "addEdge", edge: { id: newEdgeId(), ...edge } }));
    const done = editor.change("delete", [...removed(edges, "Edge", drawing.edges), ...removed(nodes, "Node", drawing.nodes), ...removed(notes, "Note", drawing.notes), ...joins]);
    const joined = done.filter(({ op }) => op === "addEdge").map(({ edge }) => `${nameOf(edge.source)} and ${nameOf(edge.target)} are connected now.`);
    if (joined.length) say(["Deleted.", ...joined].join(" "));
    flow.nodesSelectionActive.value = false;
    if (inside) nextTick(() => root.value?.contains(document.activeElement) || root.value?.focus({ preventScroll: true }));
  }
  function nudge(dx, dy, steps, here) {
    const { nodes, notes } = selected.now(), none = !nodes.length && !notes.length;
    if (none && !here) return view.pan(dx * EMPTY_STEP * steps, dy * EMPTY_STEP * steps);
    if (!editable()) return false;
    const ids = none && !here.startsWith("note:") ? [here] : nodes, noteIds = none && here.startsWith("note:") ? [noteId(here)] : notes;
    const moved = (parts) => (id) => [id, { x: parts.get(id).position.x + dx * steps * GRID, y: parts.get(id).position.y + dy * steps * GRID }];
    const places = (found, parts) => new Map(found.filter((id) => parts.has(id)).map(moved(parts)));
    editor.change("nudge", editor.moves(places(ids, drawing.nodes), places(noteIds, drawing.notes)), `nudge ${ids} ${noteIds}`);
  }
  function resize(dx, dy, here) {
    const { notes } = about(here), [id] = notes, note = drawing.notes.get(id);
    if (!editable() || notes.length !== 1 || !note) return false;
    const size = note.size ?? { width: 200, height: 80 };
    const after = { width: Math.max(SMALLEST.width, size.width + dx * GRID), height: Math.max(SMALLEST.height, size.height + dy * GRID) };
    editor.change("resize", [{ op: "updateNote", id, before: { size }, after: { size: after } }], `resize ${id}`);
  }
  function align(how) {
    if (!editable()) return;
    const boxes = flow.getSelectedNodes.value.map((n) => ({ id: n.id, x: n.position.x, y: n.position.y, width: n.dimensions.width, height: n.dimensions.height }));
    if (boxes.length < 2) return;
    const places = [...aligned(boxes, how)];
    const notes = new Map(places.filter(([id]) => id.startsWith("note:")).map(([id, place]) => [noteId(id), place]));
    editor.change("align", editor.moves(new Map(places.filter(([id]) => !id.startsWith("note:"))), notes));
  }
  async function layout(mode = "wrap") {
    if (!editable() || !drawing.nodes.size) return;
    const began = performance.now();
    const places = arranged(drawing, props.nodeTypes, mode, flow.dimensions.value.width, view.scopes.value);
    editor.change("layout", editor.moves(places, notesBeside(drawing, places)));
    const layoutMs = performance.now() - began;
    await nextTick();
    await view.fit(0);
    return { layoutMs, totalMs: performance.now() - began };
  }
  function moved({ nodes }) {
    if (!editable()) return;
    const places = (found, id) => new Map(found.map((element) => [id(element.id), snapped(element.position)]));
    editor.change("move", editor.moves(places(nodes.filter((n) => !isNote(n)), (id) => id), places(nodes.filter(isNote), noteId)));
  }
  /** The connections of a node one by one, outgoing first; Delete and N then are about the connection. */
  function nextEdge(here, by) {
    const { edges, nodes } = selected.now(), now = drawing.edges.get(edges[0]), node = here ?? nodes[0] ?? now?.source;
    if (!node || !drawing.nodes.has(node)) return false;
    const all = [...drawing.edges.values()].filter(({ source }) => source === node).concat([...drawing.edges.values()].filter(({ target }) => target === node));
    if (!all.length) return say("No connections here.");
    const at = all.findIndex(({ id }) => id === edges[0]), edge = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length];
    selectEdge(edge.id);
    say(`Connection from ${nameOf(edge.source)} to ${nameOf(edge.target)}. Delete removes it, N adds a node in it.`);
  }
  function addHere(here) {
    if (!editable()) return;
    const { edges, nodes } = selected.now();
    if (edges.length === 1) adds.plusAt({ edge: edges[0] });
    else if (here && drawing.nodes.has(here)) adds.plusAtNode(here);
    else if (nodes.length === 1) adds.plusAtNode(nodes[0]);
    else adds.plusAt({});
  }

  /** A step back or forth. It never goes on to another one by itself: what that one did is not what one looks at. */
  function back(way) {
    if (!props.readonly && editor[way]()) tell(`Nothing was ${way === "undo" ? "undone" : "done again"}: what that step did has been changed or removed since. The next press takes the step before it.`);
  }

  const does = {
    selectNodes, deselect, selectEdge, focusNode, remove, nudge, resize, align, layout, moved, nextEdge, addHere,
    undo: () => back("undo"), redo: () => back("redo"),
    fit: () => view.fit(), zoomIn: view.zoomIn, zoomOut: view.zoomOut, zoomReset: view.zoomReset, grid: view.toggleGrid, zoomTo: (here) => void view.zoomTo(elementIds(about(here))),
    clipboard: (kind, here) => (about(here), adds.expectClipboard(kind)), copy: adds.copy, cut: () => adds.copy() && remove(), duplicate: (here) => (about(here), adds.duplicate()),
    paste: (place) => adds.paste(place), addNote: (place) => adds.addNote(place), addAt: adds.plusAt, addAfter: (id) => editable() && adds.plusAtNode(id),
    selectAll: () => flow.addSelectedNodes(flow.nodes.value),
    save: () => emit("saverequest", {}), search: () => emit("searchrequest", {}), run: () => emit("runrequest", { mode: "all", node: null }), runNode: (mode, node) => emit("runrequest", { mode, node }),
    find: () => (finds.open.value = true), shortcuts: () => (shortcuts.value = true), write: (id) => (writing.value = id),
    openEdge: selectEdge,
    connectFrom: (id) => editable() && drawing.nodes.has(id) && joins.startFrom(id),
    open(here) {
      const node = here && drawing.nodes.has(here) ? here : null;
      if (joins.from.value && node) return joins.finishAt(node);
      const { nodes, notes } = selected.now(), id = node ?? (!here && nodes.length === 1 ? nodes[0] : null);
      const note = here?.startsWith("note:") ? noteId(here) : notes.length === 1 ? notes[0] : null;
      if (id) emit("open", { id, problem: false });
      else if (note && editable()) writing.value = note;
      else return false;
    },
    toggle(here) {
      const element = flow.findNode(here);
      if (element.selected) flow.removeSelectedNodes([element]);
      else selectNodes([isNote(element) ? noteId(here) : here]);
    },
    step(here, by) {
      const stops = focus.stops(), next = stops[stops.indexOf(here) + by];
      if (!next) return false; // Tab goes on to the tools
      focus.on(next);
      view.show([next]);
    },
    escape() {
      if (finds.open.value) return finds.close();
      if (!joins.stop()) flow.removeSelectedElements();
      flow.nodesSelectionActive.value = false;
      hovered.value = null;
    },
    menuByKey(here) {
      const { edges } = selected.now(), node = here ?? elementIds(selected.now())[0];
      const element = (node && root.value.querySelector(`[data-node="${CSS.escape(node)}"], [data-note="${CSS.escape(node)}"]`)) ?? (edges.length && root.value.querySelector(`[data-edge="${CSS.escape(edges[0])}"]`)) ?? null;
      const box = (element || root.value).getBoundingClientRect();
      menu.open({ node: node ?? null, edge: node ? null : (edges[0] ?? null) }, element ? box.left + Math.min(box.width, 180) / 2 : box.left + box.width / 3, element ? box.top + Math.min(box.height, 80) : box.top + box.height / 3);
    },
  };
  return does;
}
