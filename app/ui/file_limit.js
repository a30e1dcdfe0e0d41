// Refuses a file that is too heavy where it is chosen, before any of it is sent.
(() => {
  const LIMITS = FILE_LIMITS; // element id → bytes
  const SCALE = 2 ** 20;

  function boxOf(node) {
    return node.closest?.(Object.keys(LIMITS).map((id) => `#${id}`).join(",")) ?? null;
  }

  function check(event, files) {
    const box = boxOf(event.target);
    if (!box) return;
    const before = box.nextElementSibling;
    if (before?.classList.contains("ds-heavy")) before.remove();
    const most = LIMITS[box.id];
    const heavy = [...(files ?? [])].find((file) => file.size > most);
    if (!heavy) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === "change") event.target.value = "";
    const told = document.createElement("div");
    told.className = "ds-notice ds-heavy";
    told.setAttribute("role", "alert");
    told.textContent =
      `${heavy.name} has ${(heavy.size / SCALE).toFixed(1)} MiB; ` +
      `at most ${(most / SCALE).toLocaleString("en")} MiB are taken here.`;
    box.after(told);
  }

  // On the window and while the event comes down: before anything on the page hears of it.
  window.addEventListener("change", (event) => check(event, event.target.files), true);
  window.addEventListener("drop", (event) => check(event, event.dataTransfer?.files), true);
})();
