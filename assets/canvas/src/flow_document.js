// The flow as this tab knows it: plain nodes, edges and notes by id. Every change is a list of operations, and every
// operation can be turned round. Nothing here knows Vue.

const HOLDS = { Node: "nodes", Edge: "edges", Note: "notes" };
const EACH = new Set(["config", "inputs"]); // whose parts are fields of their own

/** An operation taken apart: { verb: add|remove|update, kind: Node|Edge|Note, id, part }. */
export function read(op) {
  const [, verb, kind] = /^(add|remove|update)(Node|Edge|Note)$/.exec(op.op);
  const part = op[kind.toLowerCase()];
  return { verb, kind, id: part?.id ?? op.id, part };
}

export function same(a, b) {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

const TURNED = { add: "remove", remove: "add" };
export const inverse = (ops) =>
  [...ops].reverse().map((op) => {
    const { verb, kind } = read(op);
    return verb === "update" ? { ...op, before: op.after, after: op.before } : { ...op, op: TURNED[verb] + kind };
  });

export class FlowDocument {
  constructor(nodes = new Map(), edges = new Map(), notes = new Map()) {
    Object.assign(this, { nodes, edges, notes });
  }

  load({ nodes = [], edges = [], notes = [] }) {
    this.nodes = new Map(nodes.map((node) => [node.id, node]));
    this.edges = new Map(edges.map((edge) => [edge.id, edge]));
    this.notes = new Map(notes.map((note) => [note.id, note]));
  }

  apply(ops) {
    for (const op of ops) {
      const { verb, kind, id, part } = read(op);
      const parts = this[HOLDS[kind]];
      if (verb === "add") parts.set(id, part);
      else if (verb === "remove") parts.delete(id);
      else parts.set(id, withoutNulls({ ...parts.get(id), ...op.after }));
    }
  }

  /**
   * What of `ops` still makes sense here, in the words of this document: parts that are gone stay gone, edges go with
   * their node, `before` is what stands here now. With `mine`, a field somebody else has changed since is left alone; of
   * settings and inputs, each of them.
   */
  settle(ops, { mine = false, types = null } = {}) {
    const here = new FlowDocument(new Map(this.nodes), new Map(this.edges), new Map(this.notes));
    const settled = [];
    const take = (op) => (here.apply([op]), settled.push(op));
    for (const op of ops) {
      const { verb, kind, id, part } = read(op);
      const now = here[HOLDS[kind]].get(id);
      if (verb === "add") {
        if (now) continue;
        if (kind === "Edge" && (!here.nodes.has(part.source) || !here.nodes.has(part.target))) continue;
        if (kind === "Edge" && types && refusal(here, types, part)) continue;
        take(op);
      } else if (!now) continue;
      else if (verb === "remove") {
        if (kind === "Node")
          for (const edge of here.edges.values()) if (edge.source === id || edge.target === id) take({ op: "removeEdge", edge });
        take({ op: op.op, [kind.toLowerCase()]: now });
      } else {
        const before = {}, after = {};
        for (const [field, wanted] of Object.entries(op.after)) {
          const others = mine && !same(now[field], op.before?.[field]);
          if (others && !EACH.has(field)) continue;
          const value = others ? turned(now[field] ?? {}, op.before?.[field] ?? {}, wanted ?? {}) : wanted;
          if (same(now[field], value)) continue;
          before[field] = now[field] ?? null;
          after[field] = value ?? null;
        }
        if (Object.keys(after).length) take({ op: op.op, id, before, after });
      }
    }
    return settled;
  }

  /** Node ids so that each comes after all it depends on; beside each other from left to right, then from top to bottom. */
  order() {
    const waiting = new Map([...this.nodes.keys()].map((id) => [id, 0]));
    for (const edge of this.edges.values()) waiting.set(edge.target, (waiting.get(edge.target) ?? 0) + 1);
    const place = (id) => this.nodes.get(id).position;
    const byPlace = (a, b) => place(a).x - place(b).x || place(a).y - place(b).y;
    const next = this.targets();
    const found = [];
    let free = [...this.nodes.keys()].filter((id) => !waiting.get(id)).sort(byPlace);
    while (free.length) {
      const id = free.shift();
      found.push(id);
      const freed = (next.get(id) ?? []).filter((target) => (waiting.set(target, waiting.get(target) - 1), !waiting.get(target)));
      if (freed.length) free = [...freed.sort(byPlace), ...free];
    }
    return found.length === this.nodes.size ? found : [...new Set([...found, ...this.nodes.keys()])];
  }

  /** Node id -> ids of the nodes its edges lead to. */
  targets() {
    const next = new Map();
    for (const { source, target } of this.edges.values()) (next.get(source) ?? next.set(source, []).get(source)).push(target);
    return next;
  }
}

/**
 * What stands here, with the keys that went from `before` to `after`, but for those somebody else has changed since. The
 * order stays, as an answer has its fields in it: a key that comes takes the place of the one that goes for it.
 */
function turned(now, before, after) {
  const mine = (key) => !same(before[key], after[key]) && same(now[key], before[key]);
  const goes = (key) => mine(key) && !Object.hasOwn(after, key);
  const keys = Object.keys(now), was = Object.keys(before), wanted = Object.keys(after);
  for (const [at, key] of wanted.entries()) {
    if (!mine(key) || keys.includes(key)) continue;
    const place = keys.indexOf(was[at]);
    if (place >= 0 && goes(was[at])) keys[place] = key;
    else keys.splice(1 + keys.indexOf(wanted.slice(0, at).reverse().find((one) => keys.includes(one))), 0, key);
  }
  return Object.fromEntries(keys.filter((key) => !goes(key)).map((key) => [key, mine(key) ? after[key] : now[key]]));
}

const withoutNulls = (part) => {
  if (part.policy === null) delete part.policy;
  return part;
};

const nameOf = (document, types, id) => {
  const node = document.nodes.get(id);
  return node?.label || types[node?.type]?.title || id;
};

/** Why source.source_port may not lead to target: { code, reason (a few words), message (a sentence) }, or null. */
export function refusal(document, types, { source, source_port: port = "out", target }) {
  const from = nameOf(document, types, source), to = nameOf(document, types, target);
  const type = types[document.nodes.get(target)?.type];
  const ports = types[document.nodes.get(source)?.type]?.ports;
  if (source === target) return { code: "self", reason: "leads to itself", message: `${from} cannot come after itself.` };
  if (ports && !ports.includes(port))
    return { code: "no_output", reason: "nothing comes after this", message: `Nothing can come after ${from}.` };
  if (type && type.accepts_input === false)
    return { code: "no_input", reason: "takes no input", message: `${to} starts the flow, nothing can come before it.` };
  for (const edge of document.edges.values())
    if (edge.source === source && (edge.source_port ?? "out") === port && edge.target === target)
      return { code: "duplicate", reason: "already connected", message: `${from} and ${to} are connected already.` };
  const next = document.targets(), seen = new Set(), ahead = [target];
  while (ahead.length) {
    const id = ahead.pop();
    if (id === source)
      return { code: "loop", reason: "would make a loop", message: `${from} already comes after ${to}: this connection would make a loop.` };
    if (!seen.has(id)) seen.add(id), ahead.push(...(next.get(id) ?? []));
  }
  return null;
}

/** The types whose second way is as good as the first: the others, like an Approval, have it for other cases, like a refusal. */
export const OF_WAYS = new Set(["condition", "look_up_row"]);

/** What a port is called: "not found". */
export const portWords = (port) => port.replaceAll("_", " ");

const OF_LISTS = new Set(["array_splitter", "array_flatten"]); // without one, what follows gets a list in place of an item

/**
 * The connections that close the gaps of removed nodes, as { source, source_port, target }: of each that has one connection
 * in and one out which is no way of a branch. `take_out` in step_list.py does the same.
 */
export function joinsWithout(document, ids) {
  let edges = [...document.edges.values()];
  for (const id of ids) {
    const [into, out] = ["target", "source"].map((end) => edges.filter((edge) => edge[end] === id));
    edges = edges.filter((edge) => !into.includes(edge) && !out.includes(edge));
    if (into.length === 1 && out.length === 1 && (out[0].source_port ?? "out") === "out" && !OF_LISTS.has(document.nodes.get(id)?.type))
      edges.push({ source: into[0].source, source_port: into[0].source_port ?? "out", target: out[0].target });
  }
  return edges.filter(({ id }) => !id);
}
