// How a connection runs: straight, with one step, as a curve over more than a gap, or round the nodes when its target lies to the left.
import { NODE_HEIGHT, PORT_Y } from "./measures.js";

const CORNER = 12;
const OUT = 24; // how far a line leaves a port before it turns
const LANE = 28; // half the gap between two rows
const BEFORE = 22; // a + on the line of a named port stands before the target: beside the port stands the + of the other one
const FAR = 150; // steps over several columns would lie upon each other
const GAP = 56; // between two columns: a line that rises over several does so in the last gap, where no node is
const ABOVE = PORT_Y, BELOW = NODE_HEIGHT - PORT_Y;

/** { d, x, y }: the SVG path and where its + stands. `named` ports keep their label clear of the turn. */
export function route(sx, sy, tx, ty, named = false) {
  const out = named ? 46 : OUT;
  if (tx - sx >= 2 * CORNER) {
    if (Math.abs(ty - sy) < 1) return { d: `M${sx} ${sy}H${tx}`, x: named ? tx - BEFORE : (sx + tx) / 2, y: sy };
    if (tx - sx > FAR) {
      const rises = ty < sy && !named, from = rises ? tx - GAP : named ? sx + out : sx, middle = (from + tx) / 2;
      if (rises) return { d: `M${sx} ${sy}H${from}C${middle} ${sy} ${middle} ${ty} ${tx} ${ty}`, x: (sx + from) / 2, y: sy };
      return { d: `M${sx} ${sy}H${from}C${middle} ${sy} ${middle} ${ty} ${tx} ${ty}`, x: middle, y: (sy + ty) / 2 };
    }
    const turn = named ? Math.max((sx + tx) / 2, Math.min(sx + out, tx - CORNER)) : (sx + tx) / 2;
    return { d: rounded([[sx, sy], [turn, sy], [turn, ty], [tx, ty]]), ...(named ? { x: tx - BEFORE, y: ty } : { x: turn, y: (sy + ty) / 2 }) };
  }
  const lane = laneBetween(sy, ty);
  return {
    d: rounded([[sx, sy], [sx + out, sy], [sx + out, lane], [tx - OUT, lane], [tx - OUT, ty], [tx, ty]]),
    x: (sx + out + tx - OUT) / 2,
    y: lane,
  };
}

/** The free height next to the source's row on the way to the target, or below both. */
function laneBetween(sy, ty) {
  const [upper, lower] = sy < ty ? [sy, ty] : [ty, sy];
  const floor = upper + BELOW, ceiling = lower - ABOVE;
  if (ceiling - floor < 16) return lower + BELOW + 20;
  const away = Math.min(LANE, (ceiling - floor) / 2);
  return sy < ty ? floor + away : ceiling - away;
}

function rounded(points) {
  let d = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b, c] = [points[i - 1], points[i], points[i + 1]];
    const back = [Math.sign(a[0] - b[0]), Math.sign(a[1] - b[1])], on = [Math.sign(c[0] - b[0]), Math.sign(c[1] - b[1])];
    const r = Math.min(CORNER, length(a, b) / 2, length(b, c) / 2);
    d += `L${b[0] + back[0] * r} ${b[1] + back[1] * r}Q${b[0]} ${b[1]} ${b[0] + on[0] * r} ${b[1] + on[1] * r}`;
  }
  const [x, y] = points.at(-1);
  return `${d}L${x} ${y}`;
}
const length = (a, b) => Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);
