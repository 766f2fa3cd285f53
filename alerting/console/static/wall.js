// The wall: cards that follow their lines.
import { follow } from "./live.js";

// Parts fill rows and stay where they are, under a finger as for whoever paints them: a whole row goes when there are
// too many, so that the last hundred are always there.
const ROW = 50;
const MOST = 3 * ROW;

const card = (name) => document.querySelector(`.card[data-line="${CSS.escape(name)}"]`);

function put(element, text) {
  if (element.tagName === "METER") element.value = text;
  else if (element.textContent !== text) element.textContent = text;
}

function fill(root, values) {
  if (values.level !== undefined) root.dataset.level = values.level;
  for (const [name, value] of Object.entries(values)) {
    const fields = root.querySelectorAll(`[data-field="${name}"]`);
    for (const field of fields) if (field.closest("[data-level]") === root) put(field, value);
  }
}

function partUrl(line, partId, entry) {
  const query = new URLSearchParams({ part_id: partId });
  if (entry) query.set("entry", entry);
  return `/lines/${encodeURIComponent(line)}/part?${query}`;
}

function showPicture(camera, line, part) {
  const link = camera.querySelector(".picture");
  if (link.dataset.part === part) return;
  link.dataset.part = part;
  link.querySelector("img")?.remove();
  link.querySelector(".no-picture").hidden = Boolean(part);
  if (!part) return link.removeAttribute("href");
  link.href = partUrl(line, part);
  const picture = document.createElement("img");
  picture.alt = `The last reject with what was found on it: part ${part}`;
  picture.addEventListener("error", () => {
    picture.remove();
    link.querySelector(".no-picture").hidden = false;
  });
  const query = new URLSearchParams({ part_id: part, camera: camera.dataset.camera });
  picture.src = `/api/v1/lines/${encodeURIComponent(line)}/picture?${query}`;
  link.prepend(picture);
}

function dot(line, part, fresh) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.className = "dot";
  link.tabIndex = -1;
  link.textContent = part.letter;
  link.title = part.title;
  link.dataset.letter = part.letter;
  link.dataset.entry = part.entry;
  link.dataset.decided = part.decided_ms;
  if (fresh) link.dataset.new = "";
  link.href = partUrl(line, part.part_id, part.entry);
  item.append(link);
  return item;
}

// One dot of a ribbon is reached by Tab, the others by the arrow keys.
function reachable(ribbon) {
  if (!ribbon.querySelector('.dot[tabindex="0"]')) ribbon.querySelector("li:last-child .dot")?.setAttribute("tabindex", "0");
}

function update(found, anew) {
  const root = card(found.line);
  if (!root) return;
  fill(root, found.card);
  for (const camera of found.card.cameras ?? []) {
    const shown = root.querySelector(`.camera[data-camera="${CSS.escape(camera.name)}"]`);
    if (!shown) continue;
    fill(shown, camera);
    showPicture(shown, found.line, camera.picture_part);
  }
  const ribbon = root.querySelector(".ribbon");
  // Of more than a hundred parts at once the first are left out: what was there before does not join them.
  if (anew || found.parts.length >= 2 * ROW) ribbon.replaceChildren();
  ribbon.append(...found.parts.map((part) => dot(found.line, part, !anew)));
  const over = Math.ceil(Math.max(0, ribbon.children.length - MOST) / ROW) * ROW;
  for (let gone = 0; gone < over; gone++) ribbon.firstElementChild.remove();
  reachable(ribbon);
  if (found.parts.length) root.dataset.newest = found.parts.at(-1).entry;
}

follow({
  onSnapshot: (lines) => lines.forEach((found) => update(found, true)),
  onLine: (found) => update(found, false),
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") {
    const rejects = [...document.querySelectorAll('.dot[data-letter="R"], .dot[data-letter="D"]')];
    const order = (link) => link.dataset.entry.split("-").map(Number);
    rejects.sort((one, other) => order(one)[0] - order(other)[0] || order(one)[1] - order(other)[1]);
    rejects.at(-1)?.click();
    return;
  }
  const link = event.target.closest(".dot");
  if (!link || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  const item = link.parentElement;
  const next = event.key === "ArrowLeft" ? item.previousElementSibling : item.nextElementSibling;
  if (!next) return;
  link.tabIndex = -1;
  next.firstElementChild.tabIndex = 0;
  next.firstElementChild.focus();
});

for (const picture of document.querySelectorAll(".picture img")) {
  const gone = () => {
    picture.parentElement.querySelector(".no-picture").hidden = false;
    picture.remove();
  };
  if (picture.complete && !picture.naturalWidth) gone();
  else picture.addEventListener("error", gone);
}
for (const ribbon of document.querySelectorAll(".ribbon")) reachable(ribbon);
