// Renews parts of a page that the server renders: they are taken from it as it stands there now, filters and all.

export async function renewParts(parts, items) {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const there = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = items && document.activeElement?.closest(items)?.dataset.id;
  for (const part of parts) document.querySelector(part).replaceChildren(...there.querySelector(part).childNodes);
  if (focused) document.querySelector(`${items}[data-id="${CSS.escape(focused)}"]`)?.focus();
}

// Renews every so often while the page is seen and nobody answers a question; returns what renews it at once.
export function renewing(parts, everyMs, items) {
  const renew = () => renewParts(parts, items);
  setInterval(() => {
    if (document.visibilityState === "visible" && !document.querySelector("dialog[open]")) renew();
  }, everyMs);
  return renew;
}
