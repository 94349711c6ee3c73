// The map of pages: the arrow keys go from cell to cell, what one is stands below, and Enter or a press opens its people. Without a
// script the same stands in the table.
const map = document.querySelector("[data-map]");
const drawing = map?.querySelector("svg.map");
const said = document.getElementById("cell");
const cells = drawing ? [...drawing.querySelectorAll("rect")] : [];
const width = Number(map?.dataset.map);
const LEAPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width };

// The cell that the keys are at.
let at = -1;

function tell(cell) {
  const words = cell?.querySelector("title")?.textContent ?? said.dataset.hint;
  if (said.textContent !== words) said.textContent = words;
}

function go(to) {
  cells[at]?.classList.remove("is-at");
  at = Math.min(Math.max(to, 0), cells.length - 1);
  cells[at].classList.add("is-at");
  tell(cells[at]);
}

function open(cell) {
  if (cell?.dataset.after) location.assign(`${map.dataset.people}${cell.dataset.after}`);
}

function keyed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.key === "Enter" && at >= 0) open(cells[at]);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(cells.length - 1);
  else if (Object.hasOwn(LEAPS, event.key)) {
    // From outside, every key comes to the first cell; at an edge the keys stay.
    const to = at + LEAPS[event.key];
    if (at < 0) go(0);
    else if (to >= 0 && to < cells.length) go(to);
  } else return;
  event.preventDefault();
}

if (cells.length && said) {
  map.tabIndex = 0;
  tell(null);
  map.addEventListener("keydown", keyed);
  map.addEventListener("focus", () => at < 0 && go(0));
  map.addEventListener("blur", () => {
    cells[at]?.classList.remove("is-at");
    at = -1;
    tell(null);
  });
  drawing.addEventListener("pointerover", ({ target }) => tell(target.closest("rect")));
  drawing.addEventListener("pointerleave", () => tell(cells[at]));
  drawing.addEventListener("click", ({ target }) => open(target.closest("rect")));
}
