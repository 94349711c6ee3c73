// Questions in a dialog instead of on a page of their own, and that nothing typed is lost.
const dialog = document.getElementById("ask");
const KEPT = "volley:typed";
// After so long a form that has led nowhere can be sent again, in milliseconds.
const LOST_AFTER = 15000;
let isAsked = false;

// Opens the page of a question as a dialog. The form in it is sent as it would be from its page.
async function ask(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const question = page.getElementById("question");
  if (!question || answer.redirected) {
    location.assign(link.href);
    return;
  }
  dialog.replaceChildren(document.importNode(question, true));
  document.dispatchEvent(new CustomEvent("volley:shown", { detail: dialog }));
  putBack(dialog);
  dialog.showModal();
  dialog.querySelector("input:not([type=hidden]), button")?.focus();
}

document.addEventListener("click", (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest?.("a[data-ask]");
  if (link && dialog) {
    event.preventDefault();
    // A key that is held down, or a slow line: one question at a time, and none in place of one that is shown.
    if (isAsked || dialog.open) return;
    isAsked = true;
    ask(link)
      .catch(() => location.assign(link.href))
      .finally(() => {
        isAsked = false;
      });
  } else if (event.target.closest?.("[data-cancel]") && dialog?.open) {
    event.preventDefault();
    dialog.close();
  }
});

// A file that would be refused for its size is not sent at all.
document.addEventListener("change", ({ target }) => {
  if (target.type !== "file" || !target.dataset.most) return;
  const isLarge = [...target.files].some((file) => file.size > Number(target.dataset.most));
  target.setCustomValidity(isLarge ? `The file is larger than ${target.dataset.most} bytes, which is the most that is taken.` : "");
  target.reportValidity();
});

// A file that is only chosen is in no message: it is brought at once.
document.addEventListener("change", ({ target }) => {
  const button = target.type === "file" && target.dataset.atOnce ? document.getElementById(target.dataset.atOnce) : null;
  if (button && target.files.length && target.validity.valid) target.form.requestSubmit(button);
});

// A second press would do nothing; it shall not look as if it could.
document.addEventListener("submit", (event) => {
  const { form, submitter } = { form: event.target, submitter: event.submitter };
  // What is shown in a frame is shown again at will.
  if (form.method !== "post" || event.defaultPrevented || submitter?.formTarget) return;
  setTimeout(() => {
    form.setAttribute("aria-busy", "true");
    if (submitter) submitter.disabled = true;
    setTimeout(() => release(form), LOST_AFTER);
  });
});
function release(form) {
  form.removeAttribute("aria-busy");
  for (const button of form.querySelectorAll("button")) button.disabled = false;
}
addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach(release));

// The fields in which something is typed, by the form that they belong to. Some forms keep them themselves.
const fields = (within) =>
  [...within.querySelectorAll("form:not([data-keeps]) :is(input:not([type=hidden], [type=password], [type=file], [type=checkbox]), textarea, select)[name]")];
const nameOf = (field) => `${KEPT} ${field.form.getAttribute("action")} ${field.name}`;

// Keeps what was typed in this tab; whether there was room for it.
function stow() {
  try {
    for (const field of fields(document)) {
      if (field.value !== field.defaultValue) sessionStorage.setItem(nameOf(field), field.value);
    }
    return true;
  } catch {
    return false;
  }
}

// What was typed has no other place than this page.
function stay() {
  const line = document.createElement("p");
  line.className = "banner";
  line.setAttribute("role", "alert");
  line.textContent =
    "You are signed out, and this browser has no room to keep what you typed. Stay on this page, sign in in another tab, and send it from here.";
  document.getElementById("main").before(line);
}

// The session has ended: what was typed waits in this tab until its form is shown again.
document.addEventListener("volley:leave", () => {
  if (!stow()) {
    stay();
    return;
  }
  location.assign(`/ui/enter?next=${encodeURIComponent(location.pathname + location.search)}`);
});

function putBack(within) {
  for (const field of fields(within)) {
    const typed = sessionStorage.getItem(nameOf(field));
    if (typed === null) continue;
    field.value = typed;
    sessionStorage.removeItem(nameOf(field));
  }
}
putBack(document);
