// Copied nodes as JSON text: on the system clipboard, so that they reach another tab, and in local storage where that is closed.
import { COLUMN } from "./measures.js";

const KEPT = "flowport-canvas-clipboard";
const MARK = "flowport/nodes";
// A whole number that JavaScript would round is a marked text, as in what the server sends (ui/flow_view/large_integers.py).
const exact = (key, value, context) => (typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "") ? { "flowport:integer": context.source } : value);

/** The selected parts as text; edges only when both their ends are in it. Empty text when nothing is selected. */
export function asText(document, nodeIds, noteIds) {
  const ids = new Set(nodeIds);
  const nodes = nodeIds.map((id) => document.nodes.get(id)).filter(Boolean);
  const notes = noteIds.map((id) => document.notes.get(id)).filter(Boolean);
  if (!nodes.length && !notes.length) return "";
  const edges = [...document.edges.values()].filter((edge) => ids.has(edge.source) && ids.has(edge.target));
  return JSON.stringify({ kind: MARK, nodes, edges, notes });
}

/**
 * { nodes, edges, notes } of text that was copied from a canvas, or of a whole flow file, or null. The server checks every value of it.
 * A flow file may say nothing of places: its nodes then stand in a row.
 */
export function fromText(text) {
  try {
    const value = JSON.parse(text, exact);
    const list = (items) => (Array.isArray(items) ? items : []);
    if (value?.kind !== MARK && !(value?.format === 1 && Array.isArray(value.nodes))) return null;
    const parts = { nodes: list(value.nodes), edges: list(value.edges), notes: list(value.notes) };
    if (value.kind !== MARK && parts.nodes.every((node) => !node?.position)) parts.nodes = parts.nodes.map((node, at) => ({ ...node, position: { x: at * COLUMN, y: 0 } }));
    const placed = [...parts.nodes, ...parts.notes].every((part) => Number.isFinite(part?.position?.x) && Number.isFinite(part?.position?.y));
    return placed && parts.nodes.length + parts.notes.length ? parts : null;
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
