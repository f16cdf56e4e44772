"use strict";
// Draws the timeline. Only what can be seen is drawn, so that thousands of bars stay quick.

const root = document.documentElement;
addEventListener("error", (event) => { root.dataset.error = event.message; });

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const canvas = byId("timeline"), scroller = byId("scroller"), inner = byId("inner"), tip = byId("tip");
const sort = byId("sort"), find = byId("find"), form = byId("controls");

const AXIS = 28, MOST_HEIGHT = 620, ROW = 20, THICKEST = 22, CUT = 26, PADDING = 12;

const rows = data.rows.map(([key, verdict, cause, ready, ids, start, flat], place) => {
  const stretches = [];
  for (let i = 0, from = start; i < flat.length; i += 3) {
    stretches.push({ attempt: flat[i], state: flat[i + 1], from, to: flat[i + 2] });
    from = flat[i + 2];
  }
  const [name, word] = data.verdicts[verdict];
  const end = stretches.length ? stretches[stretches.length - 1].to : null;
  return { place, key, folded: key.toLowerCase(), name, word, cause, ready, ids, start, end, stretches };
});

// Orders. Whatever is not ready comes after everything that is, or before it.
const late = (row) => row.ready ?? Infinity;
const rank = (row) => (row.name === "success" ? 1e9 : row.cause < 0 ? 1e8 : row.cause);
const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
const ORDERS = {
  spec: (a, b) => a.place - b.place,
  ready: (a, b) => compare(late(a), late(b)) || compare(rank(a), rank(b)) || a.place - b.place,
  cause: (a, b) => compare(rank(a), rank(b)) || a.place - b.place,
};

let shown = rows, rowHeight = ROW, height = 0, width = 0, gutter = 0, pointed = -1, colours = {};
let pieces = [], ticks = [], aligned = false;

const plain = (value) => value.toFixed(1).replace(/\.0$/, "");
function span(seconds) {
  if (seconds < 59.95) return `${plain(seconds)} s`;
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60, rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours} h ${String(minutes).padStart(2, "0")} min` : `${minutes} min ${rest} s`;
}
function brief(seconds) {
  const parts = [[Math.floor(seconds / 3600), "h"], [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
  return parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ") || "0";
}

// Across: time to pixels, in pieces between the silences, which are cut to a narrow strip each.
// By time to ready, the bars begin together instead, so that their lengths can be compared.
function layAcross(left, right) {
  aligned = sort.value === "ready" && !data.silences.length;
  const edges = [0];
  for (const [from, to] of data.silences) edges.push(from, to);
  const end = aligned ? rows.reduce((most, row) => Math.max(most, row.end - row.start), 0) : data.end;
  edges.push(Math.max(end, 1));
  byId("clock").textContent = `Time runs from ${aligned ? "each one's own first create" : "the start of the launch"}.`;
  let busy = 0;
  for (let i = 0; i < edges.length; i += 2) busy += edges[i + 1] - edges[i];
  const scale = (right - left - CUT * data.silences.length) / Math.max(busy, 0.001);
  pieces = [];
  for (let i = 0, x = left; i < edges.length; i += 2) {
    const piece = { from: edges[i], to: edges[i + 1], x, end: x + (edges[i + 1] - edges[i]) * scale };
    pieces.push(piece);
    x = piece.end + CUT;
  }
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const step = steps.find((each) => each * scale >= 90) ?? 86400;
  ticks = [];
  for (const piece of pieces) {
    for (let at = Math.ceil(piece.from / step) * step; at <= piece.to; at += step) {
      ticks.push([across(at), brief(at)]);
    }
  }
}
function across(seconds) {
  for (let i = 0; i < pieces.length; i++) {
    const { from, to, x, end } = pieces[i];
    if (seconds <= to) {
      if (seconds >= from) return x + (end - x) * (seconds - from) / Math.max(to - from, 0.001);
      const last = pieces[i - 1];
      return last.end + CUT * (seconds - last.to) / (from - last.to);
    }
  }
  return pieces[pieces.length - 1].end;
}

const acrossOf = (row, seconds) => across(aligned ? seconds - row.start : seconds);

function hatch(context, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 2.4;
  for (const shift of [-6, 0, 6]) {
    pen.beginPath();
    pen.moveTo(shift - 1, 7);
    pen.lineTo(shift + 7, -1);
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}
function readColours() {
  const style = getComputedStyle(root);
  const names = "card ink soft faint rule shade asked coming ready failed waiting stopping deleting gone other silence";
  for (const name of names.split(" ")) colours[name] = style.getPropertyValue(`--${name}`).trim();
  colours.font = `12px ${getComputedStyle(document.body).fontFamily}`;
}

// Upwards: which rows there are, and how high they can be.
function layOut() {
  const wanted = find.value.trim().toLowerCase();
  shown = rows.filter((row) => row.folded.includes(wanted)).sort(ORDERS[sort.value]);
  const room = MOST_HEIGHT - AXIS - 4;
  const fit = Math.min(THICKEST, room / Math.max(shown.length, 1));
  rowHeight = form.elements.view.value === "rows" ? Math.max(ROW, fit) : fit;
  const whole = AXIS + shown.length * rowHeight + 4;
  height = Math.min(MOST_HEIGHT, Math.max(Math.ceil(whole), AXIS + 60));
  scroller.style.height = `${height}px`;
  inner.style.height = `${Math.max(Math.floor(whole), height)}px`;
  width = inner.clientWidth;
  const pixels = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * pixels);
  canvas.height = Math.round(height * pixels);
  const context = canvas.getContext("2d");
  context.font = colours.font;
  const named = rowHeight >= 14;
  const longest = shown.reduce((most, row) => (row.key.length > most.length ? row.key : most), "");
  gutter = named ? Math.min(Math.ceil(context.measureText(longest).width) + 16, 190, width / 4) : PADDING;
  layAcross(gutter, width - (named ? Math.min(230, width / 4) : PADDING));
  byId("shown").value = shown.length === rows.length
    ? `${rows.length} workstations` : `${shown.length} of ${rows.length} workstations`;
  pointed = -1;
  tip.hidden = true;
  draw();
}

function draw() {
  const began = performance.now();
  const pixels = devicePixelRatio || 1, context = canvas.getContext("2d"), top = scroller.scrollTop;
  const snap = (value) => Math.round(value * pixels) / pixels;
  context.setTransform(pixels, 0, 0, pixels, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = colours.font;
  context.textBaseline = "middle";
  context.fillStyle = colours.faint;
  for (const [x] of ticks) context.fillRect(snap(x), AXIS, 1, height);

  const hatched = hatch(context, colours.waiting);
  const named = rowHeight >= 14, space = rowHeight >= 8 ? 3 : rowHeight >= 3 ? 1 : 0;
  const first = Math.max(0, Math.floor(top / rowHeight));
  const last = Math.min(shown.length, Math.ceil((top + height - AXIS) / rowHeight));
  let drawn = 0;
  const bar = (row, y, thick) => {
    for (const stretch of row.stretches) {
      const x = acrossOf(row, stretch.from), wide = Math.max(acrossOf(row, stretch.to) - x, 0.5);
      const name = data.states[stretch.state][1];
      context.fillStyle = name === "waiting" && thick >= 5 ? hatched : colours[name];
      context.fillRect(x, y, wide, thick);
    }
    if (row.end !== null && row.name !== "pending") {
      context.fillStyle = row.name === "success" ? colours.ready : colours.failed;
      context.fillRect(acrossOf(row, row.end) - 3, y, 4, thick);
    }
    drawn += 1;
  };
  // Where rows are thinner than a pixel, those that failed are drawn last, and never thinner.
  for (const good of [true, false]) {
    for (let i = first; i < last; i++) {
      const row = shown[i];
      if ((row.name === "success") !== good) continue;
      const y = AXIS + i * rowHeight - top, least = good ? 1 / pixels : 1.5;
      const from = snap(y), to = rowHeight < 3 ? from + Math.max(rowHeight, least) : snap(y + rowHeight - space);
      if (i === pointed) {
        context.fillStyle = colours.shade;
        context.fillRect(0, from - space / 2, width, Math.max(rowHeight, 2));
      }
      bar(row, from, to - from);
    }
  }
  for (let i = 0; i + 1 < pieces.length; i++) {
    context.fillStyle = colours.silence;
    context.fillRect(pieces[i].end, AXIS, CUT, height);
  }
  if (named) label(context, first, last, top);
  if (!named && pointed >= 0) {
    context.fillStyle = colours.ink;
    context.fillRect(0, AXIS + (pointed + 0.5) * rowHeight - top - 0.5, PADDING - 4, 1);
  }
  axis(context);
  canvas.dataset.drawn = drawn;
  canvas.dataset.shown = shown.length;
  canvas.dataset.ms = (performance.now() - began).toFixed(1);
}

function label(context, first, last, top) {
  const most = gutter - 14;
  for (let i = first; i < last; i++) {
    const row = shown[i], y = AXIS + (i + 0.5) * rowHeight - top - 1;
    context.fillStyle = colours.ink;
    context.textAlign = "left";
    context.fillText(fitted(context, row.key, most), 4, y);
    const at = row.end === null ? gutter : acrossOf(row, row.end) + 8;
    const said = row.name === "success" ? `ready in ${span(row.ready ?? 0)}`
      : row.start === null ? `${row.word}, never asked for` : row.cause < 0 ? row.word : data.causes[row.cause];
    context.fillStyle = row.name === "success" || row.name === "pending" ? colours.soft : colours.failed;
    context.fillText(fitted(context, said, width - at - 4), at, y);
  }
}
function fitted(context, text, most) {
  if (context.measureText(text).width <= most) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > most) length -= 1;
  return `${text.slice(0, length)}…`;
}

function axis(context) {
  context.fillStyle = colours.card;
  context.fillRect(0, 0, width, AXIS);
  context.fillStyle = colours.rule;
  context.fillRect(0, AXIS - 1, width, 1);
  context.fillStyle = colours.soft;
  let free = -Infinity;
  for (const [x, text] of ticks) {
    const half = context.measureText(text).width / 2, at = Math.min(Math.max(x, half + 2), width - half - 2);
    if (at - half < free) continue;
    context.textAlign = "center";
    context.fillText(text, at, AXIS / 2);
    free = at + half + 12;
  }
}

// What the pointer says.
function tell(lines, x, y) {
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 16, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 20 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 20}px`;
}
function describe(row, x) {
  const lines = [row.key];
  lines.push(row.cause < 0 ? row.word : `${row.word}: ${data.causes[row.cause]}`);
  if (row.ready !== null) lines[1] += `, ready in ${span(row.ready)}`;
  const at = row.stretches.find((each) => x >= acrossOf(row, each.from) && x <= acrossOf(row, each.to));
  if (at) {
    const session = row.ids[at.attempt - 1], number = row.ids.length > 1 ? `, attempt ${at.attempt} of ${row.ids.length}` : "";
    lines.push(`${data.states[at.state][0]} for ${span(at.to - at.from)}${number}`);
    lines.push(`from ${span(at.from)} to ${span(at.to)}`);
    if (session) lines.push(`session ${session}`);
  } else {
    const session = row.ids.filter(Boolean).pop();
    if (row.start === null) lines.push("never asked for");
    if (session) lines.push(`session ${session}`);
  }
  return lines;
}
function point(index, x, y, at) {
  if (index !== pointed) {
    pointed = index;
    schedule();
  }
  if (index < 0) tip.hidden = true;
  else tell(describe(shown[index], at), x, y);
}
function indexAt(event) {
  const box = canvas.getBoundingClientRect(), y = event.clientY - box.top - AXIS;
  const index = Math.floor((y + scroller.scrollTop) / rowHeight);
  return y >= 0 && index < shown.length ? index : -1;
}

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; draw(); });
}
function lookCloser(index) {
  form.elements.view.value = "rows";
  layOut();
  scroller.scrollTop = (index + 0.5) * rowHeight - (height - AXIS) / 2;
  pointed = index;
  remember();
}
canvas.addEventListener("pointermove", (event) => {
  const at = event.clientX - canvas.getBoundingClientRect().left;
  point(indexAt(event), event.clientX, event.clientY, at);
});
canvas.addEventListener("pointerleave", () => point(-1));
canvas.addEventListener("click", (event) => {
  const index = indexAt(event);
  if (index >= 0 && rowHeight < 14) lookCloser(index);
});
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
  if (event.key === "Enter" && pointed >= 0 && rowHeight < 14) lookCloser(pointed);
  if (!step || !shown.length) return;
  event.preventDefault();
  const index = Math.max(0, Math.min(shown.length - 1, pointed + step)), row = shown[index];
  const y = index * rowHeight;
  if (y < scroller.scrollTop) scroller.scrollTop = y;
  if (y + rowHeight > scroller.scrollTop + height - AXIS) scroller.scrollTop = y + rowHeight - height + AXIS;
  const box = canvas.getBoundingClientRect(), at = row.end === null ? gutter : acrossOf(row, row.end) - 1;
  point(index, box.left + at, box.top + AXIS + y + rowHeight - scroller.scrollTop, at);
});
scroller.addEventListener("scroll", schedule);

// What is chosen stands in the address, so that a link shows the same.
function remember() {
  const chosen = new URLSearchParams({ sort: sort.value, view: form.elements.view.value, find: find.value });
  history.replaceState(null, "", `#${chosen}`);
}
function recall() {
  const chosen = new URLSearchParams(location.hash.slice(1));
  if (Object.hasOwn(ORDERS, chosen.get("sort"))) sort.value = chosen.get("sort");
  if (chosen.has("view")) form.elements.view.value = chosen.get("view");
  if (chosen.has("find")) find.value = chosen.get("find");
}
form.addEventListener("input", () => { scroller.scrollTop = 0; layOut(); remember(); });
form.addEventListener("submit", (event) => event.preventDefault());

for (const column of document.querySelectorAll(".column")) {
  const title = column.querySelector("title"), said = title.textContent;
  column.setAttribute("aria-label", said);
  title.remove();
  column.addEventListener("pointermove", (event) => tell([said], event.clientX, event.clientY));
  column.addEventListener("pointerleave", () => { tip.hidden = true; });
}

readColours();
recall();
layOut();
new ResizeObserver(() => { if (inner.clientWidth !== width) layOut(); }).observe(scroller);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
