// Refuses a file that is too large when it is chosen, before any of it is sent.
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
    const message = document.createElement("div");
    message.className = "ds-notice ds-heavy";
    message.setAttribute("role", "alert");
    message.textContent =
      `${heavy.name} has ${(heavy.size / SCALE).toFixed(1)} MiB; ` +
      `at most ${(most / SCALE).toLocaleString("en")} MiB are accepted here.`;
    box.after(message);
  }

  // On the window in the capture phase: before any other listener on the page.
  window.addEventListener("change", (event) => check(event, event.target.files), true);
  window.addEventListener("drop", (event) => check(event, event.dataTransfer?.files), true);
})();
