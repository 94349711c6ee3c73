// Keeps an open page as it is on the server: its parts come as HTML and take the place of those with the same id.
const topic = document.body.dataset.live;
const root = document.documentElement;

// Waits between two attempts to connect, in milliseconds; after the last one it stays.
const WAITS = [250, 500, 1000, 2000, 5000];
// Without a word for so long after one was to come, the numbers are no longer called live, in milliseconds.
const QUIET = 4000;
// Numbers that come less often than this are not called live without saying how often they come.
const OFTEN = 5000;
// What has changed is said aloud once in so long, in milliseconds.
const SAID_EVERY = 10000;

let source = null;
let attempt = 0;
let timer = 0;
let watchdog = 0;
let held = false;
// When what is shown was true, by the server's clock.
let trueAt = document.body.dataset.at ? new Date(document.body.dataset.at) : null;
let every = 0;
let isOver = false;
let saying = 0;
let said = { text: null, at: 0 };

const clock = (at) => at.toLocaleTimeString("en-GB", { hourCycle: "h23" });

function show(state) {
  const dot = document.getElementById("live");
  if (!dot) return;
  const since = trueAt ? ` since ${clock(trueAt)}` : "";
  const live = every > OFTEN ? `live, every ${Math.round(every / 1000)} s` : "live";
  const words = { live, paused: "paused", stale: `stale${since}`, still: "connecting" };
  if (dot.hidden || dot.dataset.state !== state || dot.textContent !== words[state]) {
    dot.hidden = false;
    dot.dataset.state = state;
    dot.textContent = words[state];
  }
  root.classList.toggle("is-stale", state === "stale");
  root.dataset.live = state;
}

// What is shown is true at this moment, and the next word comes in so many milliseconds.
function heard(event) {
  const [at, next] = event.data.split(" ");
  [trueAt, every, attempt] = [new Date(at), Number(next), 0];
  clearTimeout(watchdog);
  watchdog = setTimeout(() => show("stale"), every + QUIET);
  show("live");
}

const isLike = (one, other) =>
  one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.id === other.id;

// Changes what differs and leaves the rest alone: the focus, a selection and the place in a scrolled table stay. Both are alike.
function morph(old, fresh) {
  if (old.isEqualNode(fresh) || old.id === "live") return;
  if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    let same = at;
    while (same && child.id && !isLike(same, child)) same = same.nextSibling;
    if (!same || !isLike(same, child)) {
      old.insertBefore(child, at);
      continue;
    }
    // What lies before one that stays is gone: what stays is not moved, because that would take the focus from it.
    for (; at !== same; at = removed(at));
    at = same.nextSibling;
    morph(same, child);
  }
  while (at) at = removed(at);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function say(part) {
  const text = part.dataset.say;
  if (!text) return;
  if (text === said.text) {
    clearTimeout(saying);
    return;
  }
  clearTimeout(saying);
  if (said.text === null) {
    said = { text, at: 0 };
    return;
  }
  // What comes too soon waits, so that the last change is said, too.
  saying = setTimeout(() => {
    said = { text, at: Date.now() };
    document.getElementById("heard").textContent = text;
  }, Math.max(0, said.at + SAID_EVERY - Date.now()));
}

function replace(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const part of [...page.body.children]) {
    const old = document.getElementById(part.id);
    if (!old) continue;
    const fresh = document.importNode(part, true);
    document.dispatchEvent(new CustomEvent("volley:shown", { detail: fresh }));
    say(fresh);
    morph(old, fresh);
  }
}

function disconnect() {
  source?.close();
  source = null;
  clearTimeout(timer);
  clearTimeout(watchdog);
}

function again() {
  disconnect();
  if (isOver || held || document.hidden) return;
  timer = setTimeout(connect, WAITS[Math.min(attempt, WAITS.length - 1)]);
  attempt += 1;
}

function connect() {
  disconnect();
  if (isOver) return;
  source = new EventSource(`/ui/live?page=${encodeURIComponent(topic)}`);
  source.addEventListener("page", (event) => replace(event.data));
  source.addEventListener("seen", heard);
  source.addEventListener("stale", (event) => {
    clearTimeout(watchdog);
    if (event.data) trueAt = new Date(event.data);
    show("stale");
  });
  source.addEventListener("end", again);
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("leave", () => {
    isOver = true;
    disconnect();
    document.dispatchEvent(new CustomEvent("volley:leave"));
  });
  source.addEventListener("error", () => {
    show("stale");
    again();
  });
}

function consider() {
  if (held || document.hidden) {
    disconnect();
    show("paused");
  } else connect();
}

if (topic) {
  show("still");
  document.addEventListener("visibilitychange", consider);
  document.addEventListener("volley:hold", () => {
    held = !held;
    consider();
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => event.persisted && consider());
  if (!document.hidden) connect();
}
