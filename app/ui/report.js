// Draws the figures inside the HTML of report sections, and leads from them to other tabs.
window.daitReport = (element, props, watch, trigger) => {
  const still = () => {};

  function draw() {
    for (const frame of element.querySelectorAll(".plot-frame[data-figure]")) {
      const value = frame.dataset.figure;
      frame.removeAttribute("data-figure");
      window.daitPlot(frame, { value }, still, still);
    }
  }

  // The other tab's contents may have to come first.
  function scrollTo(selector, tries = 40) {
    const target = document.querySelector(selector);
    if (target?.offsetParent) target.scrollIntoView({ block: "start" });
    else if (tries) setTimeout(scrollTo, 100, selector, tries - 1);
  }

  element.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.csv) trigger("click", { index: Number(button.dataset.csv) });
    if (button?.dataset.goto) {
      document.querySelector(`#tabs button[data-tab-id="${button.dataset.goto}"]`)?.click();
      scrollTo(button.dataset.at);
    }
  });
  watch("value", () => requestAnimationFrame(draw));
  requestAnimationFrame(draw);
};
