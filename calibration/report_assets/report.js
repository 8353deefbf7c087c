"use strict";
(() => {
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const canvas = document.getElementById("rig");
  const context = canvas.getContext("2d");
  const find = (id) => document.getElementById(id);
  const view = { yaw: -0.9, pitch: 0.5, zoom: 1, from: null };

  const everything = [...scene.cameras.flatMap((camera) => camera.frustum), ...scene.path, ...scene.points];
  const span = [0, 1, 2].map((axis) => {
    const values = everything.map((point) => point[axis]);
    if (axis === 2 && scene.floor) values.push(0);
    return [Math.min(...values), Math.max(...values)];
  });
  const middle = span.map(([low, high]) => (low + high) / 2);
  const reach = Math.max(0.2, Math.hypot(...span.map(([low, high]) => high - low)) / 2);

  const bottom = scene.points.length ? Math.min(...scene.points.map((point) => point[2])) : 0;
  const layer = scene.points.map((point) => Math.floor((point[2] - bottom) / scene.step + 0.5));
  const layers = scene.points.length ? Math.max(...layer) + 1 : 0;
  find("slice").max = Math.max(layers - 1, 0);
  find("slice").value = Math.floor(layers / 2);

  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue("--" + name).trim();
    return { read, ramp: [0, 1, 2, 3, 4].map((i) => channels(read("r" + i))) };
  };
  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const shade = (ramp, share) => {
    const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
    const one = Math.min(Math.floor(at), ramp.length - 2);
    return ramp[one].map((value, i) => Math.round(value + (ramp[one + 1][i] - value) * (at - one)));
  };

  const errors = () => {
    const px = Number(find("noise").value);
    return scene.calibration.map((mm, i) => Math.hypot(mm, px * scene.perPixel[i]));
  };
  const top = (values) => {
    if (!values.length) return 1;
    const high = [...values].sort((a, b) => a - b)[Math.floor(0.97 * (values.length - 1))] || 1;
    const power = 10 ** Math.floor(Math.log10(high));
    return [1, 1.5, 2, 3, 5, 7.5, 10].map((step) => step * power).find((step) => step >= high);
  };

  let project = null;
  const camera = (width, height) => {
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    const distance = 3.2 * reach / view.zoom;
    const focal = Math.min(1.35 * width, 1.9 * height);
    return (point) => {
      const [x, y, z] = point.map((value, i) => value - middle[i]);
      const right = cy * x + sy * y;
      const away = -sy * x + cy * y;
      const deep = distance + cp * away - sp * z;
      const up = sp * away + cp * z;
      const scale = focal / Math.max(deep, 0.05 * distance);
      return [width / 2 + right * scale, height / 2 - up * scale, deep];
    };
  };

  const shapes = [];
  const add = (points, paint, bias = 0) => {
    const seen = points.map(project);
    shapes.push({ seen, depth: seen.reduce((sum, p) => sum + p[2], 0) / seen.length - bias, paint });
  };
  const trace = (seen, closed) => {
    context.beginPath();
    seen.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (closed) context.closePath();
  };
  const line = (colour, width, alpha = 1, closed = false) => (seen) => {
    trace(seen, closed);
    Object.assign(context, { strokeStyle: colour, lineWidth: width, globalAlpha: alpha });
    context.stroke();
  };
  const fill = (colour, alpha) => (seen) => {
    trace(seen, true);
    Object.assign(context, { fillStyle: colour, globalAlpha: alpha });
    context.fill();
  };

  const addFloor = (colours) => {
    const size = Math.max(1, Math.ceil(reach / 1.4));
    const [x0, y0] = [Math.round(middle[0]), Math.round(middle[1])];
    const z = scene.floor ? 0 : span[2][0];
    for (let i = -size; i <= size; i++) {
      add([[x0 + i, y0 - size, z], [x0 + i, y0 + size, z]], line(colours.read("line"), 1), -2 * reach);
      add([[x0 - size, y0 + i, z], [x0 + size, y0 + i, z]], line(colours.read("line"), 1), -2 * reach);
    }
    if (!scene.floor) return;
    [["r4", [1, 0, 0]], ["good", [0, 1, 0]], ["seq", [0, 0, 1]]].forEach(([name, tip], i) => {
      const end = tip.map((value) => value * 0.15 * reach);
      add([[0, 0, 0], end], line(colours.read(name), 2.5));
      add([end.map((value) => value * 1.15)], label("xyz"[i], colours.read(name)));
    });
  };
  const label = (text, colour) => ([[x, y]]) => {
    Object.assign(context, { globalAlpha: 1, font: "600 13px system-ui, sans-serif", textAlign: "center", fillStyle: colour });
    context.fillText(text, x, y);
  };
  const addVolume = (colours, values, high) => {
    const chosen = Number(find("slice").value);
    const half = scene.step * 0.46;
    scene.points.forEach(([x, y, z], i) => {
      if (layer[i] !== chosen) return;
      const square = [[x - half, y - half, z], [x + half, y - half, z], [x + half, y + half, z], [x - half, y + half, z]];
      add(square, fill(`rgb(${shade(colours.ramp, values[i] / high).join(",")})`, 0.78));
    });
  };
  const addCamera = (it, colours) => {
    const [centre, ...corners] = it.frustum;
    const colour = colours.read(it.verdict);
    add([centre, corners[0], corners[1], corners[2], corners[3]], (seen) => {
      [[1, 2], [2, 3], [3, 4], [4, 1]].forEach(([a, b]) => fill(colour, 0.1)([seen[0], seen[a], seen[b]]));
      [1, 2, 3, 4].forEach((a) => line(colour, 1.4)([seen[0], seen[a]]));
      line(colour, 1.8, 1, true)(seen.slice(1));
      line(colour, 4)([seen[1], seen[2]]);
    });
    if (find("uncertain").checked) {
      [[0, 1], [1, 2], [2, 0]].forEach(([a, b]) => {
        const ring = Array.from({ length: 33 }, (_, i) => {
          const [c, s] = [Math.cos((i * Math.PI) / 16), Math.sin((i * Math.PI) / 16)];
          return centre.map((value, k) => value + c * it.ellipsoid[a][k] + s * it.ellipsoid[b][k]);
        });
        add(ring, (seen) => { fill(colours.read("ink"), 0.09)(seen); line(colours.read("ink"), 1, 0.65)(seen); });
      });
    }
    const above = [...centre.slice(0, 2), centre[2] + 0.09 * reach];
    add([above], label(it.name, colours.read("ink")), 4 * reach);
  };

  const draw = () => {
    const dense = window.devicePixelRatio || 1;
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.lineJoin = "round";
    project = camera(width, height);
    const colours = theme();
    const values = errors();
    const high = top(values);
    shapes.length = 0;
    addFloor(colours);
    if (find("volume").checked) addVolume(colours, values, high);
    if (find("path").checked && scene.path.length > 1) {
      scene.path.slice(1).forEach((point, i) => add([scene.path[i], point], line(colours.read("soft"), 1.2, 0.8)));
    }
    scene.cameras.forEach((it) => addCamera(it, colours));
    shapes.sort((a, b) => b.depth - a.depth).forEach((shape) => shape.paint(shape.seen));
    context.globalAlpha = 1;
    tell(values, high);
  };
  const tell = (values, high) => {
    const chosen = Number(find("slice").value);
    const here = values.filter((_, i) => layer[i] === chosen).sort((a, b) => a - b);
    const spot = scene.points.find((_, i) => layer[i] === chosen);
    find("noise-told").textContent = `${Number(find("noise").value).toFixed(1)} px`;
    find("slice-told").textContent = spot ? `${scene.floor ? spot[2].toFixed(2) : (spot[2] - bottom).toFixed(2)} m` : "–";
    find("high").textContent = `${high >= 10 ? high.toFixed(0) : high.toPrecision(2)} mm`;
    find("here").textContent = here.length
      ? `This layer: median ${here[Math.floor(here.length / 2)].toFixed(1)} mm, worst ${here[here.length - 1].toFixed(1)} mm.`
      : "No two cameras see this layer.";
  };

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    turn((event.clientX - drag[0]) * 0.008, (event.clientY - drag[1]) * 0.006);
    drag = [event.clientX, event.clientY];
  });
  ["pointerup", "pointercancel"].forEach((name) => canvas.addEventListener(name, () => { drag = null; }));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.01));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.15 : 1 / 1.15);
    else if (keys[event.key]) { event.preventDefault(); turn(...keys[event.key]); }
  });
  const turn = (yaw, pitch) => {
    view.yaw -= yaw;
    view.pitch = Math.min(Math.max(view.pitch + pitch, -0.2), Math.PI / 2);
    draw();
  };
  const zoom = (factor) => { view.zoom = Math.min(Math.max(view.zoom * factor, 0.4), 8); draw(); };
  find("above").onclick = () => { view.pitch = Math.PI / 2; draw(); };
  find("side").onclick = () => { view.pitch = 0.05; draw(); };
  find("oblique").onclick = () => { Object.assign(view, { yaw: -0.9, pitch: 0.5, zoom: 1 }); draw(); };
  find("nearer").onclick = () => zoom(1.25);
  find("farther").onclick = () => zoom(0.8);
  ["noise", "slice", "uncertain", "volume", "path"].forEach((id) => find(id).addEventListener("input", draw));
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
