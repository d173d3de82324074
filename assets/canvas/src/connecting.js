// Drawing a connection: by dragging between ports or onto a node, by two clicks, or by keyboard; a refusal says why on the spot.
import { nextTick, ref, shallowRef } from "vue";
import { portWords, refusal } from "./flow_document.js";

const SHOWN_MS = 6000;
const A_CLICK_PX = 12;
export const newEdgeId = () => `e_${Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

export function connecting({ flow, editor, types, readonly, emit, say, plus }) {
  const refused = shallowRef(null);
  const from = ref(null); // { source, source_port } of a connection made by keyboard
  let start = null, made = false, timer;

  const wish = (c) => ({ source: c.source, source_port: c.sourceHandle ?? c.source_port ?? "out", target: c.target });
  const allows = (connection) => refusal(editor.document, types(), wish(connection)) === null;

  /** Makes the connection, or shows why not. Returns the refusal or null. */
  function connect(connection) {
    if (readonly() || !editor.loaded.value) return null;
    const edge = wish(connection), no = refusal(editor.document, types(), edge);
    if (!no) editor.change("connect", [{ op: "addEdge", edge: { id: newEdgeId(), ...edge } }]);
    else {
      refused.value = { ...edge, ...no };
      say(no.message);
      emit("invalid", { ...edge, ...no });
      clearTimeout(timer);
      timer = setTimeout(() => (refused.value = null), SHOWN_MS);
    }
    return no;
  }

  const point = (event) => event.changedTouches?.[0] ?? event;
  const firstPort = (id) => types()[editor.document.nodes.get(id)?.type]?.ports?.[0];

  /** Ends a drag from `handle` over what lies at the pointer: a port, a node's body, or nothing. */
  function drop(handle, over, event) {
    const other = over?.closest?.("[data-nodeid]")?.dataset.nodeid ?? over?.closest?.("[data-node]")?.dataset.node;
    if (handle.type === "target") {
      const source = other && other !== handle.nodeId ? other : null;
      const port = over?.closest?.(".vue-flow__handle.source")?.dataset.handleid ?? firstPort(source);
      if (source) connect({ source, source_port: port, target: handle.nodeId });
    } else if (other) connect({ source: handle.nodeId, source_port: handle.id, target: other });
    else if (over?.closest?.(".vue-flow__pane")) plus({ after: handle.nodeId, port: handle.id, there: true }, event);
  }

  flow.onConnect((connection) => {
    made = true;
    nextTick(() => connect(connection));
  });
  flow.onConnectStart(({ event, nodeId, handleId, handleType }) => {
    made = false;
    refused.value = null;
    start = event && { nodeId, id: handleId, type: handleType, x: point(event).clientX, y: point(event).clientY };
  });
  flow.onConnectEnd((event) => {
    const handle = start, end = event && point(event);
    start = null;
    if (!handle || !end || made || Math.hypot(end.clientX - handle.x, end.clientY - handle.y) < A_CLICK_PX) return;
    const near = flow.connectionEndHandle.value; // a port close to the pointer counts as meant
    if (near && near.nodeId !== handle.nodeId) {
      const [out, target] = handle.type === "target" ? [near, handle] : [handle, near];
      connect({ source: out.nodeId, source_port: out.type === "source" ? out.id : firstPort(out.nodeId), target: target.nodeId });
    } else drop(handle, document.elementFromPoint(end.clientX, end.clientY), end);
  });
  flow.onClickConnectStart(() => {
    made = false;
    say("Now click the port this should lead to. Escape stops.");
  });
  flow.onClickConnectEnd((event) => {
    const handle = flow.connectionClickStartHandle.value, over = event?.target;
    if (handle && over && !made && !over.closest?.(`[data-nodeid="${CSS.escape(handle.nodeId)}"].${handle.type}`)) drop(handle, over, event);
  });

  /** The keyboard's way: C on the first node (again for its next port), Enter on the second. */
  function startFrom(id) {
    const ports = types()[editor.document.nodes.get(id)?.type]?.ports ?? ["out"];
    if (!ports.length) return say(refusal(editor.document, types(), { source: id, target: "" })?.message ?? "");
    const next = from.value?.source === id ? ports[(ports.indexOf(from.value.source_port) + 1) % ports.length] : ports[0];
    from.value = { source: id, source_port: next };
    say(`Connecting${ports.length > 1 ? ` from ${portWords(next)}` : ""}. Go to the node that comes next and press Enter. Escape stops.`);
  }
  function finishAt(id) {
    const begun = from.value;
    from.value = null;
    if (!connect({ ...begun, target: id })) say("Connected.");
  }
  function stop() {
    const busy = from.value || flow.connectionClickStartHandle.value || refused.value;
    from.value = refused.value = null;
    if (flow.connectionClickStartHandle.value) flow.endConnection(undefined, true);
    return Boolean(busy);
  }

  return { refused, from, allows, connect, startFrom, finishAt, stop };
}
