// Undo and redo: lists of operations this tab made. What others did since is never taken back.
import { reactive } from "vue";
import { inverse, read, same } from "./flow_document.js";

const DEPTH = 200;
const SAME_GESTURE_MS = 1000;

export class History {
  done = [];
  undone = [];
  count = reactive({ undo: 0, redo: 0 });

  /** Remembers settled operations; those with the same key within a second are one step. */
  remember(ops, key = "") {
    const last = this.done.at(-1), now = performance.now();
    if (key && last?.key === key && now - last.at < SAME_GESTURE_MS) Object.assign(last, { ops: folded([...last.ops, ...ops]), at: now });
    else this.done.push({ ops, key, at: now });
    if (!this.done.at(-1).ops.length) this.done.pop(); // a gesture that went back to where it began
    if (this.done.length > DEPTH) this.done.shift();
    this.undone.length = 0;
    this.#counted();
  }

  /** `settle` says what of the operations still makes sense. Empty when nothing is left of the step; null without one. */
  undo(settle) {
    return this.#step(this.done, this.undone, (ops) => settle(inverse(ops)), inverse);
  }

  redo(settle) {
    return this.#step(this.undone, this.done, settle, (ops) => ops);
  }

  forget() {
    this.done.length = this.undone.length = 0;
    this.#counted();
  }

  #step(from, to, settle, keep) {
    const step = from.pop(), ops = step ? settle(step.ops) : null;
    if (ops?.length) to.push({ ops: keep(ops), key: "", at: 0 });
    this.#counted();
    return ops;
  }

  #counted() {
    Object.assign(this.count, { undo: this.done.length, redo: this.undone.length });
  }
}

/**
 * The same change in fewer operations: a value that goes on from what an earlier update of its property made joins that
 * one, so that a long gesture stays a list that the server takes. One that somebody else has changed in between does not.
 */
function folded(ops) {
  const list = [];
  let newest = new Map(); // part and property -> the operation of `list` that changed it last
  for (const op of ops) {
    if (read(op).verb !== "update") {
      newest = new Map();
      list.push(op);
      continue;
    }
    const left = { ...op, before: {}, after: {} };
    for (const [field, value] of Object.entries(op.after)) {
      const name = `${op.op} ${field} ${op.id}`, earlier = newest.get(name);
      if (earlier && same(earlier.after[field], op.before?.[field])) {
        earlier.after[field] = value;
        continue;
      }
      left.before[field] = op.before?.[field];
      left.after[field] = value;
      newest.set(name, left);
    }
    list.push(left);
  }
  return list.flatMap((op) => {
    if (read(op).verb !== "update") return [op];
    const changed = Object.keys(op.after).filter((field) => !same(op.before[field], op.after[field]));
    const of = (values) => Object.fromEntries(changed.map((field) => [field, values[field]]));
    return changed.length ? [{ ...op, before: of(op.before), after: of(op.after) }] : [];
  });
}
