// Draws the Plotly figure that a gr.HTML component carries as JSON in its value.
window.daitPlot = (() => {
  const UNKNOWN_INK = /#808080/g; // the figures' ink where the page's theme is not known
  const CONFIG = { displaylogo: false, responsive: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  let loading = null;

  function plotly() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "PLOTLY_ADDRESS";
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("the plotting library could not be loaded"));
      document.head.append(script);
    });
    return loading;
  }

  function inkOf(box) {
    const [r, g, b] = getComputedStyle(box).color.match(/[\d.]+/g).map(Number);
    return "#" + [r, g, b].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("");
  }

  // Where the page has a base address, Plotly refers to its gradients and clips by the address that
  // the page had then: once it changes, the colour bars are gone. Whether it has one is read when a
  // figure is drawn first, before ``draw`` returns its promise.
  function withoutBase(draw) {
    const base = document.querySelector("base");
    const address = base?.getAttribute("href");
    base?.removeAttribute("href");
    try {
      return draw();
    } finally {
      if (address) base.setAttribute("href", address);
    }
  }

  return (element, props, watch, trigger) => {
    const box = element.querySelector(".plot-box");
    let drawn = null;

    async function draw() {
      const json = props.value;
      if (!json) {
        if (drawn !== null) window.Plotly.purge(box);
        drawn = null;
        return;
      }
      const library = await plotly();
      // While the library was loading another value may have come, or the tab may have gone.
      if (json !== props.value || !box.isConnected || !box.clientWidth) return;
      const ink = inkOf(box);
      if (drawn === json + ink) return;
      const figure = JSON.parse(json.replace(UNKNOWN_INK, ink));
      box.style.minHeight = `${figure.layout.height}px`;
      const first = drawn === null;
      drawn = json + ink;
      await withoutBase(() => library.react(box, figure.data, figure.layout, CONFIG));
      window.daitKeys.gatherTools(box);
      if (first) box.on("plotly_afterplot", () => window.daitKeys.gatherTools(box));
      if (first) window.daitLinks.follow(box, trigger);
      else window.daitLinks.drawn(box);
    }

    function resize() {
      if (!box.clientWidth) return;
      if (drawn === null) draw();
      else window.Plotly.Plots.resize(box);
    }

    watch("value", draw);
    new ResizeObserver(resize).observe(box);
    new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    draw();
  };
})();
