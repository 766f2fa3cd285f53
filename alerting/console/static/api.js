// Calls of the API with this page's token, and one place where their outcome is told.

export class Refused extends Error {}

export async function call(method, path, body) {
  const answer = await fetch(`/api/v1${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      "x-csrf-token": document.querySelector("meta[name=csrf]").content,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) location.assign("/sign-in");
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.error ?? `The console says ${answer.status}.`);
  return said;
}

let quiet;

export function tell(text) {
  const told = document.getElementById("told");
  told.textContent = text;
  told.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => { told.hidden = true; }, 6000);
}

// Does something, and tells how it went; returns whether it was done.
export async function attempt(work, done) {
  try {
    await work();
  } catch (error) {
    tell(error instanceof Refused ? error.message : "The console does not answer. Try again in a moment.");
    return false;
  }
  if (done) tell(done);
  return true;
}

export const line = (name) => `/lines/${encodeURIComponent(name)}`;
