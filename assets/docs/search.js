// Search of the docs: the server is asked with each letter, what is found stands below the box. Without script the form does it.
const searched = document.querySelector(".fd-search input");
const found = document.querySelector(".fd-found");
// What was done last: an answer is shown only while that is still the question it belongs to.
let turn = 0;

const close = () => {
  turn += 1;
  found.hidden = true;
};

const asLink = (entry) => {
  const item = document.createElement("li");
  const link = Object.assign(document.createElement("a"), { href: entry.path, textContent: entry.title });
  link.append(Object.assign(document.createElement("small"), { textContent: entry.kind }));
  item.append(link);
  return item;
};

const look = async () => {
  const asked = searched.value;
  if (!asked.trim()) {
    close();
    return;
  }
  turn += 1;
  const mine = turn;
  const answer = await fetch(`/docs/search.json?q=${encodeURIComponent(asked)}`).catch(() => undefined);
  const entries = answer?.ok ? await answer.json() : undefined;
  if (!entries || mine !== turn) return; // the form still works
  found.querySelector("p").textContent = entries.length ? `${entries.length} found` : "The help has nothing about this.";
  found.querySelector("ul").replaceChildren(...entries.slice(0, 12).map(asLink));
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
    close();
    searched.focus();
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  const places = [searched, ...(found.hidden ? [] : found.querySelectorAll("a"))];
  const at = places.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
  const place = places[Math.max(0, Math.min(places.length - 1, at))];
  if (place !== searched) turn += 1; // a list that is walked through stays as it is
  place.focus();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".fd-search")) close();
});
