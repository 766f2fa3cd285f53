// The part view: its neighbours by keys, the heat map over the picture, and the operator's word on it.
import { attempt, call, line as lineUrl, tell } from "./api.js";
import { showHeat } from "./heat.js";
import { askWhy } from "./reasons.js";

const WAIT_MS = 500;
const MOST_WAITS = 20;
const part = document.getElementById("part");
const { line, part: partId } = part.dataset;
const control = (id) => document.getElementById(id);

function setUp() {
  for (const picture of part.querySelectorAll("[data-picture]")) {
    const gone = () => {
      const figure = picture.closest("figure");
      figure.querySelector(".no-picture").hidden = false;
      (picture.closest(".layers") ?? picture).remove();
    };
    if (picture.complete && !picture.naturalWidth) gone();
    else picture.addEventListener("error", gone);
  }
  for (const layers of part.querySelectorAll(".layers")) {
    const { width, height } = layers.dataset;
    // All of a picture is seen at once, however high it is.
    if (Number(height)) layers.style.maxWidth = `calc(68vh * ${width / height})`;
  }
  showHeat(part);
  adjust();
}

function adjust() {
  const slider = control("opacity");
  if (!slider) return;
  const shown = control("heat-on").checked;
  control("opacity-said").textContent = `${slider.value} %`;
  for (const heat of part.querySelectorAll("canvas.heat")) heat.style.opacity = shown ? slider.value / 100 : 0;
  for (const path of part.querySelectorAll(".contour")) path.style.display = shown ? "" : "none";
  for (const region of part.querySelectorAll(".region")) region.style.display = control("regions-on").checked ? "" : "none";
}

part.addEventListener("input", adjust);

// The server renders this page: what is new is taken from it as it stands there now.
async function renewed() {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function renewReview() {
  const there = await renewed();
  const focused = document.activeElement?.dataset.say;
  if (there) control("review").replaceWith(there.getElementById("review"));
  if (focused) document.querySelector(`[data-say="${focused}"]`)?.focus();
}

// Evidence comes a moment after the gate, and a page may be faster.
async function waitForEvidence(waited) {
  const there = await renewed();
  const now = there?.getElementById("part");
  if (now && !now.hasAttribute("data-coming")) {
    part.replaceChildren(...now.childNodes);
    part.removeAttribute("data-coming");
    setUp();
  } else if (waited < MOST_WAITS) setTimeout(() => waitForEvidence(waited + 1), WAIT_MS);
}

function say(button) {
  const { say: said, title, reasons } = button.dataset;
  askWhy(title, `Part ${partId} of ${line}`, reasons.split("|"), async (reason, cameras) => {
    let told = "";
    const done = await attempt(async () => {
      const body = { part_id: partId, said, reason, cameras };
      told = (await call("POST", `${lineUrl(line)}/review/say`, body)).evidence_said;
    });
    if (!done) return;
    tell(`Noted: ${title}. ${told}`);
    await renewReview();
  });
}

async function takeBack(button) {
  const body = { part_id: partId, step: button.dataset.step };
  const done = await attempt(() => call("POST", `${lineUrl(line)}/review/take-back`, body), "Taken back.");
  if (done) await renewReview();
}

part.addEventListener("click", (event) => {
  const button = event.target.closest("[data-say]");
  if (button) say(button);
  const back = event.target.closest("#take-back");
  if (back) takeBack(back);
});

function toggle(id) {
  const box = control(id);
  if (!box) return;
  box.checked = !box.checked;
  adjust();
}

function more(by) {
  const slider = control("opacity");
  if (!slider) return;
  slider.value = Number(slider.value) + by;
  adjust();
}

const KEYS = {
  h: () => toggle("heat-on"),
  r: () => toggle("regions-on"),
  d: () => control("pack")?.click(),
  u: () => control("take-back")?.click(),
  "+": () => more(10),
  "-": () => more(-10),
};

document.addEventListener("keydown", (event) => {
  if (event.target.closest("select, dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  if (step) {
    if (event.target.closest("input, .scrolls")) return;
    event.preventDefault();
    const link = document.querySelector(`[data-step="${event.shiftKey ? `${step}_reject` : step}"]`);
    if (link?.href) link.click();
    return;
  }
  const word = document.querySelector(`[data-say][data-key="${CSS.escape(event.key)}"]`);
  if (word) say(word);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

setUp();
if (part.hasAttribute("data-coming")) setTimeout(() => waitForEvidence(1), WAIT_MS);
