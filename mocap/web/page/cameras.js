// The cameras: live pictures, each fetched when the one before has been shown, and how each camera does.

import { el, redraw, setText, svg } from "./dom.js";

const MOST_PER_S = 12;
const ALL_PER_S = 40; // of all cameras together: a browser keeps few connections open
const tiles = new Map();
let visible = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? visible.add(entry.target) : visible.delete(entry.target);
});

export function drawCameras(place, state, { chosen, covered, choose }) {
  for (const camera of state.cameras) {
    if (!tiles.has(camera.name)) {
      const tile = makeTile(camera.name, choose);
      tiles.set(camera.name, tile);
      place.append(tile.node);
      watcher.observe(tile.node);
      follow(tile);
    }
    fill(tiles.get(camera.name), camera, state, { chosen, covered });
  }
  const large = state.cameras.some((camera) => camera.name === chosen) ? 1 : 0; // it has a row of its own
  const columns = columnsOf(place, Math.max(1, state.cameras.length - large));
  if (place.style.getPropertyValue("--columns") !== columns) place.style.setProperty("--columns", columns);
}

// As few columns as show all cameras without scrolling; on small screens never so many that nothing can be seen.
function columnsOf(place, count) {
  const gap = 12, width = place.clientWidth;
  const height = innerWidth > 980 ? innerHeight - 210 : 0.66 * innerHeight;
  const least = innerWidth > 640 ? 200 : 130;
  for (let columns = 1; columns < count; columns++) {
    const tile = (width - gap * (columns - 1)) / columns;
    const below = tile > 300 ? 62 : 108; // the figures of narrow ones stand in two rows
    if (Math.ceil(count / columns) * ((9 / 16) * tile + below + gap) <= height) return String(columns);
    if ((width - gap * columns) / (columns + 1) < least) return String(columns);
  }
  return String(Math.max(1, count));
}

function makeTile(name, choose) {
  const img = el("img", { alt: `Live picture of ${name}`, hidden: true });
  const none = el("span", { class: "none" }, "waiting for the first picture …");
  const red = el("span", { class: "red", hidden: true }, "● REC");
  const cover = svg("svg", { preserveAspectRatio: "xMidYMid meet" });
  const picture = el("button", { class: "picture", type: "button", "aria-label": `${name}: enlarge`,
    onclick: () => choose(name) }, img, cover, el("span", { class: "tag" }, name), red, none);
  const values = {};
  const pairs = ["frames/s", "dropped", "sharp", "light"].map((word) => {
    values[word] = el("dd", {}, "–");
    return el("div", {}, el("dt", {}, word), values[word]);
  });
  const note = el("p", { class: "note", hidden: true });
  const node = el("figure", { class: "camera", "data-camera": name }, picture, el("dl", {}, ...pairs), note);
  return { name, node, img, none, red, cover, picture, values, note, shown: false, url: "" };
}

function fill(tile, camera, state, { chosen, covered }) {
  const recording = state.recording?.phase === "recording" && state.recording.cameras.includes(camera.name);
  const live = camera.state === "live";
  tile.node.classList.toggle("recording", recording);
  tile.node.classList.toggle("chosen", chosen === camera.name);
  tile.node.classList.toggle("large", chosen === camera.name);
  tile.red.hidden = !recording;
  if (camera.size) {
    const [width, height] = camera.size;
    tile.picture.style.aspectRatio = String(Math.min(2.2, Math.max(4 / 3, upright(camera) ? width / height : height / width)));
  }
  const words = { opening: "opening …", lost: "lost", ended: "the file has ended", closed: "closed" };
  setText(tile.none, live ? "waiting for the first picture …" : words[camera.state] ?? camera.state);
  tile.none.hidden = live && tile.shown;
  rate(tile.values["frames/s"], camera, live);
  value(tile.values.dropped, String(camera.dropped + camera.lost), camera.dropped + camera.lost > 0 ? "warn" : "");
  value(tile.values.sharp, camera.sharpness === null ? "–" : `${Math.round(100 * camera.sharpness)} %`,
    camera.sharpness !== null && camera.sharpness < 0.35 ? "warn" : "");
  value(tile.values.light, light(camera), camera.light && camera.light !== "good" ? "warn" : "");
  tile.node.title = [camera.detail, `interval jitter ${camera.jitter_ms.toFixed(1)} ms`].filter(Boolean).join(", ");
  const told = [live ? "" : camera.message, live ? camera.picture_note : "", camera.reconnects ? `came back ${camera.reconnects} times` : ""].filter(Boolean).join("; ");
  setText(tile.note, told);
  tile.note.hidden = !told;
  const cells = covered && chosen === camera.name ? state.guides[`intrinsics:${camera.name}`]?.cells ?? null : null;
  redraw(tile.cover, [cells, camera.size], (place) => drawCells(place, cells, camera));
}

function rate(node, camera, live) {
  const wanted = camera.nominal_fps;
  const slow = live && wanted && camera.fps < 0.93 * wanted;
  value(node, live ? `${camera.fps.toFixed(1)}${wanted ? ` / ${Math.round(wanted)}` : ""}` : camera.state,
    live ? (slow ? "warn" : "") : camera.state === "lost" ? "bad" : "");
}

function light(camera) {
  return camera.light ?? "–";
}

function value(node, text, kind) {
  setText(node, text);
  node.className = kind;
}

const upright = (camera) => camera.rotation % 180 === 0;

// Where the board has been: the more of its corners a part of the picture has seen, the greener it is.
function drawCells(place, cells, camera) {
  const [w, h] = camera.size && !upright(camera) ? [camera.size[1], camera.size[0]] : camera.size ?? [16, 9];
  place.setAttribute("viewBox", `0 0 ${8 * w} ${8 * h}`); // lies on the picture as the picture lies in its frame
  const boxes = (cells ?? []).flatMap((row, y) => row.map((count, x) => ({ count, x, y })));
  const most = Math.max(1, ...boxes.map((box) => box.count));
  place.replaceChildren(...boxes.filter((box) => box.count > 0).map((box) =>
    svg("rect", { x: (box.x + 0.03) * w, y: (box.y + 0.03) * h, width: 0.94 * w, height: 0.94 * h, fill: "#2fd17c",
      "fill-opacity": (0.12 + 0.28 * Math.sqrt(box.count / most)).toFixed(3) })));
}

async function follow(tile) {
  for (;;) {
    const began = performance.now();
    let pause = 1000 / Math.min(MOST_PER_S, ALL_PER_S / Math.max(1, tiles.size));
    if (document.hidden || !visible.has(tile.node)) {
      await sleep(300);
      continue;
    }
    try {
      const width = Math.ceil(tile.node.clientWidth * Math.min(2, devicePixelRatio));
      const answer = await fetch(`/preview/${encodeURIComponent(tile.name)}.jpg?width=${width}`);
      if (answer.status === 200) await show(tile, await answer.blob());
      else pause = 1000;
    } catch {
      pause = 1500;
    }
    await sleep(Math.max(10, pause - (performance.now() - began)));
  }
}

async function show(tile, blob) {
  const url = URL.createObjectURL(blob);
  const before = tile.url;
  tile.img.src = url;
  tile.url = url;
  try {
    await tile.img.decode();
    tile.shown = true;
    tile.img.hidden = false;
  } catch { /* the next picture follows */ }
  if (before) URL.revokeObjectURL(before);
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
