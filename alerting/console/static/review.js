// The review's queue: it follows what people say, and engineers settle its cases.
import { attempt, call, line as lineUrl } from "./api.js";
import { follow } from "./live.js";
import { askWhy } from "./reasons.js";
import { renewedSoon, renewParts } from "./renewing.js";

const PAUSE_MS = 500;
const renew = () => renewParts(["#cases", "#steps tbody", "#counts"], ".case");
const soon = renewedSoon(renew, PAUSE_MS);
const endOf = (name) => document.querySelector(`[data-end-of="${CSS.escape(name)}"]`).dataset;

follow({
  onSnapshot: soon,
  onLine: (found) => { if (found.card.review_revision !== undefined) soon(); },
});

function settle(item, name) {
  const { id, line, part } = item.dataset;
  const { title, reasons } = endOf(name);
  const confirm = async (reason) => {
    const body = { part_id: part, standing: name, reason };
    if (await attempt(() => call("POST", `${lineUrl(line)}/review/confirm`, body), `${title}: ${part}.`)) await renew();
  };
  const renewed = () => document.querySelector(`.case[data-id="${CSS.escape(id)}"]`);
  askWhy(title, `Part ${part} of ${line}`, reasons.split("|"), confirm, renewed);
}

async function takeBack(item) {
  const { line, part } = item.dataset;
  const done = await attempt(async () => {
    const { newest } = await call("GET", `${lineUrl(line)}/review/case?${new URLSearchParams({ part_id: part })}`);
    await call("POST", `${lineUrl(line)}/review/take-back`, { part_id: part, step: newest?.step ?? "0" });
  }, `Taken back: ${part}.`);
  if (done) await renew();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-end]");
  if (button) settle(button.closest(".case"), button.dataset.end);
});

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const cases = [...document.querySelectorAll(".case")];
  const here = event.target.closest(".case");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const next = cases[here ? cases.indexOf(here) + (event.key === "ArrowDown" ? 1 : -1) : 0];
    if (!next) return;
    event.preventDefault();
    next.focus();
    return;
  }
  if (!here) return;
  const button = [...here.querySelectorAll("[data-end]:enabled")].find((one) => endOf(one.dataset.end).key === event.key);
  if (button) settle(here, button.dataset.end);
  else if (event.key === "u" && here.dataset.may === "yes") takeBack(here);
  else if (event.key === "Enter" && event.target === here) here.querySelector("a").click();
  else return;
  event.preventDefault();
});
