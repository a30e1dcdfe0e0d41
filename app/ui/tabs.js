// The tabs by keyboard, as the ARIA practices have it, and links inside the page to a tab.
(() => {
  const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

  // Of one row of tabs; Gradio keeps a hidden copy of them to measure their width.
  const shown = (list) =>
    [...list.querySelectorAll('[role="tab"]')].filter((tab) => tab.offsetParent !== null && !tab.disabled);

  addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('[role="tab"]');
    const list = tab?.closest('[role="tablist"]');
    if (!list || event.ctrlKey || event.altKey || event.metaKey) return;
    const tabs = shown(list);
    const at = tabs.indexOf(tab);
    let next = null;
    if (event.key in STEPS) next = tabs[(at + STEPS[event.key] + tabs.length) % tabs.length];
    if (event.key === "Home") next = tabs[0];
    if (event.key === "End") next = tabs[tabs.length - 1];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.click();
  });

  addEventListener("click", (event) => {
    const name = event.target.closest?.("button[data-tab]")?.dataset.tab;
    if (!name) return;
    const tabs = [...document.querySelectorAll('[role="tablist"]')].flatMap(shown);
    tabs.find((tab) => tab.textContent.trim() === name)?.click();
    scrollTo({ top: 0 });
  });
})();
