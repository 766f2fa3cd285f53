// Renews parts of a page that the server renders: they are taken from it as it stands there now, filters and all.

export async function renewParts(parts, items) {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const there = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = items && document.activeElement?.closest(items)?.dataset.id;
  for (const part of parts) document.querySelector(part).replaceChildren(...there.querySelector(part).childNodes);
  if (focused) document.querySelector(`${items}[data-id="${CSS.escape(focused)}"]`)?.focus();
}

// Returns what renews parts soon: what comes within a moment is renewed once, and what comes meanwhile once more.
export function renewedSoon(renew, pauseMs) {
  let waiting = null;
  let again = false;
  const soon = () => {
    if (waiting) {
      again = true;
      return;
    }
    waiting = setTimeout(async () => {
      await renew();
      waiting = null;
      if (again) {
        again = false;
        soon();
      }
    }, pauseMs);
  };
  return soon;
}
