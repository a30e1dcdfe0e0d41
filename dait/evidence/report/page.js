// Draws every figure from the data beside it, in the colours of the reader's theme; printed pages
// are light.
(function () {
  "use strict";
  const COLOURS = JSON.parse(document.getElementById("theme-colours").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 700px)");
  const PRINTED = { width: 680, size: 10 }; // pixels of a sheet of A4, and of letters that fit
  const CONFIG = { responsive: true, displaylogo: false, scrollZoom: false };
  let printing = false;

  function specification(figure) {
    const phone = narrow.matches && !printing && figure.querySelector(".narrow-data");
    let text = (phone || figure.querySelector(".wide-data")).textContent;
    if (dark.matches && !printing) {
      for (const [light, other] of COLOURS) text = text.replaceAll(light, other);
    }
    const found = JSON.parse(text);
    if (printing) {
      found.layout.width = PRINTED.width;
      found.layout.font.size = PRINTED.size;
      for (const title of found.layout.annotations || []) {
        title.font = { ...title.font, size: PRINTED.size };
      }
    }
    if (narrow.matches && !printing) found.layout.dragmode = false;
    return found;
  }

  function draw(figure) {
    const plot = figure.querySelector(".plot");
    const found = specification(figure);
    plot.style.minHeight = found.layout.height + "px";
    return Plotly.react(plot, found.data, found.layout, CONFIG);
  }

  const figures = Array.from(document.querySelectorAll("figure.chart"));

  async function drawAll() {
    for (const figure of figures) {
      await draw(figure);
      // The page should scroll while it is being drawn.
      await new Promise((next) => setTimeout(next));
    }
    document.documentElement.dataset.drawn = "yes";
  }

  function print(now) {
    printing = now;
    figures.forEach(draw);
  }

  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  drawAll();
})();
