// Keeps an open page as it is on the server: its parts come as HTML and take the place of those with the same id.
const topic = document.body.dataset.live;
const root = document.documentElement;

// Waits between two attempts to connect, in milliseconds; after the last one it stays.
const WAITS = [250, 500, 1000, 2000, 5000];
// Without a word for so long, the numbers are no longer called live, in milliseconds.
const QUIET = 4000;
// What has changed is said aloud once in so long, in milliseconds.
const SAID_EVERY = 10000;

let source = null;
let attempt = 0;
let timer = 0;
let watchdog = 0;
let held = false;
let heardAt = null;
let isOver = false;
let said = { text: null, at: 0 };

const clock = (at) => at.toLocaleTimeString("en-GB", { hourCycle: "h23" });

function show(state) {
  const dot = document.getElementById("live");
  if (!dot) return;
  const since = heardAt ? ` since ${clock(heardAt)}` : "";
  const words = { live: "live", paused: "paused", stale: `stale${since}`, still: "connecting" };
  if (dot.hidden || dot.dataset.state !== state || state === "stale") {
    dot.hidden = false;
    dot.dataset.state = state;
    dot.textContent = words[state];
  }
  root.classList.toggle("is-stale", state === "stale");
  root.dataset.live = state;
}

function heard() {
  heardAt = new Date();
  attempt = 0;
  clearTimeout(watchdog);
  watchdog = setTimeout(() => show("stale"), QUIET);
  show("live");
}

// Changes what differs and leaves the rest alone: the focus, a selection and the place in a scrolled table stay.
function morph(old, fresh) {
  if (old.isEqualNode(fresh) || old.id === "live") return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((child, at) => (before[at] ? morph(before[at], child) : old.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

function say(part) {
  const text = part.dataset.say;
  if (!text || text === said.text) return;
  const isFirst = said.text === null;
  if (!isFirst && Date.now() - said.at < SAID_EVERY) return;
  said = { text, at: isFirst ? 0 : Date.now() };
  if (!isFirst) document.getElementById("heard").textContent = text;
}

function replace(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const part of [...page.body.children]) {
    const old = document.getElementById(part.id);
    if (!old) continue;
    const fresh = document.importNode(part, true);
    document.dispatchEvent(new CustomEvent("volley:shown", { detail: fresh }));
    morph(old, fresh);
    say(fresh);
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
  source.addEventListener("page", (event) => {
    replace(event.data);
    heard();
  });
  source.addEventListener("seen", heard);
  source.addEventListener("stale", () => {
    clearTimeout(watchdog);
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
