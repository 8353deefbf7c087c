// Looking at a recorded take: by the browser where it can play the video, else picture by picture.

import { byId, el, files, setText } from "./dom.js";

const PICTURES_PER_S = 12;
let take = null;
let shown = null; // the video of the take that is looked at
let stills = false; // whether it is shown picture by picture
let at = 0; // s
let playing = false;
let run = 0; // number of what is being played, to end what was before
let url = "";

export function openPlayer(chosen) {
  take = chosen;
  setText(byId("player-name"), take.name);
  byId("player-cameras").replaceChildren(...take.videos.map((video) =>
    el("button", { type: "button", "data-video": video.camera, "aria-pressed": "false", onclick: () => show(video) }, video.camera)));
  at = 0;
  playing = true;
  show(take.videos[0]);
  byId("player").showModal();
}

export function startPlayer() {
  const video = byId("player-video");
  video.addEventListener("error", () => {
    if (shown && !stills && video.hasAttribute("src")) showStills(); // it was thought to be playable
  });
  video.addEventListener("timeupdate", () => { if (!stills) at = video.currentTime; });
  byId("player-go").addEventListener("click", () => {
    if (!playing && at >= shown.seconds - 0.05) at = 0;
    setPlaying(!playing);
    follow();
  });
  byId("player-at").addEventListener("input", (event) => {
    setPlaying(false);
    at = Number(event.target.value) / 1000;
    follow();
  });
  byId("player").addEventListener("close", () => {
    run++;
    shown = null;
    video.pause();
    video.removeAttribute("src");
    video.load();
  });
}

function show(video) {
  shown = video;
  byId("player-note").hidden = true;
  for (const button of byId("player-cameras").children) button.setAttribute("aria-pressed", String(button.dataset.video === video.camera));
  if (!video.plays) {
    showStills();
    return;
  }
  stills = false;
  run++;
  byId("player-video").hidden = false;
  byId("player-stills").hidden = true;
  byId("player-video").src = files(video.path);
  byId("player-video").currentTime = at;
  if (playing) byId("player-video").play().catch(() => { /* told by its error, or waits for a finger */ });
}

function showStills() {
  stills = true;
  byId("player-video").pause();
  byId("player-video").removeAttribute("src");
  byId("player-video").hidden = true;
  byId("player-stills").hidden = false;
  setLength(shown.seconds);
  setPlaying(playing);
  follow();
}

function setLength(seconds) {
  shown.seconds = seconds;
  byId("player-at").max = String(Math.max(1, Math.round(1000 * seconds)));
}

function setPlaying(wanted) {
  playing = wanted;
  setText(byId("player-go"), playing ? "❚❚" : "▶");
  byId("player-go").setAttribute("aria-label", playing ? "Pause" : "Play");
}

// At the pace of the take: what takes longer to fetch leaves pictures out.
async function follow() {
  const own = ++run, from = at, began = performance.now();
  do {
    const asked = performance.now();
    if (playing) at = Math.min(shown.seconds, from + (asked - began) / 1000);
    byId("player-at").value = String(Math.round(1000 * at));
    setText(byId("player-time"), `${at.toFixed(1)} / ${shown.seconds.toFixed(1)} s`);
    await fetchStill(own);
    if (own !== run) return;
    if (playing && at >= shown.seconds) setPlaying(false);
    await new Promise((done) => setTimeout(done, Math.max(10, 1000 / PICTURES_PER_S - (performance.now() - asked))));
  } while (own === run && playing);
}

async function fetchStill(own) {
  const place = byId("player-picture");
  const width = Math.ceil(place.parentElement.clientWidth * Math.min(2, devicePixelRatio)) || 640;
  const path = `/still/${encodeURIComponent(take.name)}/${encodeURIComponent(shown.camera)}.jpg`;
  try {
    const answer = await fetch(`${path}?ms=${Math.round(1000 * at)}&width=${width}`);
    if (own !== run || answer.status === 204) return; // something else is looked at, or the recorder has no time
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `refused (${answer.status})`);
    setLength(Number(answer.headers.get("x-length"))); // what the page was told may be from before the video was looked into
    const before = url;
    url = URL.createObjectURL(await answer.blob());
    place.src = url;
    await place.decode().catch(() => { /* the next one follows */ });
    if (before) URL.revokeObjectURL(before);
    byId("player-note").hidden = true;
  } catch (error) {
    if (own !== run) return;
    setText(byId("player-note"), error.message);
    byId("player-note").hidden = false;
  }
}
