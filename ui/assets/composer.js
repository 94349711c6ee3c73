// The composer: what is typed is saved after each pause, and the preview and the count beside it follow.
const form = document.getElementById("composer");
const PLACE = `volley:composer ${location.pathname}`;
// How long a pause is; how long until another try where the server did not take it, twice as long each time, and at most. In milliseconds.
const PAUSE = 600;
const AGAIN = 4000;
const LONGEST = 60000;
// How long an answer is waited for.
const PATIENCE = 30000;
// The largest form that is taken, and the largest one that a browser sends for a page that is left. In characters, which are one byte each.
const MOST = Number(form?.dataset.most);
const MOST_ON_LEAVING = 60000;
// What a press of these buttons does is done in place.
const IN_PLACE = ["save", "mine", "count", "preview", "upload"];
// What is not finished is not called wrong while it is typed.
const UNFINISHED = ["subject", "body_text"];

let timer = 0;
let isDirty = false;
let isAudienceDirty = false;
// Whether what was sent last asks for a count.
let isCounting = false;
// Somebody has to decide first: the draft was changed elsewhere, or is none any more.
let isHeld = false;
// A part of what was sent last is refused.
let isRefused = false;
// How often the server did not take it, one after another, and before when it is not asked again.
let failures = 0;
let notBefore = 0;
// A button leads to another page, and nothing else is pressed before.
let isGoing = false;
// The session has ended, and what is typed waits in this tab.
let isLeaving = false;
// When somebody else saved what is not on this page.
let theirs = null;
// What is on its way, or has gone without an answer: it is sent again as it was, so that it is done once.
let sent = null;
let under = null;
// How many saves were answered, and what is looked at beside the form.
let answers = 0;
let looking = null;

const freshKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const saved = () => document.getElementById("saved");
const isReader = (field) => ["as", "as_other"].includes(field.name);
// A file of the reader's disk has its own way: it is brought, and then it is one of the fields.
const isFile = (field) => field.name === "upload";
const PARTS = ["saved", "count", "preview", "attachments"];
// The rows of files, as they are now.
const files = () => JSON.stringify([...new FormData(form)].filter(([name]) => name.startsWith("file") || name === "older_file"));

function say(text) {
  const line = document.createElement("p");
  line.className = "held";
  line.textContent = text;
  saved().replaceChildren(line);
}

// The form as it is, as a request of its own.
function body(more) {
  const fields = new URLSearchParams([...new FormData(form)].filter(([name]) => name !== "upload"));
  fields.set("idempotency_key", freshKey());
  fields.set("part", "yes");
  for (const [name, value] of Object.entries(more)) fields.set(name, value);
  return fields.toString();
}

// The parts of an answer take the places of those with the same ids. What somebody is typing into stays.
function take(page, parts) {
  for (const id of parts) {
    const old = document.getElementById(id);
    const fresh = page.getElementById(id);
    if (!old || !fresh || old.isEqualNode(fresh)) continue;
    if (id === "count" && fresh.querySelector("[data-uncounted]") && old.querySelector(".hero")) continue;
    const part = document.importNode(fresh, true);
    // Who was not found can be corrected.
    if ("unknown" in part.dataset) part.querySelector("#as_other").value = form.elements.as_other?.value ?? "";
    document.dispatchEvent(new CustomEvent("volley:shown", { detail: part }));
    if (id === "saved") {
      old.replaceChildren(...part.childNodes);
      old.dataset.seen = part.dataset.seen;
      continue;
    }
    const active = old.contains(document.activeElement) ? document.activeElement : null;
    if (active?.matches("input:not([type=file], [type=checkbox])")) continue;
    old.replaceWith(part);
    if (active) (part.querySelector(active.id ? `#${active.id}` : active.localName) ?? part.querySelector("[data-next]"))?.focus();
  }
}

// Says at each field what is wrong with it.
function mark(page) {
  for (const old of form.querySelectorAll(".wrong")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  for (const { dataset } of page?.querySelectorAll("#saved [data-field]") ?? []) {
    const field = document.getElementById(dataset.field);
    const isUnfinished = UNFINISHED.includes(dataset.field) && !field?.value.trim();
    if (!field || isUnfinished) continue;
    const line = document.createElement("p");
    line.className = "wrong";
    line.id = `${dataset.field}-wrong`;
    line.textContent = dataset.reason;
    field.after(line);
    if (!field.matches("input, textarea, select")) continue;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", line.id);
  }
}

// Sends what is typed; whether all of it is saved.
async function send(more) {
  clearTimeout(timer);
  if (sent === null) {
    sent = body({ ...more, ...(isAudienceDirty ? { count: "some" } : {}) });
    isCounting = isAudienceDirty;
    isDirty = isAudienceDirty = false;
  }
  if (sent.length > MOST) {
    sent = null;
    unsaved();
    say(`Not saved: the form is larger than ${MOST} bytes, which is the most that is taken. What you typed stays here: shorten it.`);
    return false;
  }
  const asSent = files();
  let answer;
  let page;
  try {
    const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "text/html" };
    answer = await fetch(form.getAttribute("action"), { method: "POST", headers, body: sent, signal: AbortSignal.timeout(PATIENCE) });
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    unsaved();
    return again("the server does not answer.", 0);
  }
  const fresh = page.getElementById("saved");
  const isSignedOut = answer.status === 401 || (answer.redirected && new URL(answer.url).pathname === "/ui/enter");
  if (answer.redirected && !fresh && !isSignedOut) {
    // It is saved, perhaps: the same is asked for again.
    unsaved();
    return again("the server answered with another page.", 0);
  }
  if (!fresh && isUnclear(answer)) {
    // The same as before changes nothing if it is saved. The server takes its key no more, and what was typed since waits.
    const same = new URLSearchParams(sent);
    same.set("idempotency_key", freshKey());
    sent = same.toString();
    unsaved();
    return again(detailOf(answer, page), Number(answer.headers.get("Retry-After")) || 0);
  }
  sent = null;
  return answered(answer, page, asSent);
}

// Whether it may be saved although the answer does not say so: the server failed, or is still at it.
const isUnclear = ({ status }) => status >= 500 || status === 409;

function detailOf(answer, page) {
  return page.querySelector("main p")?.textContent ?? `the server answered ${answer.status}.`;
}

// What an answer says of what was sent, and of the rows of files as they were sent; whether all of it is saved.
function answered(answer, page, asSent) {
  const fresh = page.getElementById("saved");
  answers += 1;
  if (answer.status === 401 || (answer.redirected && new URL(answer.url).pathname === "/ui/enter")) return signedOut();
  if (!fresh) {
    unsaved();
    const detail = detailOf(answer, page);
    if (answer.status === 429 || answer.status >= 500) return again(detail, Number(answer.headers.get("Retry-After")) || 0);
    say(`Not saved: ${detail}`);
    return false;
  }
  failures = notBefore = 0;
  isRefused = !answer.ok;
  // What somebody has chosen meanwhile stays.
  take(page, files() === asSent ? PARTS : PARTS.filter((part) => part !== "attachments"));
  mark(page);
  const code = fresh.dataset.code;
  isHeld = code !== undefined;
  theirs = code === "changed_meanwhile" ? fresh.dataset.seen : null;
  if (!isHeld) form.elements.seen.value = fresh.dataset.seen;
  if (isHeld || isRefused) unsaved();
  else stow(null);
  if (answer.ok && form.elements.body_text?.value && !form.elements.has_own) remember("has_own", "yes");
  return answer.ok && !isHeld;
}

// Brings the file that is chosen, with all that is typed.
async function carry(button, chosen) {
  clearTimeout(timer);
  const body = new FormData(form);
  body.set("idempotency_key", freshKey());
  body.set("part", "yes");
  body.delete("act");
  const asSent = files();
  isCounting = isAudienceDirty;
  isDirty = isAudienceDirty = false;
  let answer;
  let page;
  try {
    answer = await fetch(button.formAction, { method: "POST", headers: { Accept: "text/html" }, body });
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    unsaved();
    say("The file was not uploaded: the server does not answer, or the file has changed since it was chosen. Choose it again.");
    return false;
  }
  // Where the server failed, the file can be brought again.
  if (page.getElementById("saved")) chosen.value = "";
  return answered(answer, page, asSent);
}

async function bring(button) {
  const chosen = form.elements.upload;
  if (!chosen.files.length || !chosen.reportValidity()) {
    chosen.focus();
    return;
  }
  while (under) await under;
  // What was sent without an answer goes first, and somebody decides first.
  if (sent !== null) await save();
  if (sent !== null || isHeld) return;
  form.setAttribute("aria-busy", "true");
  under = carry(button, chosen).finally(() => {
    under = null;
    form.removeAttribute("aria-busy");
  });
  const isSaved = await under;
  if (isDirty && !isHeld && isSaved) soon();
}

function unsaved() {
  isDirty = true;
  isAudienceDirty ||= isCounting;
}

function remember(name, value) {
  const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  form.prepend(field);
}

// The server did not take it: it is tried again after a pause that grows, and that is never shorter than the server asks for, in seconds.
function again(detail, seconds) {
  const pause = Math.max(Math.min(AGAIN * 2 ** failures, LONGEST), seconds * 1000);
  failures += 1;
  notBefore = Date.now() + pause;
  clearTimeout(timer);
  timer = setTimeout(save, pause);
  say(`Not saved: ${detail} What you typed stays here, and it is tried again in ${Math.ceil(pause / 1000)} seconds.`);
  return false;
}

function signedOut(words = "Not saved: you are signed out. What you typed stays here. ", way = "Sign in, and it is put back") {
  unsaved();
  isHeld = true;
  say(words);
  const link = document.createElement("a");
  link.href = `/ui/enter?next=${encodeURIComponent(location.pathname)}`;
  link.textContent = way;
  saved().firstChild.append(link);
  return false;
}

// One at a time: the next one waits for the one that is under way.
async function save(more = {}) {
  while (under) await under;
  under = send(more).finally(() => {
    under = null;
  });
  const isSaved = await under;
  if (isDirty && !isHeld && isSaved) soon();
  return isSaved;
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(save, Math.max(PAUSE, notBefore - Date.now()));
}

function changed(event) {
  if (isReader(event.target) || isFile(event.target)) return;
  isDirty = true;
  if (event.target.closest("#recipients") || ["topic_id", "category"].includes(event.target.name)) isAudienceDirty = true;
  if (!isHeld) soon();
}

// The message as somebody else would get it. It says nothing of what is saved. Only the newest look is shown, and none that is older
// than what was saved meanwhile: such a look is asked for again.
async function look(more) {
  looking?.abort();
  const own = new AbortController();
  looking = own;
  const { signal } = own;
  const fields = new URLSearchParams({ part: "yes", ...more });
  let before;
  do {
    while (under) await under;
    if (signal.aborted) return;
    before = answers;
    try {
      const answer = await fetch(`${location.pathname}?${fields}`, { headers: { Accept: "text/html" }, signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const isNewest = !signal.aborted && !under && answers === before;
      if (answer.ok && isNewest) take(page, ["count", "preview"]);
    } catch {
      // What is shown stays.
      return;
    }
  } while (!signal.aborted && (under || answers !== before));
}

// While a button leads away, those that do can not be pressed.
function going(is) {
  isGoing = is;
  for (const field of form.elements) {
    if (field.type === "submit" && !IN_PLACE.includes(field.value)) field.disabled = is;
  }
}

// The page is still here, or is shown again.
function stay() {
  form.querySelector("input[name=act]")?.remove();
  going(false);
}

async function press(button) {
  const act = button?.value ?? "save";
  const isAway = !IN_PLACE.includes(act);
  if (isGoing) return;
  if (theirs !== null && act !== "mine") {
    // Enter, or a look beside the form, is no word on what somebody else has saved.
    if (["count", "preview"].includes(act)) look({ count: act === "count" ? "yes" : "some", as: form.elements.as?.value ?? "" });
    return;
  }
  if (act === "upload") {
    await bring(button);
    return;
  }
  if (theirs !== null) form.elements.seen.value = theirs;
  isHeld = false;
  if (!isAway) {
    await save({ act });
    return;
  }
  going(true);
  let isSaved = await save({ act: "save" });
  // What was typed meanwhile may be on its way.
  while (under) isSaved = await under;
  if (!isSaved) {
    going(false);
    if (document.activeElement === document.body) button.focus();
    return;
  }
  clearTimeout(timer);
  isDirty = false;
  form.elements.idempotency_key.value = freshKey();
  const field = Object.assign(document.createElement("input"), { type: "hidden", name: "act", value: act });
  form.append(field);
  form.submit();
  setTimeout(stay, PATIENCE);
}

// Keeps something in this tab, or nothing; whether that worked. A browser may have no room.
function stow(kept) {
  try {
    sessionStorage.removeItem(PLACE);
    if (kept !== null) sessionStorage.setItem(PLACE, JSON.stringify(kept));
    return true;
  } catch {
    return kept === null;
  }
}

// What is not saved waits in this tab until the composer is shown again; whether nothing is lost. What may be saved by itself is sent once more: it is done once.
function keep() {
  if (!isDirty && sent === null) return stow(null);
  const fields = [...new FormData(form)].filter(([name]) => !["idempotency_key", "as", "as_other", "upload"].includes(name));
  if (sent === null && !isHeld && !isRefused && failures === 0) sent = body({});
  const isKept = stow({ fields, sent });
  if (sent === null || sent.length > MOST_ON_LEAVING) return isKept;
  const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "text/html" };
  fetch(form.getAttribute("action"), { method: "POST", headers, body: sent, keepalive: true }).catch(() => {});
  return isKept;
}

// A way to another page: what is typed is saved first.
async function follow(event) {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest?.("a[href]");
  const isAway = link && !link.target && link.origin === location.origin && link.pathname !== location.pathname;
  if (!isAway || link.matches("[data-ask]") || isHeld || (!isDirty && !under && sent === null)) return;
  event.preventDefault();
  await save();
  location.assign(link.href);
}

function putBack() {
  const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
  sessionStorage.removeItem(PLACE);
  if (!kept) return;
  sent = kept.sent;
  const places = {};
  for (const field of form.elements) {
    if (!field.name || field.name === "idempotency_key" || isReader(field) || isFile(field) || field.type === "submit") continue;
    const values = kept.fields.filter(([name]) => name === field.name).map(([, value]) => value);
    if (["checkbox", "radio"].includes(field.type)) {
      field.checked = values.includes(field.value);
      continue;
    }
    // Of some names there are several fields, one for each file.
    const place = places[field.name] ?? 0;
    places[field.name] = place + 1;
    if (place < values.length) field.value = values[place];
  }
  isDirty = isAudienceDirty = true;
  soon();
}

// The whole page may be the answer to what was not saved.
function standing() {
  const { code, seen } = saved().dataset;
  const isTheirs = code === "changed_meanwhile";
  // Of what somebody else saved after one's own save, the fields show all.
  if (isTheirs && !saved().querySelector("button[value=mine]")) return;
  if (code === undefined && !saved().querySelector("[data-field]")) return;
  isDirty = isRefused = true;
  if (code === undefined) return;
  isHeld = true;
  clearTimeout(timer);
  if (!isTheirs) return;
  theirs = seen;
  // Nothing of theirs counts as seen before somebody has decided.
  form.elements.seen.value = new Date(0).toISOString();
}

// The time that was chosen, where the reader is.
function here() {
  const place = document.getElementById("when-here");
  const at = new Date(`${form.elements.scheduled_at.value}Z`);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const words = { dateStyle: "medium", timeStyle: "short" };
  place.textContent = Number.isNaN(at.getTime()) ? "" : `${new Intl.DateTimeFormat("en-GB", words).format(at)} in ${zone}`;
}

if (form) {
  form.elements.idempotency_key.value = freshKey();
  form.addEventListener("input", changed);
  form.addEventListener("input", here);
  form.addEventListener("change", (event) => {
    if (event.target.name !== "as" || !event.target.value) return;
    form.elements.as_other.value = "";
    look({ as: event.target.value });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    press(event.submitter);
  });
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      if (!event.repeat) press(null);
    }
  });
  document.addEventListener("click", follow);
  addEventListener("beforeunload", (event) => {
    if ((isDirty || sent !== null) && !isLeaving) event.preventDefault();
  });
  addEventListener("pagehide", keep);
  addEventListener("pageshow", (event) => event.persisted && stay());
  // Before the listener that leaves the page.
  const leave = (event) => {
    isLeaving = keep();
    if (isLeaving) return;
    // What is typed is nowhere else.
    event.stopImmediatePropagation();
    signedOut("Not saved: you are signed out, and this browser has no room to keep what you typed. Stay on this page. ", "Sign in in another tab");
    const link = saved().querySelector("a");
    link.target = "_blank";
    saved().firstChild.append(", then save here.");
  };
  document.addEventListener("volley:leave", leave, { capture: true });
  putBack();
  standing();
  here();
  look({ count: "some", as: form.elements.as?.value ?? "" });
}
