// The page: a picture is read, denoised tile by tile in a worker of ONNX Runtime, mixed and shown.
import * as ort from "./ort.wasm.min.mjs";

const TILE = 512;    // pixels a side that are kept of a tile ..
const HALO = 64;     // .. and around it, what the net looks at: 640 in all, as build.py says
const WINDOW = 256;  // noise is read in windows of so many pixels, as in build.py ..
const SAMPLE = 1024; // .. spread over at most so many rows and columns
const CLEAN = 0.25 / 255; // sigma below which a picture stays as it is

const at = (id) => document.getElementById(id);
const say = (text) => { at("status").textContent = text; };
let graphs = null, picture = null;

async function load() {
  ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const names = ["reader", "pool", "remover"];
  const sessions = await Promise.all(names.map((name) => ort.InferenceSession.create(`./${name}.onnx`)));
  graphs = Object.fromEntries(names.map((name, index) => [name, sessions[index]]));
  say("Ready.");
}

// Rows of RGBA bytes to planes (1, 3, height, width), 0..1; what lies outside is mirrored.
function planes(pixels, top, left, height, width) {
  const { data, width: across, height: down } = pixels;
  const mirror = (i, length) => {
    if (length === 1) return 0;
    const period = 2 * (length - 1), place = ((i % period) + period) % period;
    return place < length ? place : period - place;
  };
  const out = new Float32Array(3 * height * width), size = height * width;
  const columns = Int32Array.from({ length: width }, (_, x) => 4 * mirror(left + x, across));
  for (let y = 0; y < height; y++) {
    const row = 4 * across * mirror(top + y, down);
    for (let x = 0; x < width; x++) {
      const from = row + columns[x], to = y * width + x;
      out[to] = data[from] / 255;
      out[size + to] = data[from + 1] / 255;
      out[2 * size + to] = data[from + 2] / 255;
    }
  }
  return new ort.Tensor("float32", out, [1, 3, height, width]);
}

// Where windows begin along one side.
function windows(length) {
  const count = Math.min(SAMPLE / WINDOW, Math.max(1, Math.floor(length / WINDOW)));
  return Array.from({ length: count }, (_, i) =>
    count > 1 ? Math.round(i * (length - WINDOW) / (count - 1)) : 0);
}

// What the noise of the whole picture is, as numbers that the net takes with each tile.
async function readNoise(pixels) {
  const cells = {};
  for (const top of windows(pixels.height)) for (const left of windows(pixels.width)) {
    const image = planes(pixels, top, left, WINDOW, WINDOW);
    const result = await graphs.reader.run({ image });
    for (const name in result) (cells[name] ??= []).push(result[name]);
  }
  const inputs = {};
  for (const name in cells) {
    const [, rows] = cells[name][0].dims;
    const lengths = cells[name].map((part) => part.dims[2]);
    const total = lengths.reduce((sum, n) => sum + n, 0), out = new Float32Array(rows * total);
    for (let row = 0; row < rows; row++) {
      let place = row * total;
      cells[name].forEach((part, i) => {
        out.set(part.data.subarray(row * lengths[i], (row + 1) * lengths[i]), place);
        place += lengths[i];
      });
    }
    inputs[name] = new ort.Tensor("float32", out, [1, rows, total]);
  }
  return (await graphs.pool.run(inputs)).noise;
}

// The picture without its noise: RGBA bytes, alpha as it was. Also its sigma, 0..1.
async function denoise(pixels, progress) {
  const noise = await readNoise(pixels), { width, height, data } = pixels;
  const result = new ImageData(new Uint8ClampedArray(data), width, height);
  const rows = Math.ceil(height / TILE), columns = Math.ceil(width / TILE);
  let power = 0;
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
    const top = row * TILE, left = column * TILE;
    const tall = Math.min(TILE, height - top), wide = Math.min(TILE, width - left);
    const full = TILE + 2 * HALO, size = full * full;
    const image = planes(pixels, top - HALO, left - HALO, full, full);
    const answer = await graphs.remover.run({ image, noise });
    const out = answer.denoised.data;
    power += answer.power.data[0] * tall * wide / (width * height);
    for (let y = 0; y < tall; y++) for (let x = 0; x < wide; x++) {
      const from = (y + HALO) * full + x + HALO, to = 4 * ((top + y) * width + left + x);
      for (let c = 0; c < 3; c++) result.data[to + c] = Math.round(255 * out[c * size + from]);
    }
    progress((row * columns + column + 1) / (rows * columns));
    await new Promise((done) => setTimeout(done));
  }
  return { result, sigma: Math.sqrt(power) };
}

async function open(file) {
  if (!graphs) return;
  at("controls").hidden = true;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    say(`${file.name} is no picture that this browser can read.`);
    return;
  }
  const { width, height } = bitmap, canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const before = context.getImageData(0, 0, width, height), begun = performance.now();
  say(`Removing the noise of ${width} x ${height} pixels ...`);
  at("progress").hidden = false;
  try {
    const { result, sigma } = await denoise(before, (share) => { at("progress").value = share; });
    const clean = sigma < CLEAN;
    picture = { name: file.name, before, after: clean ? before : result };
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    say(clean ? `No noise: unchanged (sigma ${(255 * sigma).toFixed(1)}).`
      : `Sigma ${(255 * sigma).toFixed(1)}: removed in ${seconds} s.`);
    at("controls").hidden = at("view").hidden = false;
    show();
  } catch (error) {
    say(`It did not work: ${error.message}`);
  }
  at("progress").hidden = true;
}

// Before, and on top of it, right of the split, both mixed by the strength.
function mixed() {
  const { before, after } = picture, share = Number(at("strength").value);
  const out = new ImageData(new Uint8ClampedArray(before.data), before.width, before.height);
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = Math.round(before.data[i] + share * (after.data[i] - before.data[i]));
  }
  return out;
}

function show() {
  if (!picture) return;
  const { width, height } = picture.before;
  for (const [id, pixels] of [["before", picture.before], ["after", mixed()]]) {
    const canvas = at(id);
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }
  split();
}

function split() {
  at("after").style.clipPath = `inset(0 0 0 ${100 * at("split").value}%)`;
}

async function save() {
  const pixels = mixed(), canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await canvas.convertToBlob({ type: "image/png" }));
  link.download = picture.name.replace(/\.[^.]*$/, "") + "_denoised.png";
  link.click();
}

at("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
at("strength").addEventListener("input", () => {
  at("shown").textContent = Number(at("strength").value).toFixed(2);
  show();
});
at("split").addEventListener("input", split);
at("save").addEventListener("click", save);
for (const kind of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}
load().catch((error) => say(`The model cannot be loaded: ${error.message}`));
