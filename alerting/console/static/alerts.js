// The alert feed: it follows the lines, and takes acknowledgements and shelves.
import { attempt, call, line as lineUrl } from "./api.js";
import { follow } from "./live.js";
import { renewedSoon, renewParts } from "./renewing.js";

const PAUSE_MS = 1000;
const LISTS = ["#alerts", "#detections tbody", "#deeds tbody"];
const reasons = [...document.querySelectorAll("#keys [data-reason]")].map((one) => one.textContent);
const dialog = document.getElementById("handle");
const form = dialog.querySelector("form");
let wish = null;

const renew = () => renewParts(LISTS, ".alert");
const soon = renewedSoon(renew, PAUSE_MS);

follow({
  onSnapshot: soon,
  onLine: (found) => {
    if (found.card.alerts_revision !== undefined || found.parts.some((part) => part.letter !== "P")) soon();
  },
});

async function acknowledge(alert, reason) {
  const { line, key } = alert.dataset;
  const done = await attempt(
    () => call("POST", `${lineUrl(line)}/alerts/acknowledge`, { key, reason }), `Acknowledged: ${key}.`);
  if (done) await renew();
}

async function shelve(alert, reason, minutes) {
  const { line, key } = alert.dataset;
  const said = minutes ? `Shelved for ${minutes} minutes: ${key}.` : `No longer shelved: ${key}.`;
  const done = await attempt(() => call("POST", `${lineUrl(line)}/alerts/shelve`, { key, reason, minutes }), said);
  if (done) await renew();
}

function ask(alert, what) {
  if (!alert.querySelector("[data-do]")) return;
  wish = { alert, what };
  document.getElementById("handle-title").textContent = what === "shelve" ? "Shelve" : "Acknowledge";
  document.getElementById("handle-what").textContent = `${alert.dataset.line}: ${alert.dataset.key}`;
  document.getElementById("handle-for").hidden = what !== "shelve";
  form.reset();
  dialog.showModal();
  form.elements.reason.focus();
}

// The alert may have been renewed under the question, and would have lost the focus.
dialog.addEventListener("close", () => {
  const holder = document.activeElement;
  if (!wish || (holder && holder !== document.body && !dialog.contains(holder))) return;
  document.querySelector(`.alert[data-id="${CSS.escape(wish.alert.dataset.id)}"]`)?.focus();
});

form.addEventListener("submit", (event) => {
  if (event.submitter?.value !== "do" || !wish) return;
  const reason = form.elements.reason.value;
  if (wish.what === "shelve") shelve(wish.alert, reason, Number(form.elements.minutes.value));
  else acknowledge(wish.alert, reason);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest(".alert [data-do]");
  if (button) ask(button.closest(".alert"), button.dataset.do);
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const alerts = [...document.querySelectorAll(".alert")];
  const here = event.target.closest(".alert");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = alerts[here ? alerts.indexOf(here) + (event.key === "ArrowDown" ? 1 : -1) : 0];
    if (next) {
      event.preventDefault();
      next.focus();
    }
    return;
  }
  if (event.key === "n") document.querySelector("#detections tbody a")?.click();
  if (!here || !here.querySelector("[data-do]")) return;
  if (event.key === "a") ask(here, "acknowledge");
  else if (event.key === "s") ask(here, "shelve");
  else if (reasons[Number(event.key) - 1]) acknowledge(here, reasons[Number(event.key) - 1]);
  else return;
  event.preventDefault();
});
