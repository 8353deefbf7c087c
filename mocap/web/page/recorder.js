// The recorder's page: listens to the state, draws it, and sends what is asked for.

import { byId, duration, el, redraw, setText } from "./dom.js";
import { drawCameras } from "./cameras.js";
import { openPlayer, startPlayer } from "./player.js";
import * as sections from "./sections.js";

const MODES = ["intrinsics", "extrinsics", "floor", "take"];
let state = null;
let mode = null;
let chosen = null;
let told = null; // time of the newest event that was heard of
let heard = 0; // when the state came, to let clocks run between two of them

async function ask(command, fields = {}) {
  try {
    const answer = await fetch(`/api/${command}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields),
    });
    if (!answer.ok) toast((await answer.json().catch(() => ({}))).error ?? `refused (${answer.status})`);
    return answer.ok;
  } catch {
    toast("The recorder does not answer.");
    return false;
  }
}

function toast(sentence) {
  const node = el("div", { class: "toast" }, sentence);
  byId("toasts").append(node);
  setTimeout(() => node.remove(), 8000);
}

function listen() {
  const source = new EventSource("/api/events");
  source.onmessage = (event) => {
    state = JSON.parse(event.data);
    heard = performance.now();
    banner("");
    draw();
  };
  source.onerror = () => {
    banner("No connection to the recorder. A recording that runs goes on there; trying again …");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

// What is bad and new is said at once, wherever the eyes are: a camera that died, a job that failed.
function warn() {
  const newest = Math.max(0, ...state.events.map((event) => event.at_s));
  if (told !== null)
    for (const event of state.events) if (event.at_s > told && event.level === "bad") toast(event.text);
  told = Math.max(told ?? 0, newest);
}

function banner(sentence) {
  byId("banner").hidden = !sentence;
  setText(byId("banner"), sentence);
}

function draw() {
  mode ??= firstMode();
  if (state.recording) mode = state.recording.mode;
  if (state.recording?.camera) chosen = state.recording.camera;
  if (mode === "intrinsics" && state.cameras.length === 1) chosen = state.cameras[0].name;
  document.body.dataset.phase = state.recording?.phase ?? "idle";
  setText(byId("session"), state.session.name);
  document.title = `${state.recording ? "● " : ""}${state.session.name} – recorder`;
  const lost = state.cameras.filter((camera) => camera.state === "lost").map((camera) => camera.name);
  const live = state.cameras.filter((camera) => camera.state === "live").length;
  const free = state.session.free_gb === null ? "" : ` · ${state.session.free_gb.toFixed(state.session.free_gb < 10 ? 1 : 0)} GB free`;
  setText(byId("health"), `${live} of ${state.cameras.length} cameras live${lost.length ? ` · lost: ${lost.join(", ")}` : ""}${free}`);
  drawModes();
  drawCameras(byId("cameras"), state, { chosen, covered: mode === "intrinsics", choose });
  redraw(byId("guide"), [state.guides, mode, chosen, state.session.board], (place) => sections.guide(place, state, mode, chosen));
  redraw(byId("verdict"), state.last, (place) => sections.verdict(place, state.last));
  redraw(byId("job"), state.job, (place) => sections.job(place, state.job, { cancel: () => ask("cancel") }));
  const busy = [state.job?.title, state.job?.phase, state.job?.waiting, state.recording !== null];
  redraw(byId("calibration-now"), [state.calibration, state.clips, busy], (place) =>
    sections.calibration(place, state, { calibrate: () => ask("calibrate", sections.calibrateRequest(state)) }));
  redraw(byId("calibration-form"), [state.clips, state.takes.map((take) => take.name)], (place) => sections.calibrateForm(place, state));
  redraw(byId("takes"), [state.takes, busy, state.calibration !== null], (place) => sections.takes(place, state, {
    process: (takes, again = false) => ask("process", { takes, again }), sync: (take) => ask("sync", { take }), play: openPlayer }));
  redraw(byId("events"), state.events, (place) => sections.events(place, state.events));
  for (const button of document.querySelectorAll("[data-overlay]")) {
    const own = button.dataset.overlay === state.overlay.kind;
    button.setAttribute("aria-pressed", String(own));
    button.setAttribute("aria-busy", String(own && !state.overlay.ready));
  }
  if (state.overlay.message) banner(state.overlay.message);
  warn();
  byId("slate").hidden = mode !== "take";
  byId("retake").hidden = state.recording !== null || !state.last?.retake;
  tick();
}

function firstMode() {
  const { clips, calibration } = state;
  if (calibration) return "take";
  if (clips.extrinsics.length >= 2) return "take";
  return clips.intrinsics.length < state.cameras.length ? "intrinsics" : "extrinsics";
}

function drawModes() {
  const { clips } = state;
  const counts = { intrinsics: `${clips.intrinsics.length}/${state.cameras.length}`, extrinsics: clips.extrinsics.length ? "✓" : "",
    floor: clips.floor.length ? "✓" : "", take: String(state.takes.length || "") };
  for (const button of document.querySelectorAll("[data-mode]")) {
    const own = button.dataset.mode === mode;
    button.setAttribute("aria-selected", String(own));
    button.tabIndex = own ? 0 : -1;
    button.disabled = state.recording !== null && !own;
    button.querySelector("b").dataset.count = counts[button.dataset.mode];
  }
}

// Clocks, the countdown and the big button.
function tick() {
  if (!state) return;
  const now = state.recording;
  const since = (performance.now() - heard) / 1000;
  const left = now?.phase === "countdown" ? Math.max(0, now.countdown_s - since) : 0;
  byId("count").hidden = now?.phase !== "countdown";
  if (now?.phase === "countdown") {
    setText(byId("count-name"), now.title);
    setText(byId("count-number"), String(Math.ceil(left)));
  }
  setText(byId("record-word"), now ? (now.phase === "countdown" ? "Cancel" : "Stop") : recordWord());
  byId("record").disabled = !now && mode === "intrinsics" && !chosen;
  const elapsed = now?.phase === "recording" ? now.elapsed_s + since : 0;
  const end = now?.duration_s ? ` / ${duration(now.duration_s)}` : "";
  const lines = now?.phase === "recording" ? [duration(elapsed) + end, now.title] : ["", ""];
  redraw(byId("clock"), lines, (place) => place.replaceChildren(el("b", {}, lines[0]), lines[1]));
}

function recordWord() {
  if (mode === "intrinsics") return chosen ? `Record ${chosen}` : "Choose a camera";
  return { extrinsics: "Record cameras", floor: "Record floor", take: "Record take" }[mode];
}

function choose(name) {
  if (state?.recording?.mode === "intrinsics") return;
  chosen = chosen === name ? null : name;
  draw();
}

function record() {
  if (!state) return;
  if (state.recording) {
    ask("stop");
    return;
  }
  if (mode === "intrinsics") {
    if (chosen) ask("record", { mode, camera: chosen });
    return;
  }
  if (mode !== "take") {
    ask("record", { mode });
    return;
  }
  const text = byId("duration").value.trim().replace(",", ".");
  const length = text === "" ? null : Number(text);
  if (length !== null && !(length > 0)) {
    toast("The length is a number of seconds, or empty.");
    return;
  }
  ask("record", { mode, take: byId("take").value.trim() || "take", countdown_s: Number(byId("countdown").value), duration_s: length });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* private windows keep nothing */ }
}

function startTheme() {
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* private windows keep nothing */ }
  setTheme(kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
}

function onKey(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA|SUMMARY)$/.test(event.target.tagName) || byId("player").open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const onButton = event.target.tagName === "BUTTON" && event.target.id !== "record";
  if (event.key === " " && !onButton) {
    event.preventDefault();
    record();
  } else if (event.key === "r" && !byId("retake").hidden) ask("retake");
  else if (event.target.role === "tab" && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
    const step = event.key === "ArrowRight" ? 1 : MODES.length - 1;
    setMode(MODES[(MODES.indexOf(mode) + step) % MODES.length]);
    document.querySelector(`[data-mode="${mode}"]`).focus();
  }
}

function setMode(wanted) {
  if (!state || state.recording) return;
  mode = wanted;
  if (mode !== "intrinsics") chosen = null; // all cameras count from here on
  draw();
}

startTheme();
for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => setMode(button.dataset.mode));
for (const button of document.querySelectorAll("[data-overlay]"))
  button.addEventListener("click", () => ask("overlay", { kind: button.dataset.overlay }));
byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
byId("record").addEventListener("click", record);
byId("retake").addEventListener("click", () => ask("retake"));
byId("slate").addEventListener("submit", (event) => event.preventDefault());
startPlayer();
document.addEventListener("keydown", onKey);
setInterval(tick, 100);
listen();
