// Frames round the nodes that run once per item of a list. Boxes are { x, y, width, height } in canvas pixels.
import { FRAME_MORE, FRAME_PAD, NODE_HEIGHT, NODE_WIDTH } from "./measures.js";

const MOST_MORE = 2;

/** [{ id, label, left, top, right, bottom }] of `scopes` (outer ones first); a frame round other frames is further away. */
export function framesRound(scopes, boxOf) {
  const levels = new Map();
  for (const { id, nodes } of [...scopes].reverse()) levels.set(id, Math.max(0, ...nodes.filter((one) => levels.has(one)).map((one) => levels.get(one) + 1)));
  return scopes.flatMap(({ id, nodes, label }) => {
    const boxes = nodes.map(boxOf).filter(Boolean), pad = FRAME_PAD + FRAME_MORE * Math.min(MOST_MORE, levels.get(id));
    if (!boxes.length) return [];
    const of = (how, side) => Math[how](...boxes.map(side));
    return [{ id, label, left: of("min", (b) => b.x) - pad, top: of("min", (b) => b.y) - pad, right: of("max", (b) => b.x + b.width) + pad, bottom: of("max", (b) => b.y + b.height) + pad }];
  });
}

const aNode = ({ x, y }) => ({ x, y, width: NODE_WIDTH, height: NODE_HEIGHT });
const meets = (frame, { x, y, width, height }) => x < frame.right && x + width > frame.left && y < frame.bottom && y + height > frame.top;

/** A node would lie in the frame of a list it does not run for. `places`: node id -> {x, y}. */
export function framesMix(scopes, places) {
  const frames = framesRound(scopes, (id) => places.has(id) && aNode(places.get(id)));
  return frames.some((frame) => {
    const own = new Set(scopes.find(({ id }) => id === frame.id).nodes);
    return [...places].some(([id, place]) => !own.has(id) && meets(frame, aNode(place)));
  });
}

/** A new node at this place would lie in a frame of the document. */
export const insideFrame = (document, scopes, place) =>
  framesRound(scopes, (id) => document.nodes.has(id) && aNode(document.nodes.get(id).position)).some((frame) => meets(frame, aNode(place)));
