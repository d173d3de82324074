// Where one looks: zoom, fit, bringing nodes into view, the grid.
import { computed, ref, shallowRef } from "vue";

const GRID_KEPT = "flowport-canvas-grid";
const PADDING = 0.12;
const SMALL = [0.55, 0.6]; // the name of a step is drawn larger, in place of what sums it up
const FAR = [0.3, 0.36], FARTHER = [0.15, 0.18]; // text is under 4 or 2 px: what nobody can read is not painted
const NEAREST = 1; // fitting never magnifies
export const FARTHEST = 0.02;
const PLUS_ROOM = 70; // right of a node, up to the + of a named port
const LOW = 360; // up to here there is no minimap, and a flow that would get too small takes the room of the tools too
const TOOLS = 64, READ_AT = 0.45; // height of the tools with the gap under them; zoom at which the names of nodes are still read
const ROOM = 32; // between what is shown and the border of the view
const MAP_WIDTH = 142 + 16 + 8, MAP_HEIGHT = 88 + 14 + 8; // the minimap in its corner, with a gap around it
const FEW = 6, MANY = 40; // a flow of fewer nodes needs no minimap; in one of more the map may lie on a node

/** `picture()`: the flow is shown within a page, and never smaller than it takes to see all of it. */
export function viewing(flow, root, picture) {
  const { viewport, dimensions } = flow;
  let fitted = null;
  const scopes = shallowRef([]); // frames: [{ id, nodes, label }]
  const grid = ref(recall() !== "off");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const low = computed(() => dimensions.value.height <= LOW);
  const duration = (ms) => (still.matches ? 0 : ms);
  /** Two bounds, so that zooming about one of them does not restyle every node again and again. */
  const beyond = ([below, above]) => computed((was = false) => viewport.value.zoom < (was ? above : below));
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  // The view does not move by itself under a hand that holds something: a line or a node would end where nobody meant it to.
  let held = false;
  const waiting = [];
  const ends = ["pointerup", "pointercancel"];
  function hold() {
    held = true;
    for (const end of ends) window.addEventListener(end, letGo, true);
  }
  function letGo() {
    held = false;
    for (const end of ends) window.removeEventListener(end, letGo, true);
    requestAnimationFrame(() => held || waiting.splice(0).forEach((move) => move())); // after the mouseup that ends the line
  }
  const byItself = (move) => (held ? waiting.push(move) : move());

  /** Nodes have no size until the browser has drawn them, and fitting before that does nothing. */
  async function measured(ids = null) {
    for (const began = performance.now(); performance.now() - began < 5000; await frame()) {
      const wanted = ids ? ids.map(flow.findNode).filter(Boolean) : flow.nodes.value;
      if (wanted.every((node) => node.dimensions.width > 0)) return;
    }
  }

  // Room at the bottom for the tools and the minimap. In a low view notes give way first, then the room of the tools.
  async function fit(ms = 200) {
    const every = flow.nodes.value, steps = every.filter((n) => n.type !== "note");
    if (!every.length) return;
    const { width, height } = dimensions.value;
    const side = Math.min(48, width * PADDING), edge = low.value ? Math.min(12, height * PADDING) : Math.min(48, height * PADDING);
    const about = (nodes) => {
      const left = Math.min(...nodes.map((n) => n.position.x)), top = Math.min(...nodes.map((n) => n.position.y));
      const right = Math.max(...nodes.map((n) => n.position.x + n.dimensions.width)), bottom = Math.max(...nodes.map((n) => n.position.y + n.dimensions.height));
      return { left, top, right, bottom };
    };
    const nearest = ({ left, top, right, bottom }, tools) => Math.max(FARTHEST, Math.min(NEAREST, (width - 2 * side) / (right - left), (height - tools - 2 * edge) / (bottom - top)));
    let seen = about(every);
    if (low.value && steps.length && nearest(seen, TOOLS) < READ_AT) seen = about(steps);
    const tools = low.value && nearest(seen, TOOLS) < READ_AT && nearest(seen, TOOLS) < nearest(seen, 0) ? 0 : TOOLS;
    const zoom = nearest(seen, tools), { left, top, right, bottom } = seen;
    const x = (width - (right - left) * zoom) / 2 - left * zoom, y = (height - tools - (bottom - top) * zoom) / 2 - top * zoom;
    fitted = { x, y, zoom };
    if (picture()) flow.setMinZoom(zoom);
    await flow.setViewport(fitted, { duration: duration(ms) });
  }
  /** Nobody has moved the view since all of it was fitted. */
  const isFitted = () => fitted !== null && ["x", "y", "zoom"].every((name) => Math.abs(viewport.value[name] - fitted[name]) < 0.01);

  function centre(id) {
    const node = flow.findNode(id), zoom = Math.min(1.2, Math.max(viewport.value.zoom, 0.7));
    flow.setCenter(node.position.x + node.dimensions.width / 2, node.position.y + node.dimensions.height / 2, { zoom, duration: duration(200) });
  }

  /** Brings these nodes and notes as near as they all can be seen. */
  async function zoomTo(ids) {
    const nodes = ids.map(flow.findNode).filter(Boolean);
    if (!nodes.length) return;
    const left = Math.min(...nodes.map((n) => n.position.x)), top = Math.min(...nodes.map((n) => n.position.y));
    const right = Math.max(...nodes.map((n) => n.position.x + n.dimensions.width)), bottom = Math.max(...nodes.map((n) => n.position.y + n.dimensions.height));
    const { width, height } = dimensions.value, zoom = Math.max(FARTHEST, Math.min(1.2, (width * 0.8) / (right - left), (height * 0.7) / (bottom - top)));
    await flow.setViewport({ x: width / 2 - ((left + right) / 2) * zoom, y: height / 2 - ((top + bottom) / 2) * zoom, zoom }, { duration: duration(200) });
  }

  function pan(dx, dy) {
    const { x, y, zoom } = viewport.value;
    flow.setViewport({ x: x - dx, y: y - dy, zoom }, { duration: duration(80) });
  }

  /** Moves the view just as far as it takes to see these nodes with their +. */
  function show(ids) {
    const nodes = ids.map(flow.findNode).filter(Boolean), { x, y, zoom } = viewport.value, { width, height } = dimensions.value;
    if (!nodes.length) return;
    const near = (from, to, size, below = ROOM) => (from < ROOM ? ROOM - from : to > size - below ? Math.max(size - below - to, ROOM - from) : 0);
    const left = Math.min(...nodes.map((n) => n.position.x * zoom + x)), right = Math.max(...nodes.map((n) => (n.position.x + n.dimensions.width + PLUS_ROOM) * zoom + x));
    const top = Math.min(...nodes.map((n) => n.position.y * zoom + y)), bottom = Math.max(...nodes.map((n) => (n.position.y + n.dimensions.height) * zoom + y));
    const dx = near(left, right, width), dy = near(top, bottom, height, TOOLS);
    if (dx || dy) flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: duration(200) });
  }

  /** The minimap is of use where a flow is not seen at a glance, and lies on no node that could be seen. */
  const mapped = computed(() => {
    const nodes = flow.nodes.value, { x, y, zoom } = viewport.value, { width, height } = dimensions.value;
    if (low.value || nodes.length < FEW) return false;
    if (nodes.length > MANY) return true;
    return !nodes.some((n) => {
      const left = n.computedPosition.x * zoom + x, top = n.computedPosition.y * zoom + y;
      return left < width && top < height && left + n.dimensions.width * zoom > width - MAP_WIDTH && top + n.dimensions.height * zoom > height - MAP_HEIGHT;
    });
  });

  function toggleGrid() {
    grid.value = !grid.value;
    try {
      localStorage.setItem(GRID_KEPT, grid.value ? "on" : "off");
    } catch {}
  }

  /** A flow position for a point on the screen, and the middle of what is seen. */
  const at = (clientX, clientY) => flow.screenToFlowCoordinate({ x: clientX, y: clientY });
  const middle = () => {
    const box = root.value.getBoundingClientRect();
    return at(box.left + box.width / 2, box.top + box.height / 2);
  };

  const sees = ({ x, y }) => {
    const { x: left, y: top, zoom } = viewport.value, { width, height } = dimensions.value;
    return x * zoom + left > 0 && x * zoom + left < width && y * zoom + top > 0 && y * zoom + top < height;
  };

  return {
    scopes, grid, mapped, small: beyond(SMALL), far: beyond(FAR), farther: beyond(FARTHER), frame, measured, fit, isFitted, centre, zoomTo, pan, show, toggleGrid, at, middle, sees, hold, byItself,
    zoomIn: () => flow.zoomIn({ duration: duration(120) }),
    zoomOut: () => flow.zoomOut({ duration: duration(120) }),
    zoomReset: () => flow.zoomTo(1, { duration: duration(120) }),
  };
}

function recall() {
  try {
    return localStorage.getItem(GRID_KEPT);
  } catch {
    return null;
  }
}
