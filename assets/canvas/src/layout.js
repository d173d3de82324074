// Places for nodes: dagre decides what stands before what, this file turns that into one long row or rows that fit the view.
import { Graph, layout } from "@dagrejs/dagre";
import { COLUMN, GRID, NODE_HEIGHT, NODE_WIDTH, ROW, snap } from "./measures.js";

/**
 * Node id -> {x, y}. mode "row": one long row; "wrap": rows of as many columns as `width` pixels hold. `scopes` are the frames round
 * lists: a row ends before one that would not fit into it whole, for a frame over two rows would surround others too.
 */
export function arranged(document, types, mode, width, scopes = []) {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: ROW - NODE_HEIGHT, ranksep: COLUMN - NODE_WIDTH });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of document.order()) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  const port = (edge) => types[document.nodes.get(edge.source)?.type]?.ports?.indexOf(edge.source_port) ?? 0;
  for (const edge of [...document.edges.values()].sort((a, b) => port(a) - port(b))) graph.setEdge(edge.source, edge.target);
  layout(graph);

  const columns = new Map(); // dagre's x of a rank -> its nodes
  for (const id of graph.nodes()) {
    const { x, y } = graph.node(id);
    const rank = Math.round(x);
    (columns.get(rank) ?? columns.set(rank, []).get(rank)).push({ id, y });
  }
  const ranks = [...columns.entries()].sort((a, b) => a[0] - b[0]).map(([, nodes]) => inPortOrder(nodes, document, port));
  const perRow = mode === "row" ? ranks.length : Math.max(1, Math.floor((width - 60 + COLUMN - NODE_WIDTH) / COLUMN));
  const framed = scopes.map(({ nodes }) => ranks.flatMap((rank, i) => (rank.some(({ id }) => nodes.includes(id)) ? [i] : [])));
  const end = (start) => {
    const full = start + perRow;
    const cut = framed.filter((at) => at[0] > start && at[0] < full && at.at(-1) >= full && at.at(-1) - at[0] < perRow);
    return Math.min(full, ...cut.map(([first]) => first));
  };
  const places = new Map();
  for (let start = 0, top = 0; start < ranks.length; start = end(start)) {
    const row = ranks.slice(start, end(start));
    const ys = row.flat().map(({ y }) => y), highest = Math.min(...ys);
    row.forEach((nodes, column) => nodes.forEach(({ id, y }) => places.set(id, { x: column * COLUMN, y: snap(top + y - highest) })));
    top += Math.max(...ys) - highest + ROW;
  }
  return places;
}

/** Nodes of one column; those that come after the same node only change places until "yes" stands above "no". */
function inPortOrder(nodes, document, port) {
  const into = new Map();
  for (const edge of document.edges.values()) (into.get(edge.target) ?? into.set(edge.target, []).get(edge.target)).push(edge);
  const siblings = new Map();
  for (const node of nodes) {
    const edges = into.get(node.id) ?? [];
    if (edges.length && edges.every(({ source }) => source === edges[0].source))
      (siblings.get(edges[0].source) ?? siblings.set(edges[0].source, []).get(edges[0].source)).push({ node, rank: Math.min(...edges.map(port)) });
  }
  for (const group of siblings.values()) {
    const ys = group.map(({ node }) => node.y).sort((a, b) => a - b);
    [...group].sort((a, b) => a.rank - b.rank || a.node.y - b.node.y).forEach(({ node }, i) => (node.y = ys[i]));
  }
  return nodes;
}

/** Notes keep their distance to the node they stand nearest to. Note id -> {x, y}. */
export function notesBeside(document, places) {
  const found = new Map();
  for (const note of document.notes.values()) {
    let nearest = null, least = Infinity;
    for (const node of document.nodes.values()) {
      const away = Math.hypot(node.position.x - note.position.x, node.position.y - note.position.y);
      if (away < least) [nearest, least] = [node, away];
    }
    const to = nearest && places.get(nearest.id);
    if (to) found.set(note.id, { x: snap(note.position.x + to.x - nearest.position.x), y: snap(note.position.y + to.y - nearest.position.y) });
  }
  return found;
}

/** The place at or below `wanted` where a new node covers no other. */
export function freePlace(document, wanted) {
  const place = { x: snap(wanted.x), y: snap(wanted.y) };
  const covered = () =>
    [...document.nodes.values()].some(
      ({ position: { x, y } }) => Math.abs(x - place.x) < NODE_WIDTH + GRID && Math.abs(y - place.y) < NODE_HEIGHT + GRID,
    );
  for (let tries = 0; tries < 500 && covered(); tries++) place.y += GRID;
  return place;
}
