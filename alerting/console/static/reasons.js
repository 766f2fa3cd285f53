// Asks why, by one key for each of some reasons or by a text of one's own.
const dialog = document.getElementById("why");
const form = dialog.querySelector("form");
const choices = document.getElementById("why-reasons");
let answered = null;
let home = null;

// Calls `done(reason, cameras)` once somebody says why; nothing where they do not. What had the focus may have been
// renewed meanwhile: `back` then finds what is to have it.
export function askWhy(title, what, reasons, done, back = null) {
  document.getElementById("why-title").textContent = title;
  document.getElementById("why-what").textContent = what;
  choices.replaceChildren(...reasons.map((reason, index) => {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = index + 1;
    button.type = "button";
    button.dataset.reason = reason;
    button.append(`${reason} `, key);
    return button;
  }));
  answered = done;
  home = back;
  form.reset();
  dialog.showModal();
  (choices.querySelector("button") ?? form.elements.reason).focus();
}

function answer(reason) {
  const camera = form.elements.camera?.value;
  const done = answered;
  answered = null;
  dialog.close();
  done?.(reason, camera ? [camera] : []);
}

dialog.addEventListener("close", () => {
  const holder = document.activeElement;
  if (!holder || holder === document.body || dialog.contains(holder)) home?.()?.focus();
});

choices.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reason]");
  if (button) answer(button.dataset.reason);
});

dialog.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const button = choices.children[Number(event.key) - 1];
  if (!button) return;
  event.preventDefault();
  answer(button.dataset.reason);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const reason = form.elements.reason.value.trim();
  if (event.submitter?.value !== "do") dialog.close();
  else if (reason) answer(reason);
  else form.elements.reason.focus();
});
