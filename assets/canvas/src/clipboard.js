// Copied nodes as JSON text: on the system clipboard, so that they reach another tab, and in local storage where that is closed.
const KEPT = "flowport-canvas-clipboard";
const MARK = "flowport/nodes";

/** The selected parts as text; edges only when both their ends are in it. Empty text when nothing is selected. */
export function asText(document, nodeIds, noteIds) {
  const ids = new Set(nodeIds);
  const nodes = nodeIds.map((id) => document.nodes.get(id)).filter(Boolean);
  const notes = noteIds.map((id) => document.notes.get(id)).filter(Boolean);
  if (!nodes.length && !notes.length) return "";
  const edges = [...document.edges.values()].filter((edge) => ids.has(edge.source) && ids.has(edge.target));
  return JSON.stringify({ kind: MARK, nodes, edges, notes });
}

/** { nodes, edges, notes } of text that was copied from a canvas, or null. The server checks every value of it. */
export function fromText(text) {
  try {
    const value = JSON.parse(text);
    const list = (items) => (Array.isArray(items) ? items : []);
    if (value?.kind !== MARK) return null;
    const parts = { nodes: list(value.nodes), edges: list(value.edges), notes: list(value.notes) };
    const placed = [...parts.nodes, ...parts.notes].every((part) => Number.isFinite(part?.position?.x) && Number.isFinite(part?.position?.y));
    return placed ? parts : null;
  } catch {
    return null;
  }
}

export function keep(text) {
  try {
    localStorage.setItem(KEPT, text);
  } catch {}
}

export function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/** Top left corner of copied parts. */
export function cornerOf({ nodes, notes }) {
  const places = [...nodes, ...notes].map((part) => part.position);
  return { x: Math.min(...places.map((p) => p.x)), y: Math.min(...places.map((p) => p.y)) };
}
