// Messages the server has not acknowledged yet, kept in the browser: neither a reload nor a closed tab loses them.
// A tab keeps them in its session storage, and a copy under its name in local storage; a tab's lock says that it lives.
import { read } from "./flow_document.js";

const stored = (storage, key) => {
  try {
    return JSON.parse(storage().getItem(key) ?? "null");
  } catch {
    return null; // storage is off: the canvas works, a reload may lose the last second
  }
};
const store = (storage, key, value) => {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
  } catch {}
};
const session = () => sessionStorage, local = () => localStorage;

export class Journal {
  constructor(flowId, clientId) {
    const kept = stored(session, `flowport-canvas-${flowId}`) ?? {};
    const key = `flowport-canvas-${flowId}`, copies = `flowport-journal ${flowId} `;
    Object.assign(this, { key, copies, clientId, seq: kept.seq ?? 0, before: kept.messages ?? [], messages: [] });
    this.alive = globalThis.navigator?.locks && clientId && new Promise((resolve) => {
      navigator.locks.request(copies + clientId, { ifAvailable: true }, () => (resolve(), new Promise(() => {}))); // held while the page lives
    });
  }

  /** Takes over what tabs left behind that are gone. Answers all messages from before this page. */
  async fromBefore() {
    if (!this.alive) return this.before;
    await this.alive;
    const known = new Set(this.before.map(({ clientId, seq }) => `${clientId} ${seq}`));
    for (const name of this.#copies()) {
      await navigator.locks.request(name, { ifAvailable: true }, (free) => {
        if (!free) return;
        const left = stored(local, name) ?? [];
        this.before.push(...left.filter(({ clientId, seq }) => !known.has(`${clientId} ${seq}`)));
        store(local, name, null);
      });
    }
    if (this.before.length) this.#keep();
    return this.before;
  }

  /** A numbered message. Numbers go on over a reload, so that one number never means two edits. */
  write(baseRev, reason, ops) {
    const message = { seq: ++this.seq, clientId: this.clientId, baseRev, reason, ops };
    this.messages.push(message);
    this.#keep();
    return message;
  }

  acknowledge(seq) {
    this.messages = this.messages.filter((message) => message.seq > seq);
    this.#keep();
  }

  /** The messages before `ready` have arrived. */
  delivered() {
    this.before = [];
    this.#keep();
  }

  /** Operations of this page that are still on their way. */
  travelling() {
    return this.messages.flatMap((message) => message.ops);
  }

  /** `ops` of another tab without the fields a message on its way will set anyway: the later edit wins. */
  withoutMine(ops) {
    const mine = new Set();
    for (const op of this.travelling()) if (op.after) for (const field of Object.keys(op.after)) mine.add(`${op.op} ${op.id} ${field}`);
    if (!mine.size) return ops;
    return ops.map((op) =>
      read(op).verb !== "update" ? op
        : { ...op, after: Object.fromEntries(Object.entries(op.after).filter(([field]) => !mine.has(`${op.op} ${op.id} ${field}`))) },
    );
  }

  #copies() {
    try {
      return Object.keys(localStorage).filter((name) => name.startsWith(this.copies) && name !== this.copies + this.clientId);
    } catch {
      return [];
    }
  }

  #keep() {
    const messages = [...this.before, ...this.messages];
    store(session, this.key, { seq: this.seq, messages });
    if (this.alive) store(local, this.copies + this.clientId, messages.length ? messages : null);
  }
}
