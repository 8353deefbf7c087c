// Building and changing the document. Text is always set as text: names and sentences never become markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Runs `draw` again only when what it is drawn from has changed.
const drawn = new WeakMap();
export function redraw(node, content, draw) {
  const key = JSON.stringify(content);
  if (drawn.get(node) === key) return;
  drawn.set(node, key);
  draw(node);
}

export const list = (sentences) =>
  sentences.length ? el("ul", { class: "told" }, ...sentences.map((text) => el("li", {}, text))) : null;

export const badge = (kind, text) => el("span", { class: `badge ${kind}` }, text);

export function bar(done, total, finished = false) {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const inner = el("i");
  if (total > 0) inner.style.width = `${(100 * share).toFixed(1)}%`;
  const kind = finished ? " done" : total > 0 ? "" : " unknown";
  return el("div", { class: `progress${kind}`, role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100",
    "aria-valuenow": total > 0 ? String(Math.round(100 * share)) : null }, inner);
}

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${String(whole % 60).padStart(2, "0")}`;
}

export const files = (path) => "/files/" + path.split("/").map(encodeURIComponent).join("/");
