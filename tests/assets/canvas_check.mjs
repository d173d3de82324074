// Run by test_canvas_modules.py with Node: the parts of the canvas that need no browser. `vue` and dagre are stand-ins of a line each.
import { registerHooks } from "node:module";
import test from "node:test";
import assert from "node:assert/strict";

const vue = "data:text/javascript," + encodeURIComponent("export const reactive = (x) => x; export const ref = (x) => ({ value: x }); export const shallowRef = ref; export const markRaw = (x) => x; export const nextTick = (f) => Promise.resolve().then(f); export const computed = (f) => ({ get value() { return f(); } });");
// Auto layout is seen in the browser tests; nothing here lays out, and a clean checkout has no npm packages.
const dagre = "data:text/javascript," + encodeURIComponent("export class Graph {} export const layout = () => { throw new Error('no layout here'); };");
const standIns = { vue, "@dagrejs/dagre": dagre };
registerHooks({ resolve: (name, context, next) => (name in standIns ? { url: standIns[name], shortCircuit: true } : next(name, context)) });

const keep = () => {
  const values = new Map();
  const store = { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => values.set(key, value), removeItem: (key) => values.delete(key) };
  return new Proxy(store, { ownKeys: () => [...values.keys()], getOwnPropertyDescriptor: (_, key) => values.has(key) && { enumerable: true, configurable: true } });
};
const held = new Map(); // name -> let go
const locks = {
  async request(name, options, work) {
    if (held.has(name)) return work(null);
    held.set(name, true);
    const done = work({ name });
    if (done instanceof Promise) return done.then(() => held.delete(name));
    held.delete(name);
    return done;
  },
};
Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
globalThis.localStorage = keep();
globalThis.sessionStorage = keep();

const src = new URL("../../assets/canvas/src/", import.meta.url);
const load = (name) => import(new URL(name, src));
const { FlowDocument, inverse, joinsWithout, same } = await load("flow_document.js");
const { History } = await load("history.js");
const { search } = await load("search_hits.js");
const { connection } = await load("connection.js");
const { aligned } = await load("aligning.js");
const { adding, fitting } = await load("adding.js");
const { fromText } = await load("clipboard.js");
const { Journal } = await load("journal.js");
const { Resending } = await load("resending.js");
const { sending } = await load("sending.js");
const { actionsFor } = await load("actions.js");
const { selecting } = await load("selecting.js");

const TYPES = {
  api_input: { title: "API Input", ports: ["out"], accepts_input: false, single: true }, prompt: { title: "Prompt", ports: ["out"], accepts_input: true },
  condition: { title: "Condition", ports: ["yes", "no"], accepts_input: true }, api_output: { title: "API Output", ports: [], accepts_input: true, single: true },
};

function dice(seed) { // mulberry32: the same walk every time
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const pick = (roll, list) => list[Math.floor(roll() * list.length)];
const seen = (document) => JSON.stringify([document.nodes, document.edges, document.notes].map((parts) => [...parts].sort(([a], [b]) => (a < b ? -1 : 1))));

let made = 0;
function gesture(roll, document) {
  const nodes = [...document.nodes.values()], edges = [...document.edges.values()], notes = [...document.notes.values()];
  const node = pick(roll, nodes), note = pick(roll, notes), edge = pick(roll, edges), place = { x: Math.floor(roll() * 50) * 20, y: Math.floor(roll() * 50) * 20 };
  return {
    add: () => [{ op: "addNode", node: { id: `n${++made}`, type: pick(roll, Object.keys(TYPES)), label: "", position: place, config: {}, inputs: {} } }],
    move: () => nodes.filter(() => roll() < 0.5).map((one) => ({ op: "updateNode", id: one.id, before: { position: one.position }, after: { position: place } })),
    set: () => node && [{ op: "updateNode", id: node.id, before: { config: node.config }, after: { config: { ...node.config, [pick(roll, "abc".split(""))]: Math.floor(roll() * 9) } } }],
    label: () => node && [{ op: "updateNode", id: node.id, before: { label: node.label }, after: { label: `L${Math.floor(roll() * 99)}` } }],
    policy: () => node && [{ op: "updateNode", id: node.id, before: { policy: node.policy ?? null }, after: { policy: roll() < 0.4 ? null : { retries: Math.floor(roll() * 3) } } }],
    drop: () => node && [{ op: "removeNode", node }],
    join: () => node && [{ op: "addEdge", edge: { id: `e${++made}`, source: node.id, source_port: pick(roll, TYPES[node.type].ports) ?? "out", target: pick(roll, nodes).id } }],
    cut: () => edge && [{ op: "removeEdge", edge }],
    note: () => [{ op: "addNote", note: { id: `t${++made}`, text: "", position: place, size: { width: 200, height: 80 } } }],
    write: () => note && [{ op: "updateNote", id: note.id, before: { text: note.text }, after: { text: `T${Math.floor(roll() * 99)}` } }],
    tear: () => note && [{ op: "removeNote", note }],
  }[pick(roll, ["add", "add", "add", "move", "set", "label", "policy", "drop", "join", "join", "join", "cut", "note", "write", "tear"])]() || [];
}

test("undo and redo of random edits return the identical document", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const roll = dice(seed), document = new FlowDocument(), history = new History(), states = [seen(document)];
    for (let turn = 0; turn < 30; turn++) {
      const ops = document.settle(gesture(roll, document), { types: TYPES });
      if (!ops.length) continue;
      document.apply(ops);
      history.remember(ops);
      states.push(seen(document));
    }
    const back = (way) => document.apply(history[way]((ops) => document.settle(ops, { mine: true, types: TYPES })));
    for (let at = states.length - 2; at >= 0; at--) back("undo"), assert.equal(seen(document), states[at], `seed ${seed}, undo to ${at}`);
    for (let at = 1; at < states.length; at++) back("redo"), assert.equal(seen(document), states[at], `seed ${seed}, redo to ${at}`);
  }
});

test("an undo takes back what this tab changed in settings and inputs, and leaves what others did", () => {
  const document = new FlowDocument(), history = new History();
  const mine = (after) => {
    const ops = document.settle([{ op: "updateNode", id: "p", after }]);
    document.apply(ops), history.remember(ops);
  };
  const theirs = (after) => document.apply([{ op: "updateNode", id: "p", after }]);
  const back = (way) => {
    const ops = history[way]((list) => document.settle(list, { mine: true, types: TYPES }));
    if (ops) document.apply(ops);
    return ops;
  };
  const node = () => document.nodes.get("p");
  document.load({ nodes: [{ id: "p", type: "prompt", label: "P", position: { x: 0, y: 0 }, config: { model: "m" }, inputs: { prompt: "Hello" } }] });
  mine({ position: { x: 20, y: 0 } });
  mine({ config: { model: "m", temperature: 0.7 } });
  theirs({ config: { model: "m", temperature: 0.7, longest: 500 } });
  back("undo");
  assert.deepEqual(node().config, { model: "m", longest: 500 });
  assert.deepEqual(node().position, { x: 20, y: 0 });
  back("redo");
  assert.deepEqual(node().config, { model: "m", longest: 500, temperature: 0.7 });

  mine({ inputs: { prompt: "Mine", system: "Mine" } });
  theirs({ inputs: { prompt: "Theirs", system: "Mine" } });
  back("undo");
  assert.deepEqual(node().inputs, { prompt: "Theirs" });

  // Nothing is left of the last step: it says so, and the one before it stays for the next press.
  mine({ label: "Mine" });
  theirs({ label: "Theirs" });
  assert.deepEqual(back("undo"), []);
  assert.deepEqual([node().label, node().config.temperature], ["Theirs", 0.7]);
  back("undo");
  assert.deepEqual(node().config, { model: "m", longest: 500 });
  back("undo");
  assert.deepEqual(node().position, { x: 0, y: 0 });
  assert.equal(back("undo"), null);
});

test("a key held down for long is one step with one operation for each part and property", () => {
  const document = new FlowDocument(), history = new History(), ids = Array.from({ length: 121 }, (_, at) => `n${at}`);
  document.load({ nodes: ids.map((id) => ({ id, type: "prompt", label: id, position: { x: 0, y: 0 }, config: {}, inputs: {} })) });
  const change = (parts, field, value) => {
    const ops = document.settle(parts.map((id) => ({ op: "updateNode", id, after: { [field]: value } })));
    document.apply(ops), history.remember(ops, "held");
  };
  const back = (way) => {
    const ops = history[way]((list) => document.settle(list, { mine: true, types: TYPES }));
    document.apply(ops);
    return ops;
  };
  for (let step = 1; step <= 100; step++) change(ids, "position", { x: 0, y: 20 * step });
  assert.equal(back("undo").length, 121);
  assert.ok(ids.every((id) => same(document.nodes.get(id).position, { x: 0, y: 0 })));
  assert.equal(back("redo").length, 121);
  assert.equal(document.nodes.get("n5").position.y, 2000);

  // What somebody else changed in between is not taken back, and what went there and back leaves no step.
  history.forget();
  change(["n0"], "config", { mine: 1 });
  document.apply([{ op: "updateNode", id: "n0", after: { config: { mine: 1, theirs: 1 } } }]);
  change(["n0"], "config", { mine: 2, theirs: 1 });
  change(["n0"], "config", { mine: 3, theirs: 1 });
  change(["n0"], "label", "Mine");
  assert.equal(back("undo").length, 3);
  assert.deepEqual([document.nodes.get("n0").config, document.nodes.get("n0").label], [{ theirs: 1 }, "n0"]);
  history.forget();
  for (const y of [2020, 2000]) change(ids, "position", { x: 0, y });
  assert.equal(history.count.undo, 0);
});

test("an undo beside another person's change leaves the inputs in their order", () => {
  const order = (before, after, theirs) => {
    const document = new FlowDocument(), history = new History();
    document.load({ nodes: [{ id: "o", type: "api_output", label: "", position: { x: 0, y: 0 }, config: {}, inputs: before }] });
    const ops = document.settle([{ op: "updateNode", id: "o", after: { inputs: after } }]);
    document.apply(ops), history.remember(ops);
    document.apply([{ op: "updateNode", id: "o", after: { inputs: theirs } }]);
    document.apply(history.undo((list) => document.settle(list, { mine: true, types: TYPES })));
    return JSON.stringify(document.nodes.get("o").inputs);
  };
  assert.equal(order({ a: 1, b: 2, c: 3 }, { x: 1, b: 2, c: 3 }, { x: 1, b: 2, c: 4 }), '{"a":1,"b":2,"c":4}');
  assert.equal(order({ a: 1, b: 2, c: 3 }, { a: 1, x: 2, c: 3 }, { z: 1, x: 2, c: 3, d: 4 }), '{"z":1,"b":2,"c":3,"d":4}');
  assert.equal(order({ a: 1, b: 2, c: 3 }, { a: 1, c: 3 }, { a: 1, c: 4 }), '{"a":1,"b":2,"c":4}');
  assert.equal(order({ a: 1, b: 2 }, { a: 1, b: 2, c: 3 }, { d: 0, a: 5, b: 2, c: 3 }), '{"d":0,"a":5,"b":2}');
  assert.equal(order({ a: 1, b: 2 }, { x: 1, b: 2 }, { x: 5, b: 2 }), '{"a":1,"x":5,"b":2}');
});

test("in a longer break what asks the server for each change cannot be used, in a short one it can", async () => {
  const field = { isConnected: true, closest: () => panel, focus: () => (page.activeElement = field) };
  const panel = { inert: false }, page = { body: {}, activeElement: field, querySelectorAll: () => [panel] };
  const heard = {}, on = (name, call) => (heard[name] = call), off = () => {};
  globalThis.document = page;
  globalThis.window = { socket: { on, off, connected: true }, addEventListener: on, removeEventListener: off };
  const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let backs = 0;
  const link = connection(() => backs++, 50);
  link.listen();
  heard.disconnect();
  assert.deepEqual([link.offline.value, panel.inert], [true, false]);
  heard.connect();
  await pass(80);
  assert.deepEqual([link.offline.value, panel.inert, backs], [false, false, 1]);
  heard.disconnect();
  heard.offline();
  await pass(80);
  assert.equal(panel.inert, true);
  page.activeElement = page.body; // a field that cannot be used loses the keyboard
  heard.connect();
  assert.deepEqual([panel.inert, page.activeElement], [false, field]);
  link.ignore();
  delete globalThis.document, delete globalThis.window;
});

test("while the server cannot be asked, nothing is added", async () => {
  const drawing = new FlowDocument(), asked = [];
  drawing.load({ nodes: [{ id: "p", type: "prompt", label: "P", position: { x: 0, y: 0 } }] });
  const root = { value: { focus() {}, getBoundingClientRect: () => ({ left: 0, top: 0, width: 9, height: 9 }), querySelector: () => root.value } };
  const emit = (event) => asked.push(event), middle = () => ({ x: 0, y: 0 });
  let reached = false;
  const adds = adding({ editor: { document: drawing }, view: { middle, sees: () => true }, root, emit, send: emit, editable: () => true, asks: () => reached, say() {}, selection: () => ({ nodes: ["p"], notes: [] }), types: () => TYPES, typeOf: (type) => TYPES[type], leaving: { value: new Map() }, cut() {} });
  const all = async () => (adds.addNote(), adds.duplicate(), adds.plusAt({}), await adds.paste());
  await all();
  assert.deepEqual([asked, adds.chooser.value], [[], null]);
  reached = true;
  await all();
  assert.deepEqual(asked, ["noterequest", "pasterequest"]);
  assert.ok(adds.chooser.value);
});

test("two tabs whose edits cross show the same flow in the end", () => {
  for (let seed = 1; seed <= 80; seed++) {
    const roll = dice(seed * 7), server = new FlowDocument();
    const tabs = [0, 1].map((number) => ({ document: new FlowDocument(), journal: new Journal("cross", ""), sent: [], inbox: [], number }));
    const apply = (document, ops) => { const settled = document.settle(ops); document.apply(settled); return settled; };
    const deliver = (tab) => {
      const message = tab.sent.shift();
      if (!message) return;
      apply(server, message.ops);
      tab.inbox.push({ ack: message.seq });
      tabs[1 - tab.number].inbox.push({ ops: message.ops });
    };
    const read = (tab) => {
      const news = tab.inbox.shift();
      if (news?.ack) tab.journal.acknowledge(news.ack);
      else if (news) apply(tab.document, tab.journal.withoutMine(news.ops));
    };
    const moves = (tab) => { // values, the way a flow is edited by two: parts are the server's to make
      const ops = tab.document.settle(gesture(roll, tab.document).filter(({ op }) => op.startsWith("update")));
      if (!ops.length) return;
      tab.document.apply(ops);
      tab.sent.push(tab.journal.write(0, "edit", ops));
    };
    for (const document of [server, ...tabs.map((tab) => tab.document)])
      document.load({ nodes: ["a", "b", "c"].map((id) => ({ id, type: "prompt", label: id, position: { x: 0, y: 0 }, config: {}, inputs: {} })), notes: [{ id: "t", text: "", position: { x: 0, y: 0 }, size: { width: 200, height: 80 } }] });
    for (let turn = 0; turn < 60; turn++) pick(roll, [moves, deliver, read, read])(pick(roll, tabs));
    while (tabs.some((tab) => tab.sent.length || tab.inbox.length)) for (const tab of tabs) deliver(tab), read(tab);
    for (const tab of tabs) assert.equal(seen(tab.document), seen(server), `seed ${seed}`);
  }
});

test("a search finds labels, kinds, settings and notes, and says where", () => {
  const document = new FlowDocument();
  document.load({
    nodes: [{ id: "p", type: "prompt", label: "Summarise", position: { x: 0, y: 0 }, config: { model: "simulated" }, inputs: { prompt: "Sum up {{ api_input.out.url }} in two sentences" } }, { id: "q", type: "condition", label: "Long?", position: { x: 1, y: 0 } }],
    notes: [{ id: "n", text: "Ask Tom about limits", position: { x: 0, y: 0 } }],
  });
  const find = (text) => search(document, TYPES, {}, text).map(({ id, where }) => [id, where]);
  assert.deepEqual(find("SUMMARISE"), [["p", "Summarise: Prompt"]]);
  assert.deepEqual(find("condition"), [["q", "Long?: Condition"]]);
  assert.equal(find("api_input")[0][0], "p");
  assert.deepEqual(find("tom"), [["n", "Note: Ask Tom about limits"]]);
  assert.deepEqual(find("  "), []);
});

test("a selection is lined up and spread out on the grid", () => {
  const boxes = [{ id: "a", x: 0, y: 0, width: 200, height: 80 }, { id: "b", x: 100, y: 200, width: 200, height: 80 }, { id: "c", x: 600, y: 100, width: 200, height: 80 }];
  const xs = (how) => boxes.map(({ id }) => aligned(boxes, how).get(id).x), ys = (how) => boxes.map(({ id }) => aligned(boxes, how).get(id).y);
  assert.deepEqual(xs("left"), [0, 0, 0]);
  assert.deepEqual(xs("centre"), [300, 300, 300]);
  assert.deepEqual(xs("right"), [600, 600, 600]);
  assert.deepEqual(ys("top"), [0, 0, 0]);
  assert.deepEqual(ys("middle"), [100, 100, 100]);
  assert.deepEqual(ys("bottom"), [200, 200, 200]);
  assert.deepEqual(xs("across"), [0, 300, 600]);
  assert.deepEqual(ys("down"), [0, 200, 100]);
});

test("the neighbours of removed nodes are connected where only one connection can be meant", () => {
  const flow = (types, ...edges) => {
    const document = new FlowDocument();
    document.load({
      nodes: Object.entries(types).map(([id, type]) => ({ id, type, position: { x: 0, y: 0 } })),
      edges: edges.map((edge, number) => { const [from, target] = edge.split(" "), [source, source_port] = from.split("."); return { id: `e${number}`, source, source_port, target }; }),
    });
    return document;
  };
  const joins = (document, ...ids) => joinsWithout(document, ids).map(({ source, source_port, target }) => `${source}.${source_port} ${target}`);
  const row = flow({ a: "api_input", b: "prompt", c: "prompt", d: "prompt" }, "a b", "b c", "c d");
  assert.deepEqual(joins(row, "b"), ["a.out c"]);
  assert.deepEqual(joins(row, "b", "c"), ["a.out d"]);
  assert.deepEqual(joins(row, "c", "b"), ["a.out d"]);
  assert.deepEqual(joins(row, "a", "d"), []);
  const fork = flow({ a: "api_input", q: "condition", y: "prompt", n: "prompt", z: "prompt" }, "a q", "q.yes y", "q.no n", "y z", "n z");
  assert.deepEqual(joins(fork, "y"), ["q.yes z"]);
  assert.deepEqual(joins(fork, "q"), []);
  assert.deepEqual(joins(fork, "z"), []);
  assert.deepEqual(joins(flow({ a: "prompt", q: "condition", y: "prompt" }, "a q", "q.yes y"), "q"), []);
  const list = flow({ a: "api_input", s: "array_splitter", p: "prompt", f: "array_flatten", o: "api_output" }, "a s", "s p", "p f", "f o");
  assert.deepEqual([joins(list, "s"), joins(list, "p"), joins(list, "f"), joins(list, "s", "p", "f")], [[], ["s.out f"], [], []]);
});

test("a place offers only what fits there", () => {
  const document = new FlowDocument();
  document.load({ nodes: [{ id: "a", type: "api_input", position: { x: 0, y: 0 } }] });
  const offered = (where) => fitting(document, TYPES, where).map(({ type }) => type);
  assert.deepEqual(offered({ after: "a" }), ["prompt", "condition", "api_output"]);
  assert.deepEqual(offered({ edge: "e" }), ["prompt", "condition"]);
  assert.deepEqual(offered({}), ["prompt", "condition", "api_output"]);
});

test("a closed tab's edits are taken over by the next, a living tab's are not", async () => {
  const ops = (id) => [{ op: "removeNode", node: { id } }];
  const living = new Journal("f", "one");
  await living.fromBefore();
  living.write(3, "delete", ops("x"));
  globalThis.sessionStorage = keep();
  const closed = new Journal("f", "two");
  await closed.fromBefore();
  closed.write(4, "delete", ops("y"));
  held.delete("flowport-journal f two"); // its page is gone
  globalThis.sessionStorage = keep();
  const next = new Journal("f", "three");
  assert.deepEqual((await next.fromBefore()).map(({ clientId, ops: [op] }) => [clientId, op.node.id]), [["two", "y"]]);
  const reloaded = new Journal("f", "four"); // before the server answered
  assert.deepEqual((await reloaded.fromBefore()).map(({ clientId }) => clientId), ["two"]);
  reloaded.delivered();
  globalThis.sessionStorage = keep();
  assert.deepEqual(await new Journal("f", "five").fromBefore(), []);
});

test("messages without an acknowledgement are sent again, later and later, at once when the server asks, and soon after a reconnect", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent = [], taken = () => sent.splice(0).join(" ");
  let waiting = [], connected = true;
  const again = new Resending(() => waiting, ({ seq }) => sent.push(seq), () => connected);
  const write = (seq) => (waiting.push({ seq }), again.sent());
  const acknowledge = (seen) => ((waiting = waiting.filter(({ seq }) => seq > seen)), again.acknowledged());
  write(1), write(2);
  for (const [ms, expected] of [[4_999, ""], [1, "1 2"], [9_999, ""], [1, "1 2"], [20_000, "1 2"], [40_000, "1 2"], [60_000, "1 2"], [60_000, "1 2"]]) t.mock.timers.tick(ms), assert.equal(taken(), expected);
  acknowledge(1);
  t.mock.timers.tick(5_000), assert.equal(taken(), "2");
  write(3), again.asked(1), again.asked(1);
  assert.equal(taken(), "2 3");
  again.asked(2);
  assert.equal(taken(), "3");
  connected = false;
  t.mock.timers.tick(120_000), assert.equal(taken(), "");
  connected = true;
  again.reconnected();
  t.mock.timers.tick(299), assert.equal(taken(), "");
  t.mock.timers.tick(1), assert.equal(taken(), "2 3");
  t.mock.timers.tick(5_000), assert.equal(taken(), "2 3");
  acknowledge(3);
  t.mock.timers.tick(600_000), assert.equal(taken(), "");
});

test("a message above the limit of the socket travels in pieces, and one above any flow without its content", () => {
  const sent = [], send = sending((event, message) => sent.push([event, message]));
  send("change", { seq: 1, ops: [] });
  assert.deepEqual(sent.splice(0), [["change", { seq: 1, ops: [] }]]);
  send("change", { seq: 1, ops: ["\ud800 \u{1d11e} \\ud800", { "\udc00": "\n\udbff" }] });
  assert.deepEqual(sent.splice(0), [["change", { seq: 1, ops: ["\ufffd \u{1d11e} \\ud800", { "\ufffd": "\n\ufffd" }] }]]);
  for (const start of ["", "x"]) {
    const message = { seq: 2, ops: [start + "\u{1d11e}".repeat(300_000), '"\\'.repeat(100_000)] };
    send("kept", message);
    const pieces = sent.splice(0).map(([event, piece]) => (assert.equal(event, "piece"), piece));
    for (const piece of pieces) assert.ok(piece.text.isWellFormed() && new Blob([JSON.stringify(JSON.stringify(piece))]).size < 900_000);
    assert.deepEqual([...new Set(pieces.map(({ event, number }) => `${event} ${number}`))].length, 1);
    assert.deepEqual(pieces.map(({ at, last }) => [at, last]), pieces.map((_, at) => [at, at === pieces.length - 1]));
    assert.deepEqual(JSON.parse(pieces.map(({ text }) => text).join("")), message);
  }
  send("change", { seq: 3, clientId: "me", ops: ["x".repeat(2_400_000)] });
  assert.deepEqual(sent, [["change", { seq: 3, clientId: "me", tooLarge: true }]]);
});

test("a menu offers what can be done there, and a reader only what changes nothing", () => {
  const does = new Proxy({}, { get: () => () => {} });
  const ids = (about, options) => actionsFor(about, does, options).flatMap((section) => (section.items ?? section).map(({ id }) => id).concat((section.rows ?? []).flatMap((row) => row.items.map(({ id }) => id))));
  assert.ok(ids({ nodes: ["a"], ports: ["out"] }).includes("do-run-from"));
  assert.ok(ids({ nodes: ["a", "b"], ports: [] }).includes("align-left") && !ids({ nodes: ["a", "b"], ports: [] }).includes("align-across"));
  assert.deepEqual(ids({ nodes: ["a"], ports: ["out"] }, { readonly: true }), ["do-open", "do-copy", "do-zoom"]);
  assert.deepEqual(ids({ edge: "e" }), ["do-insert", "do-mapping", "do-delete"]);
});

test("a selection is reported with the number of the last demand that was met, and again after each", async () => {
  const told = [], calls = [];
  const flow = { getSelectedNodes: { value: [] }, getSelectedEdges: { value: [] }, onNodesChange: (call) => calls.push(call), onEdgesChange: (call) => calls.push(call) };
  const selected = selecting(flow, (_, selection) => told.push([selection.nodes, selection.asked]));
  const settles = () => new Promise((resolve) => setTimeout(resolve, 25));
  const choose = (...ids) => ((flow.getSelectedNodes.value = ids.map((id) => ({ id, type: "flow" }))), calls[0]([{ type: "select" }]));
  choose("a");
  await settles();
  choose("a");
  await settles();
  assert.deepEqual(told, [[["a"], 0]]);
  selected.meet(3);
  await settles();
  assert.deepEqual(told.slice(1), [[["a"], 3]]); // unchanged, but what was told before does not count where the demand was made
  selected.meet(4);
  choose();
  await settles();
  selected.meet(0);
  await settles();
  assert.deepEqual(told.slice(2), [[[], 4]]);
});

assert.ok(same({ a: [1] }, { a: [1] }) && inverse([{ op: "addNode", node: {} }])[0].op === "removeNode");

test("a whole flow file can be pasted, in a row when it says nothing of places", () => {
  const file = { format: 1, title: "T", nodes: [{ id: "a", type: "api_input" }, { id: "b", type: "prompt" }], edges: [{ id: "e", source: "a", target: "b" }] };
  const parts = fromText(JSON.stringify(file));
  assert.deepEqual(parts.nodes.map(({ id, position }) => [id, position.x, position.y]), [["a", 0, 0], ["b", 260, 0]]);
  assert.equal(parts.edges.length, 1);
  assert.equal(fromText(JSON.stringify({ ...file, format: 2 })), null);
  assert.equal(fromText(JSON.stringify({ format: 1, nodes: [] })), null);
  assert.equal(fromText("{"), null);
});

test("whole numbers above 2^53 are pasted from a flow file without rounding", () => {
  const inputs = '{"channel":1234567890123456789,"share":0.5,"count":-7}';
  const [node] = fromText(`{"format":1,"nodes":[{"id":"a","type":"set_fields","inputs":${inputs}}]}`).nodes;
  assert.deepEqual(node.inputs, { channel: { "flowport:integer": "1234567890123456789" }, share: 0.5, count: -7 });
});
