// Copy buttons and the try-it form of the docs pages. Answers are shown as text, never as markup.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: button.dataset.copy });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1500);
});

// The page that is open is in view in the list of pages; where the list of its sections stands above the text, it begins closed.
const pages = document.querySelector(".fd-list");
const open = pages?.querySelector("[aria-current]");
if (open && open.offsetTop > pages.offsetTop + pages.clientHeight) pages.scrollTop = open.offsetTop - pages.offsetTop - 60;
if (matchMedia("(max-width: 1199px)").matches) document.querySelector(".fd-sections")?.removeAttribute("open");

const show = (box, title, text) => {
  const heading = document.createElement("h3");
  const block = document.createElement("pre");
  heading.textContent = title;
  block.textContent = text;
  block.tabIndex = 0;
  box.append(heading, block);
};
// Numbers stay as they are written; only an older browser, without rawJSON, rounds those beyond 2^53.
const exact = (name, value, read) => (typeof value === "number" && JSON.rawJSON && read ? JSON.rawJSON(read.source) : value);
const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text, exact), null, 2);
  } catch {
    return text;
  }
};

// Uploads the files that were chosen or dropped, and writes their ids into the request body.
const withFiles = async (form, authorization) => {
  const area = form.querySelector("textarea");
  for (const input of form.querySelectorAll("input[type=file]")) {
    if (!input.files.length) continue;
    const ids = [];
    for (const file of input.files) {
      const body = new FormData();
      body.append("file", file, file.name);
      const answer = await fetch("/public/v1/files", { method: "POST", headers: { Authorization: authorization }, body });
      const text = await answer.text();
      if (!answer.ok) return { status: `${answer.status} ${answer.statusText}`, text };
      ids.push(JSON.parse(text).file_id);
    }
    const payload = JSON.parse(area.value || "{}", exact);
    payload[input.dataset.field] = input.multiple ? ids : ids[0];
    area.value = JSON.stringify(payload, null, 2);
    input.value = "";
  }
  return null;
};

for (const form of document.querySelectorAll(".fd-try")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const box = form.querySelector(".fd-answers");
    const button = form.querySelector("button[type=submit]");
    const headers = { Authorization: `Bearer ${form.querySelector("input").value.trim()}`, "Content-Type": "application/json" };
    box.replaceChildren();
    button.disabled = true;
    const begun = performance.now();
    const after = () => `after ${((performance.now() - begun) / 1000).toFixed(2)} s`;
    try {
      const refused = await withFiles(form, headers.Authorization);
      if (refused) {
        show(box, `${refused.status}, ${after()}`, pretty(refused.text));
        return;
      }
      const accepted = await fetch(form.dataset.endpoint, { method: "POST", headers, body: form.querySelector("textarea").value });
      const text = await accepted.text();
      show(box, `${accepted.status} ${accepted.statusText}, ${after()}`, pretty(text));
      if (accepted.status !== 202) return;
      const url = JSON.parse(text).url;
      for (;;) {
        const answer = await fetch(`${url}?wait=30`, { headers });
        const job = await answer.text();
        if (!answer.ok || !["queued", "processing"].includes(JSON.parse(job).status)) {
          show(box, `${answer.status} ${JSON.parse(job).status ?? ""}, ${after()}`, pretty(job));
          return;
        }
      }
    } catch (error) {
      show(box, "No answer", `The call did not come back: ${error.message}. Is the server still running?`);
    } finally {
      button.disabled = false;
    }
  });
}
