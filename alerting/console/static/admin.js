// Users and tokens. Secrets are shown once, in a dialog of their own.
import { attempt, call } from "./api.js";

const once = document.getElementById("once");

function showOnce(what, secret) {
  document.getElementById("once-what").textContent = what;
  document.getElementById("once-secret").textContent = secret;
  once.showModal();
}
once.addEventListener("close", () => location.reload());

document.getElementById("add-user").addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, roles } = event.target.elements;
  attempt(async () => {
    const made = await call("POST", "/users", { name: name.value, roles: roles.value });
    showOnce(`The one-time password of ${made.name}:`, made.one_time_password);
  });
});

document.getElementById("add-token").addEventListener("submit", (event) => {
  event.preventDefault();
  const { owner, what_for: whatFor, days } = event.target.elements;
  const scopes = [...event.target.querySelectorAll("[name=scopes]:checked")].map((box) => box.value);
  attempt(async () => {
    const wanted = { owner: owner.value, scopes, what_for: whatFor.value, days: days.value ? Number(days.value) : null };
    const made = await call("POST", "/tokens", wanted);
    showOnce(`The token ${made.id} of ${made.owner}:`, made.token);
  });
});

const USER = {
  roles: (path, row) => call("PATCH", path, { roles: row.querySelector("[name=roles]").value }),
  disable: (path) => call("PATCH", path, { disabled: true }),
  enable: (path) => call("PATCH", path, { disabled: false }),
  remove: (path) => call("DELETE", path),
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-do]");
  const row = button?.closest("tr");
  if (!row) return;
  const deed = button.dataset.do;
  if (deed === "remove" && !confirm(`Remove ${row.dataset.name} for good?`)) return;
  const path = row.dataset.token ? `/tokens/${row.dataset.token}` : `/users/${encodeURIComponent(row.dataset.name)}`;
  if (deed === "password") {
    attempt(async () => {
      const made = await call("POST", `${path}/password`);
      showOnce(`The one-time password of ${made.name}:`, made.one_time_password);
    });
  } else if (await attempt(() => (row.dataset.token ? call("DELETE", path) : USER[deed](path, row)))) location.reload();
});
