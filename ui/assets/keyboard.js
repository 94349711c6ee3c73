// The keys of the pages. Single letters can be switched off, and never fire in a field or together with Ctrl, Alt or Meta.
const root = document.documentElement;
const sheet = document.getElementById("sheet");
const find = (selector) => document.querySelector(selector);
let goes = 0;

// How long after `g` a letter still leads somewhere, in milliseconds.
const GOES_FOR = 1500;

const isField = (target) =>
  target instanceof Element && target.closest("input:not([type=checkbox],[type=radio]), textarea, select, [contenteditable]");
const isAsking = () => find("dialog[open]");

function openSheet(event) {
  if (!sheet) return;
  event.preventDefault();
  sheet.showModal();
}

// The next row, or the one before, gets the focus.
function step(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement?.closest?.("[data-row]") ?? document.activeElement);
  const row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  row.focus();
}

const letters = {
  "?": openSheet,
  j: () => step(1),
  k: () => step(-1),
  r: () => document.dispatchEvent(new CustomEvent("volley:hold")),
  "/": (event) => {
    const filter = find("[data-filter]");
    event.preventDefault();
    if (filter) filter.focus();
    else find("[data-search]")?.click();
  },
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat || event.defaultPrevented) return;
  if (event.key === "Escape" && !isAsking() && !isField(event.target)) {
    find("[data-up]")?.click();
    return;
  }
  if (root.dataset.keys !== "on" || isField(event.target) || isAsking()) return;
  if (event.timeStamp < goes) {
    goes = 0;
    find(`[data-go="${CSS.escape(event.key)}"]`)?.click();
    return;
  }
  if (event.key === "g") {
    goes = event.timeStamp + GOES_FOR;
    return;
  }
  if (Object.hasOwn(letters, event.key)) letters[event.key](event);
  else if (/^[a-z0-9]$/.test(event.key)) find(`[data-key="${event.key}"]`)?.click();
});

find("[data-sheet]")?.addEventListener("click", openSheet);
