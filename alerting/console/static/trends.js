// Trends are renewed while they are seen; what was scrolled stays where it was.
import { renewParts } from "./renewing.js";

const EVERY_MS = 30_000;

setInterval(async () => {
  if (document.visibilityState !== "visible" || document.activeElement?.closest(".scrolls")) return;
  const scrolled = document.querySelector(".tall")?.scrollTop ?? 0;
  await renewParts(["#trends"]);
  const there = document.querySelector(".tall");
  if (there) there.scrollTop = scrolled;
}, EVERY_MS);
