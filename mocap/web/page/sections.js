// What the side panel shows: guidance, verdicts, the running job, the calibration, takes, and what happened.

import { badge, bar, duration, el, files, list, svg } from "./dom.js";

const START = {
  intrinsics: "Choose a camera and hold the board before it: near and far, tilted, in all corners of its picture.",
  extrinsics: "Carry the board through the space so that several cameras see it at once, in many places.",
  floor: "Lay the board flat on the floor where most cameras see it: its first corner becomes the middle of the world.",
  take: "Everybody in the picture? Name the take and record.",
};

export const guideOf = (state, mode, chosen) => state.guides[mode === "intrinsics" ? `intrinsics:${chosen}` : mode] ?? null;

export function guide(place, state, mode, chosen) {
  const told = guideOf(state, mode, chosen);
  const start = mode === "intrinsics" && chosen ? `Record ${chosen}: hold the board near, tilt it, and go to the corners.` : START[mode];
  const parts = [el("p", { class: `hint${told?.done ? " done" : ""}` }, told?.hint ? sentence(told.hint) : start)];
  if (mode !== "take" && !state.session.board)
    parts.push(el("p", { class: "soft" }, "session.toml has no [board]: without it nobody can say what is still missing."));
  if (told?.share !== undefined && told.share !== null) {
    parts.push(bar(told.share, 1, told.done));
    parts.push(el("p", { class: "soft numbers" }, told.detail ?? ""));
  }
  if (mode === "extrinsics" && told?.shared_views) parts.push(graph(told));
  place.replaceChildren(...parts);
}

// Cameras on a circle, a line for every pair with the number of views of the board that both have.
function graph(told) {
  const names = told.cameras;
  const width = 360, height = names.length > 5 ? 320 : 260, r = 24;
  const at = names.map((_, i) => {
    const angle = (2 * Math.PI * i) / names.length - Math.PI / 2;
    return [width / 2 + Math.cos(angle) * (width / 2 - 52), height / 2 + Math.sin(angle) * (height / 2 - 34)];
  });
  const lines = [], counts = [];
  for (let a = 0; a < names.length; a++) {
    for (let b = a + 1; b < names.length; b++) {
      const views = told.shared_views[a][b];
      const enough = views >= told.wanted;
      const weakest = told.weakest && told.weakest.includes(names[a]) && told.weakest.includes(names[b]) && !told.done;
      const line = svg("line", { x1: at[a][0], y1: at[a][1], x2: at[b][0], y2: at[b][1],
        class: views ? (enough ? "enough" : "some") : weakest ? "weakest" : "" });
      line.style.strokeWidth = views ? String(Math.min(7, 1.5 + views / 6)) : "";
      lines.push(line);
      if (views) counts.push(label((at[a][0] + at[b][0]) / 2, (at[a][1] + at[b][1]) / 2, String(views), "count"));
    }
  }
  const nodes = names.flatMap((name, i) => {
    const seen = told.shared_views[i].some((views, j) => j !== i && views > 0);
    return [svg("circle", { cx: at[i][0], cy: at[i][1], r, class: seen ? "seen" : "" }), label(at[i][0], at[i][1], short(name), "")];
  });
  const title = svg("title");
  title.textContent = "Which cameras have seen the board together";
  return svg("svg", { class: "graph", viewBox: `0 0 ${width} ${height}`, role: "img" }, title, ...lines, ...counts, ...nodes);
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);
const short = (name) => (name.length > 6 ? name.slice(0, 5) + "…" : name);

function label(x, y, text, kind) {
  const node = svg("text", { x, y, class: kind });
  node.textContent = text;
  return node;
}

export function verdict(place, last) {
  place.hidden = !last;
  if (!last) return;
  place.replaceChildren(
    el("div", { class: "row apart" }, el("h2", {}, last.title), badge(last.verdict, last.verdict)),
    list(last.sentences) ?? "");
}

export function job(place, now, { cancel }) {
  place.hidden = !now;
  if (!now) return;
  const running = now.phase === "running";
  const kinds = { running: ["", "running"], done: ["good", "done"], failed: ["bad", "failed"], cancelled: ["warn", "cancelled"] };
  const [kind, word] = now.verdict ? [now.verdict, now.verdict] : kinds[now.phase];
  const parts = [el("div", { class: "row apart" }, el("h2", {}, sentence(now.title)), badge(kind, word))];
  if (running) {
    parts.push(bar(now.done, now.total));
    const count = now.total > 1 ? `${now.done} of ${now.total}` : "";
    parts.push(el("div", { class: "row apart" },
      el("span", { class: "soft numbers" }, [now.held ? "waits for the recording" : now.stage || "starting", count, duration(now.seconds)].filter(Boolean).join(" · ")),
      el("button", { type: "button", id: "cancel", onclick: cancel }, "Cancel")));
  } else if (now.headline) {
    if (now.kind !== "calibrate" || now.phase !== "done") parts.push(el("p", {}, now.headline)); // else its own card tells
    if (now.notes.length) parts.push(notes(now.notes));
  }
  if (now.waiting.length) parts.push(el("p", { class: "soft" }, `Then: ${now.waiting.map((task) => task.title).join(", ")}`));
  place.replaceChildren(...parts);
}

// How far the same work is already: "running", "waiting" or "".
function underway(state, kind, take) {
  const same = (task) => task.kind === kind && task.take === take;
  if (state.job?.phase === "running" && same(state.job)) return "running";
  return state.job?.waiting.some(same) ? "waiting" : "";
}

export function calibration(place, state, { calibrate }) {
  const { clips, calibration: made } = state;
  const cameras = state.cameras.length;
  const busy = underway(state, "calibrate", null) !== "" || state.recording !== null;
  const have = `lenses ${clips.intrinsics.length}/${cameras} · cameras ${clips.extrinsics.length}/${cameras} · floor ${clips.floor.length ? "yes" : "no"}`;
  const parts = [el("div", { class: "row apart" }, el("h2", {}, "Calibration"), made?.verdict ? badge(made.verdict, made.verdict) : badge("", made ? "present" : "none yet"))];
  if (made) parts.push(el("p", {}, made.headline));
  parts.push(el("p", { class: "soft" }, `Recorded: ${have}`));
  const row = [el("button", { type: "button", id: "calibrate", class: made ? "" : "main", onclick: calibrate,
    disabled: busy || clips.extrinsics.length < 2 }, made ? "Calibrate again" : "Calibrate")];
  if (made?.report) row.push(el("a", { href: files(made.report), target: "_blank", rel: "noopener" }, "Report"));
  parts.push(el("div", { class: "row" }, ...row));
  if (made?.notes.length) parts.push(notes(made.notes));
  place.replaceChildren(...parts);
}

// What a calibration is made of; kept here, as the page draws itself anew.
const choice = { without: new Set(), floor: "", origin: "corner", thickness: "" };

export function calibrateRequest(state) {
  const [floor, person] = floorChoice(state).split(/:(.*)/s);
  const without = state.clips.intrinsics.filter((name) => choice.without.has(name));
  return { without_lenses: without, floor, person: person ?? null, origin: choice.origin,
    thickness_mm: Math.max(0, Number(choice.thickness.replace(",", ".")) || 0) };
}

const floorChoice = (state) => {
  const [kind, take] = choice.floor.split(/:(.*)/s);
  if (kind === "person" && !state.takes.some((one) => one.name === take)) return "board";
  return choice.floor || "board";
};

export function calibrateForm(place, state) {
  const { clips } = state;
  const lenses = clips.intrinsics.map((name) => el("label", { class: "tick" }, el("input", { type: "checkbox", checked: !choice.without.has(name),
    onchange: (event) => (event.target.checked ? choice.without.delete(name) : choice.without.add(name)) }), name));
  const floors = [["board", clips.floor.length ? "the floor clip" : "the floor clip (none yet)"],
    ...state.takes.filter((take) => !take.being_written).map((take) => [`person:${take.name}`, `somebody standing in ${take.name}`]),
    ["cameras", "how the cameras are held"]];
  const origins = [["corner", "the board's first corner"], ["middle", "the board's middle"], ["cameras", "the middle of the cameras"]];
  place.replaceChildren(
    el("fieldset", {}, el("legend", {}, "Lens clips that count"), ...(lenses.length ? lenses : [el("span", { class: "soft" }, "none recorded yet")])),
    select("Floor from", floors, floorChoice(state), (value) => { choice.floor = value; }),
    select("Middle of the world", origins, choice.origin, (value) => { choice.origin = value; }),
    el("label", {}, "Thickness of the board", el("span", { class: "unit" }, el("input", { inputmode: "decimal", value: choice.thickness, placeholder: "0",
      id: "thickness", oninput: (event) => { choice.thickness = event.target.value; } }), "mm")));
}

function select(title, values, chosen, take) {
  const options = values.map(([value, text]) => el("option", { value, selected: value === chosen }, text));
  return el("label", {}, title, el("select", { onchange: (event) => take(event.target.value) }, ...options));
}

export function takes(place, state, acts) {
  const shown = [...state.takes].sort((a, b) => b.made_s - a.made_s || (a.name < b.name ? 1 : -1));
  const open = shown.filter((take) => !take.being_written && (!take.files.length || take.stale) && !underway(state, "process", take.name));
  const all = open.length > 1 && state.calibration !== null && state.recording === null
    ? [el("button", { type: "button", id: "process-all", onclick: () => acts.process(open.map((take) => take.name).reverse()) }, `Process ${open.length} takes`)] : [];
  place.replaceChildren(...all, ...shown.map((take) => card(take, state, acts)));
}

function card(take, state, acts) {
  const processed = take.files.length > 0;
  const length = take.being_written ? "recording …" : `${take.looked ? duration(take.seconds) : "…"} · ${take.cameras.length} camera${take.cameras.length === 1 ? "" : "s"}`;
  const thumb = el("button", { type: "button", class: "thumb", "aria-label": `Play ${take.name}`, disabled: take.being_written || !take.videos.length,
    onclick: () => acts.play(take) }, take.being_written ? "" : el("img", { alt: "", loading: "lazy",
    src: `/thumbnail/${encodeURIComponent(take.name)}.jpg?made=${Math.round(take.made_s)}` }));
  const below = [...take.faults, ...take.marks];
  return el("article", { class: "card take", "data-take": take.name }, thumb,
    el("div", {}, el("div", { class: "row apart" }, el("h3", {}, take.name), standing(take, processed)), el("p", { class: "soft numbers" }, length),
      take.being_written ? null : clocks(take)),
    el("div", { class: "below row" }, ...buttons(take, state, processed, acts)),
    below.length ? el("div", { class: "below" }, list(below)) : null,
    processed ? el("div", { class: "below files" }, ...take.files.map((path) =>
      el("a", { href: files(path), download: "" }, path.split("/").pop()))) : null,
    processed ? el("details", { class: "below" }, el("summary", {}, "Figures"), figures(take.figures), list(take.notes)) : null);
}

function standing(take, processed) {
  if (take.faults.length) return badge("bad", "damaged");
  if (!processed) return null;
  const old = badge("warn", "out of date");
  old.title = "The calibration or the clocks are newer than what was made of the take.";
  return take.stale ? old : badge("good", "processed");
}

function clocks(take) {
  const { state, text, report } = take.clocks;
  const kind = { none: "warn", fault: "bad" }[state] ?? "soft";
  return el("p", { class: `clocks ${kind}` }, text, report ? " · " : null,
    report ? el("a", { href: files(report), target: "_blank", rel: "noopener" }, "curves") : null);
}

function buttons(take, state, processed, acts) {
  const ready = state.calibration !== null;
  const off = state.recording !== null || take.being_written;
  const processing = underway(state, "process", take.name), syncing = underway(state, "sync", take.name);
  const words = { running: "…", waiting: "waits" };
  const fresh = processed && !take.stale;
  const process = el("button", { type: "button", "data-process": take.name, class: fresh ? "" : "main", disabled: off || !ready || processing !== "",
    title: ready ? "" : "Calibrate first", onclick: () => acts.process([take.name], fresh) },
    processing ? `Process ${words[processing]}` : processed ? "Process again" : "Process");
  const sync = el("button", { type: "button", "data-sync": take.name, class: take.clocks.state === "none" ? "" : "quiet",
    disabled: off || syncing !== "" || take.cameras.length < 2, title: "Find the clock of each camera by sound, light and motion", onclick: () => acts.sync(take.name) },
    syncing ? `Sync ${words[syncing]}` : take.clocks.state === "synced" ? "Sync again" : "Sync");
  return [process, sync];
}

function figures(values) {
  const rows = Object.entries(values).filter(([, value]) => value !== null).map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`);
  return list(rows) ?? "";
}

function notes(sentences) {
  return el("details", {}, el("summary", {}, `${sentences.length} ${sentences.length === 1 ? "note" : "notes"}`), list(sentences));
}

export function events(place, told) {
  place.replaceChildren(...[...told].reverse().map((event) => el("li", { class: event.level },
    `${new Date(1000 * event.at_s).toLocaleTimeString()}  ${event.text}`)));
}
