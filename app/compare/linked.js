// Links the parts of the Compare tab in the browser: an image is marked in every map, its picture is
// shown beside the point, open rows are marked in the gallery and the maps, the address is updated.
window.daitLinks = (() => {
  const KEYS = new Set(LINK_KEYS);
  const FIRST_TAB = "compare";
  const SETTLED = 60; // ms that a pointer stays before a picture is asked for
  const maps = new Map(); // frame → { box, places: image → [[panel's axes, x, y]], ask }
  const pictures = new Map(); // image → HTML
  let open = new Set();
  let over = null;
  let waiting = 0;
  let card = null;
  let pointer = { x: 0, y: 0 };

  function placesOf(box) {
    const places = new Map();
    for (const trace of box._fullData ?? []) {
      if (!trace.customdata) continue;
      const across = box._fullLayout[axis(trace.xaxis)];
      const up = box._fullLayout[axis(trace.yaxis)];
      for (let at = 0; at < trace.customdata.length; at++) {
        const image = trace.customdata[at][0];
        if (!places.has(image)) places.set(image, []);
        places.get(image).push([across, up, trace.x[at], trace.y[at], trace.visible]);
      }
    }
    return places;
  }

  const axis = (name) => `${name[0]}axis${name.slice(1)}`;

  // Rings lie over the figure, so that marking a point draws no figure anew.
  function ring(frame) {
    const { places } = maps.get(frame);
    const layer = frame.querySelector(".ds-rings");
    layer.replaceChildren();
    const marked = [...open].filter((image) => image !== over).map((image) => [image, "open"]);
    if (over !== null) marked.push([over, "over"]);
    for (const [image, kind] of marked) {
      for (const [across, up, x, y, visible] of places.get(image) ?? []) {
        const left = across.l2p(x), top = up.l2p(y);
        const outside = left < 0 || top < 0 || left > across._length || top > up._length;
        if (outside || visible !== true) continue;
        const mark = document.createElement("i");
        mark.className = kind;
        mark.dataset.image = image;
        mark.style.left = `${across._offset + left}px`;
        mark.style.top = `${up._offset + top}px`;
        layer.append(mark);
      }
    }
  }

  const ringAll = () => [...maps.keys()].filter((frame) => frame.isConnected).forEach(ring);

  // Left of the pointer, as the figure's own words stand at its right; always inside the window.
  function place() {
    const { x, y } = pointer, wide = card.offsetWidth, high = card.offsetHeight;
    const left = x - wide - 18 > 8 ? x - wide - 18 : x + 18;
    card.style.left = `${Math.min(left, innerWidth - wide - 8)}px`;
    card.style.top = `${Math.min(Math.max(8, y - high / 2), innerHeight - high - 8)}px`;
  }

  function cardOf() {
    if (!card) {
      card = document.createElement("div");
      card.className = "ds-thumb";
      (document.querySelector(".gradio-container") ?? document.body).append(card);
    }
    return card;
  }

  // By keyboard there is no pointer: the picture stands at the mark.
  function placeOf(box, mark) {
    const { left, top } = box.getBoundingClientRect();
    return { x: left + mark.xaxis._offset + mark.xaxis.d2p(mark.x), y: top + mark.yaxis._offset + mark.yaxis.d2p(mark.y) };
  }

  function showPicture(image, at, ask) {
    pointer = at;
    clearTimeout(waiting);
    if (pictures.has(image)) return drawPicture(image);
    hidePicture();
    waiting = setTimeout(() => ask(image), SETTLED);
  }

  function drawPicture(image) {
    cardOf().innerHTML = pictures.get(image);
    card.classList.add("seen");
    place();
  }

  function hidePicture() {
    clearTimeout(waiting);
    card?.classList.remove("seen");
  }

  // A picture that the server sends is shown if its point is still pointed at.
  function pictureCame(html) {
    const image = Number(/data-image="(\d+)"/.exec(html ?? "")?.[1] ?? NaN);
    if (Number.isNaN(image)) return;
    pictures.set(image, html);
    if (image === over) drawPicture(image);
  }

  // A figure was drawn for the first time: from now on its marks lead somewhere.
  function follow(box, trigger) {
    const frame = box.parentElement;
    const kind = box.dataset.marks;
    if (!kind) return;
    const press = (panel, data) => {
      hidePicture();
      trigger("select", { panel, data: [...data] });
    };
    box.on("plotly_click", ({ points: [mark] }) => {
      if (mark?.customdata) press(mark.curveNumber, mark.customdata);
    });
    window.daitKeys.steer(box, press);
    if (kind !== "points") return;
    maps.set(frame, { box, places: placesOf(box) });
    box.on("plotly_hover", ({ points: [mark], event }) => {
      over = mark.customdata?.[0] ?? null;
      ringAll();
      const ask = (index) => trigger("focus", { index });
      if (over !== null) showPicture(over, event ? { x: event.clientX, y: event.clientY } : placeOf(box, mark), ask);
    });
    box.on("plotly_unhover", () => {
      over = null;
      hidePicture();
      ringAll();
    });
    box.on("plotly_afterplot", () => moved(box));
    ring(frame);
  }

  // Other data came into a figure; of another study's images there are other pictures.
  function drawn(box) {
    if (!maps.has(box.parentElement)) return;
    pictures.clear();
    moved(box);
  }

  function moved(box) {
    const frame = box.parentElement;
    maps.set(frame, { box, places: placesOf(box) });
    ring(frame);
  }

  function rowsChanged(html) {
    open = new Set([...(html ?? "").matchAll(/data-image="(\d+)"/g)].map((found) => Number(found[1])));
    for (const button of document.querySelectorAll("#gallery button[data-index]")) {
      button.setAttribute("aria-pressed", String(open.has(Number(button.dataset.index))));
    }
    ringAll();
  }

  function showRows() {
    requestAnimationFrame(() => {
      const rows = document.querySelectorAll("#row .ds-row");
      const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
      rows[rows.length - 1]?.scrollIntoView({ block: "center", behavior: quiet ? "auto" : "smooth" });
    });
  }

  function replaceQuery(query) {
    const asked = `${query}`;
    history.replaceState(history.state, "", `${location.pathname}${asked && "?"}${asked}${location.hash}`);
  }

  // A study is chosen for the whole page; what else the address says of another one goes.
  function setStudy(study) {
    const query = new URLSearchParams(location.search);
    if (!study || query.get("study") === study) return;
    for (const key of KEYS) query.delete(key);
    query.set("study", study);
    replaceQuery(query);
  }

  function openTab(name) {
    if (document.documentElement.dataset.tab === name) return;
    document.documentElement.dataset.tab = name;
    const query = new URLSearchParams(location.search);
    if (name === FIRST_TAB) query.delete("tab");
    else query.set("tab", name);
    replaceQuery(query);
  }

  function setAddress(query) {
    if (!query) return;
    const kept = new URLSearchParams(location.search);
    for (const key of KEYS) kept.delete(key);
    const all = [query, kept.toString()].filter(Boolean).join("&");
    replaceQuery(all);
  }

  async function copy() {
    const button = document.querySelector("#copy-link");
    const before = button.dataset.label ?? button.textContent;
    button.dataset.label = before;
    const photograph = document.querySelector('#row [data-kind="upload"]');
    let said = photograph ? "Copied, without your photograph" : "Link copied";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      said = "Copy it from the address bar"; // only a secure page may write to the clipboard
    }
    button.textContent = said;
    setTimeout(() => { button.textContent = before; }, 2500);
  }

  const opacity = Number(new URLSearchParams(location.search).get("opacity") ?? NaN);
  if (opacity >= 0 && opacity <= 1) {
    document.documentElement.style.setProperty("--heat-opacity", opacity);
  }
  // What is asked for may still come: a page that is scrolled to a point ends scrolling after that.
  addEventListener("scroll", () => card?.classList.remove("seen"), { passive: true });
  document.documentElement.dataset.tab = FIRST_TAB;
  // At once, whoever chose the tab: Gradio's own events wait while figures are drawn.
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const chosen = target.getAttribute("aria-selected") === "true";
      if (chosen && target.matches("#tabs [data-tab-id]")) openTab(target.dataset.tabId);
    }
  }).observe(document, { subtree: true, attributeFilter: ["aria-selected"] });
  return { setStudy, follow, drawn, pictureCame, rowsChanged, showRows, setAddress, copy };
})();
