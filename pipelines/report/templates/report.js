"use strict";

const dialog = document.querySelector("dialog");
const stage = dialog.querySelector(".stage");
const enlarged = dialog.querySelector("img");
const caption = dialog.querySelector(".caption");
const zoomText = dialog.querySelector("output");
const view = { scale: 1, x: 0, y: 0 };
const MOST = 16;

// The scale is relative to the size that fits: 1 shows the whole picture, and never less.
function show() {
  const room = { x: (view.scale - 1) * enlarged.offsetWidth / 2, y: (view.scale - 1) * enlarged.offsetHeight / 2 };
  view.x = Math.min(room.x, Math.max(-room.x, view.x));
  view.y = Math.min(room.y, Math.max(-room.y, view.y));
  enlarged.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  const pixels = view.scale * enlarged.offsetWidth / (enlarged.naturalWidth || 1);
  enlarged.classList.toggle("pixels", pixels > 2);
  stage.classList.toggle("zoomed", view.scale > 1);
  zoomText.textContent = `${Math.round(100 * pixels)} %`;
}

// The point of the picture under (x, y), from the middle of the stage, stays where it is.
function zoom(factor, x = 0, y = 0) {
  const scale = Math.min(MOST, Math.max(1, view.scale * factor));
  const ratio = scale / view.scale;
  view.x = x - (x - view.x) * ratio;
  view.y = y - (y - view.y) * ratio;
  view.scale = scale;
  show();
}

function reset() {
  Object.assign(view, { scale: 1, x: 0, y: 0 });
  show();
}

function fromMiddle(event) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
}

const shots = [...document.querySelectorAll(".shot button")];
let shot = 0;

function open(index) {
  shot = (index + shots.length) % shots.length;
  const picture = shots[shot].querySelector("img");
  enlarged.src = picture.src;
  enlarged.alt = picture.alt;
  caption.textContent = shots[shot].dataset.caption;
  if (!dialog.open) dialog.showModal();
  enlarged.decode().then(reset, reset);
}

shots.forEach((button, index) => button.addEventListener("click", () => open(index)));

stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / (event.deltaMode ? 25 : 400)), ...fromMiddle(event));
}, { passive: false });

const fingers = new Map();
let moved = false;

stage.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, fromMiddle(event));
  moved = fingers.size > 1;
});
stage.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = fromMiddle(event);
  const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  if (other) zoom(Math.hypot(now[0] - other[0], now[1] - other[1]) / (Math.hypot(before[0] - other[0], before[1] - other[1]) || 1), ...other);
  view.x += (now[0] - before[0]) / fingers.size;
  view.y += (now[1] - before[1]) / fingers.size;
  if (Math.hypot(now[0] - before[0], now[1] - before[1]) > 2) moved = true;
  fingers.set(event.pointerId, now);
  show();
});
stage.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  if (moved || fingers.size) return;
  if (view.scale > 1) reset();
  else zoom(3, ...fromMiddle(event));
});
stage.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));

const keys = {
  "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": reset,
  n: () => open(shot + 1), p: () => open(shot - 1),
};
const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

dialog.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = steps[event.key];
  if (step && view.scale > 1) {
    view.x += step[0] * 80;
    view.y += step[1] * 80;
    show();
  } else if (step && step[0]) open(shot - step[0]);
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest(".close")) dialog.close();
  else if (event.target.closest("[data-key]")) keys[event.target.closest("[data-key]").dataset.key]();
});
window.addEventListener("resize", () => { if (dialog.open) show(); });

function key(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replaceAll(",", ""));
  return { text, number };
}

function compare(a, b, numeric) {
  if (!numeric) return a.text.localeCompare(b.text, "en", { numeric: true });
  if (Number.isNaN(a.number)) return Number.isNaN(b.number) ? 0 : 1;
  return Number.isNaN(b.number) ? -1 : a.number - b.number;
}

function sortBy(header) {
  const table = header.closest("table");
  const descending = header.getAttribute("aria-sort") === "ascending";
  const numeric = header.classList.contains("number");
  const column = header.cellIndex;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(key(a, column), key(b, column), numeric) * (descending ? -1 : 1));
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
}

// A span, since browsers leave real buttons out of table heads that they repeat on paper.
for (const header of document.querySelectorAll("thead th")) {
  const control = document.createElement("span");
  control.setAttribute("role", "button");
  control.tabIndex = 0;
  control.append(...header.childNodes);
  control.addEventListener("click", () => sortBy(header));
  control.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    sortBy(header);
  });
  header.append(control);
}

const wide = window.matchMedia("(min-width: 64rem)");
const contents = document.querySelector("nav details");
contents.open = wide.matches;
wide.addEventListener("change", () => { contents.open = wide.matches; });

// Paper has no buttons: what is folded away on the screen is printed in full.
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("main details:not([open])")];
  for (const part of folded) part.open = true;
});
window.addEventListener("afterprint", () => { for (const part of folded) part.open = false; });
