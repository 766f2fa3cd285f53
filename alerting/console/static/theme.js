// Dark or light before anything is drawn: the switch's choice, else the system's.
(() => {
  const root = document.documentElement;
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  const turn = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("#theme")) turn();
    if (event.target.closest("#show-keys")) document.getElementById("keys").showModal();
  });
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog[open]")) return;
    if (going) {
      going = false;
      const link = document.querySelector(`nav a[data-go="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        event.stopImmediatePropagation();
        link.click();
      }
    } else if (event.key === "g") going = true;
    else if (event.key === "t") turn();
    else if (event.key === "?" && document.getElementById("show-keys")) {
      document.getElementById("keys").showModal();
    }
  });
})();
