// How a run state looks and reads: always an icon and a word, a count where a count matters.
const STATES = {
  waiting: { css: "fp-node--wait", icon: "schedule", word: "Waiting", colour: "var(--fp-line-strong)" },
  running: { css: "fp-node--run", icon: "progress_activity", word: "Running", colour: "var(--fp-accent)" },
  done: { css: "fp-node--done", icon: "check_circle", word: "Done", colour: "var(--fp-ok)" },
  failed: { css: "fp-node--bad", icon: "error", word: "Failed", colour: "var(--fp-bad)" },
  skipped: { css: "fp-node--skip", icon: "skip_next", word: "Skipped", colour: "var(--fp-line-2)" },
  cancelled: { css: "fp-node--cancel", icon: "cancel", word: "Cancelled", colour: "var(--fp-text-3)" },
};
const IDLE = { css: "", icon: "", word: "Idle", colour: "var(--fp-line-strong)" };

export const looks = (state) => STATES[state] ?? IDLE;

/** { word, aside, title, share }: the status row of {state, word, time, done, total, message}; share 0..1 or null. */
export function statusWords({ state, word, time, done, total, message }) {
  const counted = state === "running" && total > 0;
  return {
    word: word || (counted ? `${done ?? 0} of ${total}` : looks(state).word),
    aside: time || (state === "skipped" ? message : "") || "",
    title: message || null,
    share: counted ? Math.min(1, (done ?? 0) / total) : null,
  };
}
