// Search of the docs: the index comes with the first letter, what is found stands below the box. Without script the form does it.
const searched = document.querySelector(".fd-search input");
const found = document.querySelector(".fd-found");
let index;

const score = (entry, words) => {
  const title = entry.title.toLowerCase();
  const text = `${title} ${entry.text.toLowerCase()}`;
  if (!words.every((word) => text.includes(word))) return 0;
  return words.reduce((sum, word) => sum + 3 * title.includes(word) + 2 * title.startsWith(word), 1);
};

const asLink = ({ entry }) => {
  const item = document.createElement("li");
  const link = Object.assign(document.createElement("a"), { href: entry.path, textContent: entry.title });
  link.append(Object.assign(document.createElement("small"), { textContent: entry.kind }));
  item.append(link);
  return item;
};

const look = async () => {
  const asked = searched.value;
  const words = asked.toLowerCase().split(/\s+/).filter(Boolean).slice(0, 10);
  if (!words.length) {
    found.hidden = true;
    return;
  }
  index ??= fetch("/docs/search.json").then((answer) => answer.json());
  const entries = await index.catch(() => (index = undefined));
  if (!entries || searched.value !== asked) return; // the form still works
  const best = entries
    .map((entry) => ({ entry, points: score(entry, words) }))
    .filter(({ points }) => points)
    .sort((one, other) => other.points - one.points);
  found.querySelector("p").textContent = best.length ? `${best.length} found` : "Nothing holds all of these words.";
  found.querySelector("ul").replaceChildren(...best.slice(0, 12).map(asLink));
  found.hidden = false;
};

searched.addEventListener("input", look);
document.addEventListener("keydown", (event) => {
  const inField = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !inField && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    searched.focus();
    searched.select();
  }
});
document.querySelector(".fd-search").addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    found.hidden = true;
    searched.focus();
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const places = [searched, ...(found.hidden ? [] : found.querySelectorAll("a"))];
  const at = places.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
  places[Math.max(0, Math.min(places.length - 1, at))].focus();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".fd-search")) found.hidden = true;
});
