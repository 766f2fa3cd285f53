// The stream of updates. A browser that was away says where it was, and is told what came since or all anew.

const RETRY_MS = 2000;

function show(live) {
  const told = document.getElementById("live");
  const text = live ? "● live" : "✖ not live: reconnecting";
  if (told.textContent !== text) told.textContent = text;
  told.dataset.live = live ? "yes" : "no";
  told.hidden = false;
}

// Calls `onSnapshot` with all lines and `onLine` with what changed of one. The server's word stands for the store, too.
export function follow({ onSnapshot, onLine }) {
  let stream;
  const open = () => {
    stream = new EventSource("/api/v1/events");
    stream.addEventListener("snapshot", (event) => {
      const all = JSON.parse(event.data);
      show(!all.away);
      onSnapshot(all.lines);
    });
    stream.addEventListener("line", (event) => {
      show(true);
      onLine(JSON.parse(event.data));
    });
    stream.addEventListener("away", (event) => show(!JSON.parse(event.data).away));
    stream.addEventListener("signed-out", () => location.assign("/sign-in"));
    stream.addEventListener("error", async () => {
      show(false);
      // A browser goes on by itself after a lost connection, and not after an answer that is no stream.
      if (stream.readyState !== EventSource.CLOSED) return;
      const who = await fetch("/api/v1/me").catch(() => null);
      if (who && (who.status === 401 || who.status === 403)) location.assign("/sign-in");
      else setTimeout(open, RETRY_MS);
    });
  };
  open();
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
}
