// Lining up and spreading out what is selected. Boxes are { id, x, y, width, height } in canvas pixels.
import { snap } from "./measures.js";

const min = (boxes, of) => Math.min(...boxes.map(of)), max = (boxes, of) => Math.max(...boxes.map(of));
const between = (boxes, axis, size) => (min(boxes, (b) => b[axis]) + max(boxes, (b) => b[axis] + b[size])) / 2;
const LINES = { // of all boxes, where one belongs
  left: (boxes) => ({ x: min(boxes, (b) => b.x) }),
  centre: (boxes, box) => ({ x: between(boxes, "x", "width") - box.width / 2 }),
  right: (boxes, box) => ({ x: max(boxes, (b) => b.x + b.width) - box.width }),
  top: (boxes) => ({ y: min(boxes, (b) => b.y) }),
  middle: (boxes, box) => ({ y: between(boxes, "y", "height") - box.height / 2 }),
  bottom: (boxes, box) => ({ y: max(boxes, (b) => b.y + b.height) - box.height }),
};
const SPREADS = { across: ["x", "width"], down: ["y", "height"] };

export const ALIGNMENTS = [
  { how: "left", words: "Align left", icon: "align_horizontal_left" },
  { how: "centre", words: "Align centre", icon: "align_horizontal_center" },
  { how: "right", words: "Align right", icon: "align_horizontal_right" },
  { how: "top", words: "Align top", icon: "align_vertical_top" },
  { how: "middle", words: "Align middle", icon: "align_vertical_center" },
  { how: "bottom", words: "Align bottom", icon: "align_vertical_bottom" },
];
export const SPREADING = [
  { how: "across", words: "Distribute across", icon: "horizontal_distribute" },
  { how: "down", words: "Distribute down", icon: "vertical_distribute" },
];

/** Id -> {x, y} on the grid. `how` is a line (left, centre, right, top, middle, bottom) or equal gaps (across, down). */
export function aligned(boxes, how) {
  if (LINES[how]) return new Map(boxes.map((box) => [box.id, onGrid({ x: box.x, y: box.y, ...LINES[how](boxes, box) })]));
  const [axis, size] = SPREADS[how], sorted = [...boxes].sort((a, b) => a[axis] - b[axis]);
  const room = sorted.at(-1)[axis] - sorted[0][axis] - sorted.slice(0, -1).reduce((sum, box) => sum + box[size], 0);
  const gap = room / (sorted.length - 1), found = new Map();
  let next = sorted[0][axis];
  for (const box of sorted) {
    found.set(box.id, onGrid({ x: box.x, y: box.y, [axis]: next }));
    next += box[size] + gap;
  }
  return found;
}

const onGrid = ({ x, y }) => ({ x: snap(x), y: snap(y) });
