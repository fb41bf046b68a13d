"use strict";

const dialog = document.querySelector("dialog");
const enlarged = dialog.querySelector("img");
const caption = dialog.querySelector("figcaption");

for (const button of document.querySelectorAll(".shot button")) {
  button.addEventListener("click", () => {
    const picture = button.querySelector("img");
    enlarged.src = picture.src;
    enlarged.alt = picture.alt;
    caption.textContent = button.dataset.caption;
    dialog.classList.remove("actual");
    dialog.showModal();
  });
}
enlarged.addEventListener("click", () => dialog.classList.toggle("actual"));
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest(".close")) dialog.close();
});

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
