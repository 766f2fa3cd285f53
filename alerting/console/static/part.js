// The part view: its neighbours by keys, and pictures that are gone.
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, dialog, .scrolls") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  if (!step) return;
  event.preventDefault();
  const link = document.querySelector(`[data-step="${event.shiftKey ? `${step}_reject` : step}"]`);
  if (link?.href) link.click();
});

for (const picture of document.querySelectorAll("[data-picture]")) {
  const gone = () => {
    picture.parentElement.querySelector(".no-picture").hidden = false;
    picture.remove();
  };
  if (picture.complete && !picture.naturalWidth) gone();
  else picture.addEventListener("error", gone);
}
