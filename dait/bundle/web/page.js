/* The page of an exported student: a photograph is prepared as Pillow does it, and the ONNX graph is
   run by onnxruntime-web. Nothing leaves the browser. */

// ---- How photographs are prepared: as predict.py does --------------------------------------------

/** Rounded as Python's round(): halves go to the even neighbour. */
function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The part of an image that is used: left, top, right, bottom. */
function kept(width, height, how) {
  if (how.fit === "letterbox") return [0, 0, width, height];
  const most = Math.min(width, height) * (how.fit === "square" ? 1 : how.max_ratio);
  const across = Math.min(width, most), down = Math.min(height, most);
  const left = (width - across) / 2, top = (height - down) / 2;
  return [left, top, left + across, top + down];
}

/** Width and height of that part after scaling, before the centre is cut out. */
function scaled(width, height, how) {
  const [left, top, right, bottom] = kept(width, height, how);
  const across = right - left, down = bottom - top;
  const given = how.fit === "letterbox" ? Math.max(across, down) : Math.min(across, down);
  const side = how.short_side;
  return [
    Math.max(1, roundEven((across * side) / given)),
    Math.max(1, roundEven((down * side) / given)),
  ];
}

/** Keys' cubic with a = -0.5, as Pillow's BICUBIC. */
function bicubic(x) {
  const a = -0.5, t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * a;
  return 0;
}

/** For every output pixel: the first input pixel and the weights, in Pillow's fixed point. */
function resamplingWeights(from, first, last, to) {
  const scale = (last - first) / to;
  const filter = Math.max(scale, 1), support = 2 * filter;
  const found = [];
  for (let place = 0; place < to; place++) {
    const centre = first + (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const stop = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = [];
    let sum = 0;
    for (let at = start; at < stop; at++) {
      const weight = bicubic((at - centre + 0.5) / filter);
      weights.push(weight);
      sum += weight;
    }
    found.push({
      start,
      weights: weights.map((weight) => {
        const fixed = (weight / sum) * 2 ** 22;
        return fixed < 0 ? Math.trunc(fixed - 0.5) : Math.trunc(fixed + 0.5);
      }),
    });
  }
  return found;
}

function to8Bits(sum) {
  const value = Math.floor((sum + 2 ** 21) / 2 ** 22);
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** RGB bytes {width, height, data} → the box in them, resampled to `across` × `down`. */
function resize(image, box, across, down) {
  const columns = resamplingWeights(image.width, box[0], box[2], across);
  const rows = resamplingWeights(image.height, box[1], box[3], down);
  // Across first, as Pillow does, each time rounded to bytes; only the rows that are needed.
  const top = rows[0].start;
  const bottom = Math.max(...rows.map((row) => row.start + row.weights.length));
  const narrow = new Uint8Array(across * (bottom - top) * 3);
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < across; x++) {
      const { start, weights } = columns[x];
      let red = 0, green = 0, blue = 0;
      for (let k = 0; k < weights.length; k++) {
        const at = (y * image.width + start + k) * 3, weight = weights[k];
        red += image.data[at] * weight;
        green += image.data[at + 1] * weight;
        blue += image.data[at + 2] * weight;
      }
      const to = ((y - top) * across + x) * 3;
      narrow[to] = to8Bits(red);
      narrow[to + 1] = to8Bits(green);
      narrow[to + 2] = to8Bits(blue);
    }
  }
  const data = new Uint8Array(across * down * 3);
  for (let y = 0; y < down; y++) {
    const { start, weights } = rows[y];
    for (let at = 0; at < across * 3; at++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        sum += narrow[(start - top + k) * across * 3 + at] * weights[k];
      }
      data[y * across * 3 + at] = to8Bits(sum);
    }
  }
  return { width: across, height: down, data };
}

/** Means of squares of `factor` pixels: how Pillow's JPEG reader makes large photographs smaller. */
function shrink(image, factor) {
  if (factor === 1) return image;
  const width = Math.ceil(image.width / factor), height = Math.ceil(image.height / factor);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0, count = 0;
        for (let v = y * factor; v < Math.min((y + 1) * factor, image.height); v++) {
          for (let u = x * factor; u < Math.min((x + 1) * factor, image.width); u++) {
            sum += image.data[(v * image.width + u) * 3 + channel];
            count += 1;
          }
        }
        data[(y * width + x) * 3 + channel] = Math.round(sum / count);
      }
    }
  }
  return { width, height, data };
}

/** RGB bytes of an upright photograph → RGB bytes (S, S), as the network sees them. */
function prepare(image, how, isJpeg) {
  const [across, down] = scaled(image.width, image.height, how);
  let source = image;
  if (isJpeg) {
    const least = 2 * Math.min(across, down);
    const most = Math.min(Math.floor(image.width / least), Math.floor(image.height / least));
    source = shrink(image, most >= 8 ? 8 : most >= 4 ? 4 : most >= 2 ? 2 : 1);
  }
  const small = resize(source, kept(source.width, source.height, how), across, down);
  const size = how.size;
  const left = Math.floor((across - size) / 2), top = Math.floor((down - size) / 2);
  const data = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const u = x + left, v = y + top;
      const inside = u >= 0 && v >= 0 && u < across && v < down;
      for (let channel = 0; channel < 3; channel++) {
        data[(y * size + x) * 3 + channel] = inside
          ? small.data[(v * across + u) * 3 + channel]
          : how.bars[channel];
      }
    }
  }
  return { width: size, height: size, data };
}

/** An image file → its RGB bytes, upright, over white where it is transparent. */
async function decode(file) {
  const bitmap = await createImageBitmap(file, {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    throw new Error(`it has ${(width * height / 1e6).toFixed(0)} million pixels; at most 64 are read`);
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { width, height, data };
}

// ---- The network ---------------------------------------------------------------------------------

const MOST_PIXELS = 64e6;
const TOP = 5;

/** The bytes of a base64 element of the page; gzipped ones are unpacked. */
async function embedded(id) {
  const element = document.getElementById(id);
  const text = atob(element.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const packed = element.dataset.gzip !== undefined;
  element.remove(); // its text is not needed twice
  if (!packed) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function openSession() {
  const source = await embedded("runtime");
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const ort = await import(address);
  URL.revokeObjectURL(address);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = (await embedded("wasm")).buffer;
  const session = await ort.InferenceSession.create(await embedded("model"), {
    executionProviders: ["wasm"],
  });
  return { ort, session };
}

function softmax(logits) {
  const most = Math.max(...logits);
  const shares = Array.from(logits, (value) => Math.exp(value - most));
  const sum = shares.reduce((one, other) => one + other, 0);
  return shares.map((share) => share / sum);
}

/** What the network says of RGB bytes (S, S): classes, strangeness, and what maps are made of. */
async function run({ ort, session }, image) {
  const size = image.width;
  const pixels = new Float32Array(3 * size * size);
  for (let at = 0; at < size * size; at++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[channel * size * size + at] = image.data[at * 3 + channel] / 255;
    }
  }
  const tensor = new ort.Tensor("float32", pixels, [1, 3, size, size]);
  const started = performance.now();
  const found = await session.run({ image: tensor });
  const milliseconds = performance.now() - started;
  const shares = softmax(found.logits.data);
  const order = shares.map((_, at) => at).sort((a, b) => shares[b] - shares[a] || a - b);
  const threshold = PAGE.unlike ? PAGE.unlike.threshold : null;
  const score = found.unlike ? found.unlike.data[0] : null;
  return {
    top: order.slice(0, TOP).map((at) => [at, shares[at]]),
    unlike: threshold === null || score === null ? null : !(score <= threshold),
    maps: found.maps,
    head: found.head || null,
    milliseconds,
  };
}

/** The class activation map of a class, never negative, (rows, columns); null where there is none. */
function activationMap(answer, label) {
  if (!answer.head) return null;
  const [, channels, rows, columns] = answer.maps.dims;
  const map = new Float32Array(rows * columns);
  for (let channel = 0; channel < channels; channel++) {
    const weight = answer.head.data[label * channels + channel];
    for (let at = 0; at < map.length; at++) {
      map[at] += weight * answer.maps.data[channel * map.length + at];
    }
  }
  return { rows, columns, data: map.map((value) => Math.max(value, 0)) };
}

/** A map → (size, size) in [0, 1]: bilinear, and divided by its largest value. */
function enlarged(map, size) {
  const found = new Float32Array(size * size);
  const along = (place, count) => {
    const exact = Math.min(Math.max(((place + 0.5) * count) / size - 0.5, 0), count - 1);
    const low = Math.floor(exact);
    return [low, Math.min(low + 1, count - 1), exact - low];
  };
  let most = 0;
  for (let y = 0; y < size; y++) {
    const [up, low, down] = along(y, map.rows);
    for (let x = 0; x < size; x++) {
      const [left, right, far] = along(x, map.columns);
      const at = (row, column) => map.data[row * map.columns + column];
      const above = at(up, left) * (1 - far) + at(up, right) * far;
      const below = at(low, left) * (1 - far) + at(low, right) * far;
      found[y * size + x] = above * (1 - down) + below * down;
      most = Math.max(most, found[y * size + x]);
    }
  }
  return most > 0 ? found.map((value) => value / most) : found;
}

// ---- The page ------------------------------------------------------------------------------------

const PAGE = JSON.parse(document.getElementById("page").textContent);
const element = (id) => document.getElementById(id);
let network = null, seen = null, answer = null, latest = 0;
const times = []; // of the network alone, in milliseconds

/** Dark violet over red to yellow, as the rest of the project draws heat. */
function heat(value) {
  const stops = [[13, 8, 135], [126, 3, 168], [204, 71, 120], [248, 149, 64], [240, 249, 33]];
  const place = Math.min(value, 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2), far = place - low;
  return stops[low].map((start, at) => start + (stops[low + 1][at] - start) * far);
}

function draw(label) {
  const size = seen.width, canvas = element("seen"), context = canvas.getContext("2d");
  canvas.width = canvas.height = size;
  const map = element("heat").checked ? activationMap(answer, label) : null;
  const glow = map && enlarged(map, size);
  const pixels = context.createImageData(size, size);
  for (let at = 0; at < size * size; at++) {
    const share = glow ? 0.65 * glow[at] : 0, colour = glow ? heat(glow[at]) : null;
    for (let channel = 0; channel < 3; channel++) {
      const own = seen.data[at * 3 + channel];
      pixels.data[at * 4 + channel] = colour ? own * (1 - share) + colour[channel] * share : own;
    }
    pixels.data[at * 4 + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  const named = PAGE.labels[label];
  canvas.setAttribute(
    "aria-label",
    glow ? `The photograph, and where the network looks for ${named}` : "The photograph",
  );
  element("legend").textContent = answer.head
    ? glow && Math.max(...map.data) === 0
      ? `Nothing in the image speaks for ${named}.`
      : glow ? `Where it looks for ${named}.` : ""
    : "Where it looks cannot be shown: this network's answer is no weighted sum over its last map.";
}

function show() {
  const list = element("top");
  list.replaceChildren();
  answer.top.forEach(([label, share], place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(place === 0));
    const name = document.createElement("span"), bar = document.createElement("i");
    const percent = document.createElement("b");
    name.textContent = PAGE.labels[label];
    percent.textContent = `${(100 * share).toFixed(1)} %`;
    bar.style.width = `${100 * share}%`;
    button.append(name, percent, bar);
    button.addEventListener("click", () => {
      for (const other of list.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      draw(label);
    });
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  });
  element("strange").hidden = !answer.unlike;
  element("answer").hidden = false;
  element("heating").hidden = !answer.head;
  draw(answer.top[0][0]);
}

/** The median of times in milliseconds, in words. */
function latency(all) {
  const sorted = [...all].sort((a, b) => a - b), half = sorted.length / 2;
  const median = (sorted[Math.ceil(half - 0.5)] + sorted[Math.floor(half - 0.5)]) / 2;
  return `${median.toFixed(median < 10 ? 1 : 0)} ms`;
}

function say(text, wrong = false) {
  element("status").textContent = text;
  element("status").classList.toggle("wrong", wrong);
}

/** What the page knows of a file; also used by tests. */
async function classify(file) {
  const photo = await decode(file);
  const image = prepare(photo, PAGE.preprocess, file.type === "image/jpeg");
  return { image, answer: await run(await network, image) };
}

async function take(file) {
  const turn = ++latest;
  element("answer").hidden = true;
  if (!file) return;
  say("Looking at it…");
  let found;
  try {
    await network;
  } catch (error) {
    return; // said already
  }
  try {
    found = await classify(file);
  } catch (error) {
    const why = error instanceof Error && error.message.startsWith("it has") ? `: ${error.message}` : "";
    if (turn === latest) say(`${file.name || "This"} cannot be read as an image${why}. Choose another.`, true);
    return;
  }
  if (turn !== latest) return; // another photograph was chosen meanwhile
  ({ image: seen, answer } = found);
  show();
  times.push(answer.milliseconds);
  say(`Answered in ${latency([answer.milliseconds])}, in this browser${
    times.length > 1 ? ` (median of ${times.length} photographs: ${latency(times)})` : ""}.`);
}

function start() {
  network = openSession();
  network.then(
    () => say("Ready. Choose a photograph, drop one here, paste one, or take one."),
    (error) => say(`The network cannot be run in this browser (${error.message}). Try a newer one.`, true),
  );
  for (const id of ["choose", "camera"]) {
    element(id).addEventListener("change", (event) => {
      take(event.target.files[0]);
      event.target.value = ""; // the same file may be chosen again
    });
  }
  element("heat").addEventListener("change", () => {
    const pressed = [...element("top").querySelectorAll("button")];
    const place = pressed.findIndex((one) => one.getAttribute("aria-pressed") === "true");
    draw(answer.top[Math.max(place, 0)][0]);
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const file = event.dataTransfer.files[0];
    if (file) take(file);
    else say("Nothing that is a file was dropped. Save the picture first, then drop the file.", true);
  });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) take(file);
  });
}

start();
window.student = { activationMap, classify, decode, enlarged, prepare, run, ready: network };
