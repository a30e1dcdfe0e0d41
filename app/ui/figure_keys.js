// Figures by keyboard: their marks by arrow keys, and their tools as one stop with arrow keys inside.
window.daitKeys = (() => {
  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

  // A panel's marks: what Plotly calls them, where they are in pixels, and what a press of them tells.
  function marksOf(box) {
    const panels = new Map();
    for (const trace of box._fullData ?? []) {
      if (!trace.customdata || trace.visible !== true) continue;
      const id = trace.xaxis + trace.yaxis;
      const [across, up] = [trace.xaxis, trace.yaxis].map((name) => box._fullLayout[`${name[0]}axis${name.slice(1)}`]);
      if (!panels.has(id)) panels.set(id, []);
      const add = (number, x, y, data) => {
        if (data) panels.get(id).push({ id, curve: trace.index, number, data, x: across.d2p(x), y: up.d2p(y) });
      };
      if (trace.z) trace.customdata.forEach((row, y) => row.forEach((data, x) => add([y, x], x, y, data)));
      else trace.customdata.forEach((data, at) => add(at, trace.x[at], trace.y[at], data));
    }
    return [...panels.values()].filter((marks) => marks.length);
  }

  // The nearest one on that side, rather straight ahead than aslant.
  function nearest(marks, from, [right, down]) {
    let best = null, least = Infinity;
    for (const mark of marks) {
      const dx = mark.x - from.x, dy = mark.y - from.y;
      const ahead = dx * right + dy * down, aside = Math.abs(dx * down) + Math.abs(dy * right);
      if (ahead < 0.5 || ahead + 2 * aside >= least) continue;
      [best, least] = [mark, ahead + 2 * aside];
    }
    return best;
  }

  const wordsOf = (data) => data.filter((part) => typeof part === "string").join(", ");

  function steer(box, press) {
    const said = box.parentElement.querySelector(".ds-said");
    let at = null;
    box.addEventListener("keydown", (event) => {
      if (event.target !== box || event.ctrlKey || event.altKey || event.metaKey) return;
      const panels = marksOf(box);
      if (!panels.length) return;
      const here = Math.max(0, panels.findIndex((marks) => marks[0].id === at?.id));
      let next = null;
      if (event.key === "Enter" && at) press(at.curve, at.data);
      else if (event.key in ARROWS) next = at ? nearest(panels[here], at, ARROWS[event.key]) ?? at : panels[0][0];
      else if (event.key === "PageDown") next = panels[Math.min(here + 1, panels.length - 1)][0];
      else if (event.key === "PageUp") next = panels[Math.max(here - 1, 0)][0];
      else return;
      event.preventDefault();
      if (!next) return;
      at = next;
      said.textContent = wordsOf(at.data);
      window.Plotly.Fx.hover(box, [{ curveNumber: at.curve, pointNumber: at.number }], at.id);
    });
    box.addEventListener("blur", () => window.Plotly.Fx.unhover(box));
  }

  // Plotly makes every tool a stop of its own: eight of each figure on the way down the page.
  function gatherTools(box) {
    const bar = box.querySelector(".modebar");
    const tools = [...(bar?.querySelectorAll(".modebar-btn") ?? [])];
    if (!tools.length || bar.dataset.gathered) return;
    bar.dataset.gathered = "yes";
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "Tools of this figure");
    tools.forEach((tool, at) => { tool.tabIndex = at ? -1 : 0; });
    bar.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const now = tools.indexOf(document.activeElement);
      if (!step || now < 0) return;
      event.preventDefault();
      const next = tools[(now + step + tools.length) % tools.length];
      tools[now].tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  return { steer, gatherTools };
})();
