// Search from every page: Ctrl K opens a dialog that shows what is found while one types. Without a script the same is a page.
const dialog = document.getElementById("seek");
const field = dialog?.querySelector("input");
const found = dialog?.querySelector(".found");
const status = dialog?.querySelector("[role=status]");

// How long after a key the server is asked, in milliseconds.
const PAUSE = 120;
// What was found is said aloud when nothing was typed for so long.
const SAID_AFTER = 700;

let timer = 0;
let saying = 0;
let asking = null;
// The text whose hits are shown.
let shown = "";
// Enter was pressed before the answer was there.
let isWanted = false;

const hits = () => [...found.querySelectorAll("a[href]")];
const typed = () => field.value.trim();

// The focus is in the field, behind what is typed.
function toField() {
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => {
    status.textContent = text;
  }, SAID_AFTER);
}

function show(nodes, words) {
  found.replaceChildren(...nodes);
  say(words);
}

// There are no hits, and Enter opens the search as a page.
function failed(text, words) {
  const line = document.createElement("p");
  line.className = "quiet";
  line.textContent = `${words} Enter opens the search as a page.`;
  shown = text;
  show([line], line.textContent);
  if (isWanted) open();
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const text = typed();
  if (!text) {
    shown = "";
    show([], "");
    return;
  }
  try {
    const url = `/ui/search?q=${encodeURIComponent(text)}`;
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("found");
    // Signed out: the page of the search leads to the page for signing in, and back.
    if (answer.redirected) location.assign(url);
    if (!fresh) {
      const problem = page.querySelector(".trouble p")?.textContent.trim();
      failed(text, problem ? `${problem.replace(/[.]$/, "")}.` : "The search got no answer.");
      return;
    }
    shown = text;
    const nodes = [...fresh.children].map((node) => document.importNode(node, true));
    show(nodes, fresh.dataset.count);
    mark(0);
    if (isWanted) open();
  } catch (error) {
    if (error.name !== "AbortError") failed(text, "The search got no answer.");
  } finally {
    if (!signal.aborted) isWanted = false;
  }
}

// The hit that Enter opens from the field.
function mark(at) {
  hits().forEach((hit, n) => hit.classList.toggle("is-first", n === at));
}

function open() {
  const first = hits()[0];
  if (first) first.click();
  else field.form.submit();
}

function start() {
  if (document.querySelector("dialog[open]")) return;
  dialog.showModal();
  field.select();
}

function move(by) {
  const stops = [field, ...hits()];
  const at = Math.max(stops.indexOf(document.activeElement), 0) + by;
  const stop = stops[Math.min(Math.max(at, 0), stops.length - 1)];
  if (stop === field) toField();
  else stop.focus();
  mark(stop === field ? 0 : -1);
}

function keyed(event) {
  if (event.isComposing) return;
  if (event.key === "Escape") {
    // A field for a search would only empty itself at the first press.
    event.preventDefault();
    dialog.close();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target === field) {
    event.preventDefault();
    if (!typed()) return;
    if (shown === typed()) {
      open();
      return;
    }
    isWanted = true;
    clearTimeout(timer);
    ask();
  } else if (event.target !== field && !event.ctrlKey && !event.altKey && !event.metaKey) {
    // Who goes on typing is in the field again.
    if (event.key.length === 1 || event.key === "Backspace") toField();
  }
}

if (dialog) {
  dialog.addEventListener("keydown", keyed);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  // What was asked for is wanted no longer.
  dialog.addEventListener("close", () => {
    isWanted = false;
    clearTimeout(timer);
    asking?.abort();
  });
  field.addEventListener("input", () => {
    isWanted = false;
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  document.querySelector("[data-search]")?.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    start();
  });
  addEventListener("keydown", (event) => {
    const isOurs = (event.ctrlKey !== event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k";
    if (!isOurs || event.isComposing || event.defaultPrevented) return;
    event.preventDefault();
    if (!event.repeat) start();
  });
}
