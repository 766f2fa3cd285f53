// The policy page: a change is tried on recorded parts before it is made.
import { attempt, call, line as lineUrl } from "./api.js";

const PAUSE_MS = 300;
const form = document.getElementById("change");
const shown = document.getElementById("preview");

function changes() {
  const typed = [...form.querySelectorAll("[data-old]")].filter((field) => field.value !== field.dataset.old);
  const others = form.elements.others.value.split("\n").map((word) => word.trim()).filter(Boolean);
  return [...typed.map((field) => `${field.name}=${field.value || "none"}`), ...others];
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function table(headings, rows) {
  const head = element("tr");
  for (const heading of headings) {
    const cell = element("th", heading);
    cell.scope = "col";
    head.append(cell);
  }
  const body = rows.map((row) => element("tr", "", ...row.map((text) => element("td", String(text)))));
  return element("table", "", element("thead", "", head), element("tbody", "", ...body));
}

function show(found) {
  const moves = Object.entries(found.moves).map(([move, count]) => [...move.split(" -> "), count]);
  const examples = found.examples.map((one) => [one.part_id, `${one.before}: ${one.was}`, `${one.after}: ${one.would_be}`]);
  const parts = [
    element("p", "", element("b", `${found.changed} of ${found.parts} parts would come out otherwise.`)),
    table(["As it stands", "As it would be", "Parts"], moves),
    element("p", `Too long runs of rejects: ${found.runs_before} as it stands, ${found.runs_after} as it would be.`),
  ];
  if (examples.length) parts.push(table(["Part", "As it stands", "As it would be"], examples));
  parts.push(element("p", `From ${found.source}.`));
  shown.replaceChildren(...parts);
}

let waiting;
let turn = 0;
function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const wanted = changes();
    const mine = ++turn;
    if (!wanted.length) return shown.replaceChildren(element("p", "Nothing is changed."));
    try {
      const found = await call("POST", `${lineUrl(form.dataset.line)}/policy/preview`, { changes: wanted });
      if (mine === turn) show(found);
    } catch (error) {
      if (mine === turn) shown.replaceChildren(element("p", error.message));
    }
  }, PAUSE_MS);
}

if (form) {
  const path = `${lineUrl(form.dataset.line)}/policy`;
  const version = Number(form.dataset.version);
  form.addEventListener("input", (event) => { if (event.target.name !== "reason") soon(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { changes: changes(), version, reason: form.elements.reason.value };
    if (await attempt(() => call("POST", path, wanted))) location.reload();
  });
  document.getElementById("undo").addEventListener("click", async () => {
    if (!form.elements.reason.reportValidity()) return;
    if (await attempt(() => call("POST", `${path}/undo`, { version, reason: form.elements.reason.value }))) location.reload();
  });
}

document.getElementById("resume")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = location.pathname.split("/")[2];
  const reason = event.target.elements.reason.value;
  if (await attempt(() => call("POST", `/lines/${name}/resume`, { reason }))) location.reload();
});
