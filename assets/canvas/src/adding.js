// New parts: the canvas says what and where, the server makes ids and defaults and answers with operations.
import { asText, cornerOf, fromText, keep, kept } from "./clipboard.js";
import { freePlace } from "./auto_layout.js";
import { shallowRef } from "vue";
import { OF_WAYS } from "./flow_document.js";
import { GRID, NODE_WIDTH, PORT_Y, snapped } from "./measures.js";

const MIME = "application/x-flowport-node";
const NO_EVENT_MS = 80; // some browsers fire no clipboard event without a text selection

const ONE_ANSWER = "A flow has one answer: lead both ways to it";

/**
 * Node types that may come there, in the order of the palette: after a node, in the middle of a connection, or anywhere. The
 * API Output that is there is offered after a node that does not lead to it yet: the server leads it there.
 */
export function fitting(document, types, { after = null, port = null, edge = null } = {}) {
  const used = new Set([...document.nodes.values()].map((node) => node.type));
  const taken = ([type, { single }]) => single && used.has(type);
  const leads = ([type, { ports }]) => after && !ports.length && ![...document.edges.values()].some((one) => one.source === after && (one.source_port ?? "out") === (port ?? "out") && document.nodes.get(one.target)?.type === type);
  return Object.entries(types)
    .filter(([, { accepts_input, ports }]) => (accepts_input || !(after || edge)) && (ports.length || !edge))
    .filter((one) => !taken(one) || leads(one))
    .map(([type, about]) => ({ ...about, type, group_title: about.group_title ?? about.group, tooltip: taken([type, about]) ? ONE_ANSWER : about.tooltip }));
}

/** `asks` answers whether the server can be asked for new parts now; if not, it says why. */
export function adding({ editor, view, root, emit, send, editable, asks, say, selection, types, typeOf, leaving, cut }) {
  const { document: drawing } = editor;
  const chooser = shallowRef(null); // { after, port, edge, x, y, types, title } while one chooses what to add
  let pasted = { text: "", times: 0 }, waiting = null;

  const outer = (position) => ({ x: position.x - NODE_WIDTH / 2, y: position.y - PORT_Y });
  const edgeAt = (x, y) => document.elementsFromPoint(x, y).map((element) => element.closest?.("[data-edge]")?.dataset.edge).find(Boolean) ?? null;
  const free = (id, ports) => OF_WAYS.has(drawing.nodes.get(id).type) && ports.find((port) => !leaving.value.has(`${id} ${port}`));
  const ask = (type, position, { after = null, port = null, between = null } = {}) => emit("addrequest", { type, position, after, port, between });

  /** + on a port or a connection, or a line let go over the empty floor (`there`): offers what may come there. */
  function plus({ after = null, port = null, edge = null, there = false }, event) {
    if (!asks()) return;
    root.value.focus({ preventScroll: true }); // the + itself goes away
    const name = after && (drawing.nodes.get(after)?.label || typeOf(drawing.nodes.get(after)?.type).title);
    const title = edge ? "Add in this connection" : after ? `Add after ${name}` : "Add a node";
    chooser.value = { after, port, edge, there, x: Math.round(event.clientX), y: Math.round(event.clientY), types: fitting(drawing, types(), { after, port, edge }), title };
  }
  /** The server makes room for what comes after a node or in a connection; only a line let go over the floor says where. */
  function chosen(type) {
    const { after, port, edge, there, x, y } = chooser.value;
    closeChooser();
    if (!asks()) return;
    if (drawing.edges.has(edge)) return ask(type, null, { between: edge });
    const place = there || !(after || edge) ? view.at(x, y) : null;
    const ports = drawing.nodes.has(after) ? typeOf(drawing.nodes.get(after).type).ports : [];
    if (ports.length && typeOf(type).accepts_input) {
      const out = ports.includes(port) ? port : free(after, ports) || ports[0];
      const right = drawing.nodes.get(after).position.x + NODE_WIDTH;
      return ask(type, place && place.x > right ? freePlace(drawing, { x: place.x, y: place.y - PORT_Y }) : null, { after, port: out });
    }
    ask(type, freePlace(drawing, outer(place ?? view.middle()), view.scopes.value));
  }
  function closeChooser() {
    chooser.value = null;
    root.value?.focus({ preventScroll: true });
  }
  function plusAt(at) {
    const box = root.value.getBoundingClientRect(), line = at.edge && root.value.querySelector(`[data-edge="${CSS.escape(at.edge)}"]`)?.getBoundingClientRect();
    const where = line ?? box;
    plus(at, { clientX: at.x ?? where.left + where.width / 2, clientY: at.y ?? where.top + where.height / 2 });
  }
  function plusAtNode(id) {
    const box = root.value.querySelector(`[data-node="${CSS.escape(id)}"]`).getBoundingClientRect();
    const ports = typeOf(drawing.nodes.get(id).type).ports;
    if (!ports.length) say(`Nothing can come after ${drawing.nodes.get(id).label || typeOf(drawing.nodes.get(id).type).title}.`);
    else {
      const port = free(id, ports) || ports[0], edges = leaving.value.get(`${id} ${port}`) ?? [];
      const between = ports.length > 1 && edges.length === 1 && !OF_WAYS.has(drawing.nodes.get(id).type);
      plus(between ? { edge: edges[0] } : { after: id, port }, { clientX: box.right, clientY: box.top });
    }
  }

  function addNote(place = null) {
    if (asks()) emit("noterequest", { position: snapped(place ?? outer(view.middle())) });
  }

  // ---------- from the palette ----------
  function dragOver(event, hover) {
    if (!event.dataTransfer?.types.includes(MIME)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = editable() ? "copy" : "none";
    const edge = editable() && edgeAt(event.clientX, event.clientY);
    hover(edge || null);
  }
  function drop(event) {
    const type = event.dataTransfer?.getData(MIME);
    if (!type) return;
    event.preventDefault();
    root.value.focus({ preventScroll: true });
    if (!asks()) return;
    const between = edgeAt(event.clientX, event.clientY);
    ask(type, between ? null : snapped(outer(view.at(event.clientX, event.clientY))), { between });
  }

  // ---------- copy and paste ----------
  const selectionText = () => {
    const { nodes, notes } = selection();
    return asText(drawing, nodes, notes);
  };
  function copy() {
    const text = selectionText();
    if (!text) return "";
    keep(text);
    navigator.clipboard?.writeText(text).catch(() => {}); // not allowed here: local storage has it
    say("Copied.");
    return text;
  }
  function insert(text, place) {
    const parts = asks() && fromText(text);
    if (!parts) return false;
    pasted = { text, times: pasted.text === text ? pasted.times + 1 : 1 };
    const corner = cornerOf(parts), away = 2 * GRID * pasted.times;
    const beside = { x: corner.x + away, y: corner.y + away };
    send("pasterequest", { ...parts, position: snapped(place ?? (view.sees(beside) ? beside : outer(view.middle()))) });
    return true;
  }
  async function paste(place = null) {
    if (!asks()) return;
    let text = "";
    try {
      text = await navigator.clipboard.readText();
    } catch {} // not allowed here
    if (!insert(text, place) && !insert(kept(), place)) say("There are no copied nodes to paste.");
  }
  function duplicate() {
    const text = selectionText();
    if (!text) return false;
    const corner = cornerOf(fromText(text));
    insert(text, { x: corner.x + 2 * GRID, y: corner.y + 2 * GRID });
  }

  const here = () => root.value?.contains(document.activeElement) && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName);
  const without = { copy, cut: () => copy() && cut(), paste: () => insert(kept()) };
  function expectClipboard(kind) {
    clearTimeout(waiting);
    waiting = setTimeout(without[kind], NO_EVENT_MS);
  }
  function onClipboard(event) {
    if (!here()) return;
    clearTimeout(waiting);
    if (event.type === "paste") {
      const text = event.clipboardData.getData("text/plain");
      if (!insert(text) && !(!text && insert(kept())) && asks()) say("There are no copied nodes to paste.");
    } else {
      const text = selectionText();
      if (!text) return;
      keep(text);
      event.clipboardData.setData("text/plain", text);
      if (event.type === "cut") cut();
    }
    event.preventDefault();
  }
  const KINDS = ["copy", "cut", "paste"];
  function listen() {
    for (const kind of KINDS) document.addEventListener(kind, onClipboard);
  }
  function ignore() {
    clearTimeout(waiting);
    for (const kind of KINDS) document.removeEventListener(kind, onClipboard);
  }
  return { chooser, chosen, closeChooser, plus, plusAt, plusAtNode, addNote, copy, paste, duplicate, expectClipboard, dragOver, drop, listen, ignore };
}
