// Places for nodes: dagre decides what stands before what, this file turns that into one long row or rows that fit the view.
import { Graph, layout } from "@dagrejs/dagre";
import { framesMix, insideFrame } from "./frames.js";
import { COLUMN, GRID, NODE_HEIGHT, NODE_WIDTH, PORT_ROOM, ROW, snap } from "./measures.js";

/**
 * Node id -> {x, y}. mode "row": one long row; "wrap": rows of as many columns as `width` pixels hold. `scopes` are the frames round
 * lists, outer ones first: they hold their own nodes only. Where rows would mix them, all becomes one long row.
 */
export function arranged(document, types, mode, width, scopes = []) {
  const first = inRows(document, types, mode, width, scopes);
  if (!framesMix(scopes, first)) return first;
  const others = [["row", true], [mode, false], ["row", false]].map(([how, ordered]) => inRows(document, types, how, width, scopes, ordered));
  return others.find((places) => !framesMix(scopes, places)) ?? first;
}

/** `ordered`: what comes after "yes" stands above what comes after "no". */
function inRows(document, types, mode, width, scopes, ordered = true) {
  const graph = new Graph({ compound: true });
  graph.setGraph({ rankdir: "LR", nodesep: ROW - NODE_HEIGHT, ranksep: COLUMN - NODE_WIDTH });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of document.order()) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const { id, nodes } of scopes) { // the innermost frame of each comes last
    graph.setNode(`frame ${id}`, {});
    const outer = graph.parent(id);
    if (outer) graph.setParent(`frame ${id}`, outer);
    for (const one of nodes) if (document.nodes.has(one)) graph.setParent(one, `frame ${id}`);
  }
  const port = (edge) => types[document.nodes.get(edge.source)?.type]?.ports?.indexOf(edge.source_port) ?? 0;
  for (const edge of [...document.edges.values()].sort((a, b) => port(a) - port(b))) graph.setEdge(edge.source, edge.target);
  layout(graph);

  const columns = new Map(); // dagre's x of a rank -> its nodes
  for (const id of document.nodes.keys()) {
    const { x, y } = graph.node(id);
    const rank = Math.round(x);
    (columns.get(rank) ?? columns.set(rank, []).get(rank)).push({ id, y });
  }
  const ranks = [...columns.entries()].sort((a, b) => a[0] - b[0]).map(([, nodes]) => (ordered ? inPortOrder(nodes, document, port) : nodes));
  const steps = ranks.map((rank) => COLUMN + (rank.some(({ id }) => types[document.nodes.get(id).type]?.ports?.length > 1) ? PORT_ROOM : 0));
  const across = (from, to) => steps.slice(from, to).reduce((sum, step) => sum + step, 0);
  const fits = (start, columns) => across(start, start + columns - 1) + NODE_WIDTH <= width - 60;
  const framed = scopes.map(({ nodes }) => ranks.flatMap((rank, i) => (rank.some(({ id }) => nodes.includes(id)) ? [i] : [])));
  const end = (start) => {
    if (mode === "row") return ranks.length;
    let full = start + 1;
    while (full < ranks.length && fits(start, full - start + 1)) full++;
    const cut = framed.filter((at) => at[0] > start && at[0] < full && at.at(-1) >= full).map(([first]) => first);
    const over = framed.filter((at) => at[0] < start && at.at(-1) >= start).map((at) => at.at(-1) + 1); // a frame of several rows has them alone
    return Math.min(full, ...cut, ...over);
  };
  const places = new Map();
  for (let start = 0, top = 0; start < ranks.length; start = end(start)) {
    const row = ranks.slice(start, end(start));
    const ys = row.flat().map(({ y }) => y), highest = Math.min(...ys);
    row.forEach((nodes, column) => nodes.forEach(({ id, y }) => places.set(id, { x: across(start, start + column), y: snap(top + y - highest) })));
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

/** The place at or below `wanted` where a new node covers no other and lies in none of these frames. */
export function freePlace(document, wanted, scopes = []) {
  const place = { x: snap(wanted.x), y: snap(wanted.y) };
  const covered = () =>
    [...document.nodes.values()].some(
      ({ position: { x, y } }) => Math.abs(x - place.x) < NODE_WIDTH + GRID && Math.abs(y - place.y) < NODE_HEIGHT + GRID,
    ) || insideFrame(document, scopes, place);
  for (let tries = 0; tries < 500 && covered(); tries++) place.y += GRID;
  return place;
}
