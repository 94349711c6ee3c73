// A file is looked at in place: the page stays, and so the file stays chosen.
const form = document.querySelector("form.upload");
const PREVIEW = "/ui/imports/preview";
let isLooking = false;

// Shows a part of an answer, or what went wrong, and goes there.
function show(part) {
  document.dispatchEvent(new CustomEvent("volley:shown", { detail: part }));
  document.getElementById("look").replaceWith(part);
  part.querySelector("[tabindex='-1']")?.focus();
}

function say(text) {
  const part = Object.assign(document.createElement("div"), { id: "look", className: "look" });
  const line = Object.assign(document.createElement("p"), { className: "trouble", tabIndex: -1, textContent: text });
  line.setAttribute("role", "alert");
  part.append(line);
  show(part);
}

async function look() {
  let answer;
  let page;
  try {
    answer = await fetch(PREVIEW, { method: "POST", headers: { Accept: "text/html" }, body: new FormData(form) });
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return say("The file was not looked at: the server does not answer, or the file has changed since it was chosen. Choose it again.");
  }
  if (answer.status === 401 || answer.redirected) {
    document.dispatchEvent(new CustomEvent("volley:leave"));
    return;
  }
  const fresh = page.getElementById("look");
  if (fresh) show(document.importNode(fresh, true));
  else say(page.querySelector("main p")?.textContent ?? `The file was not looked at: the server answered ${answer.status}.`);
}

// Before the listener of every form, which takes this one for sent.
form?.addEventListener("submit", (event) => {
  const { submitter } = event;
  if (!submitter || new URL(submitter.formAction).pathname !== PREVIEW) return;
  event.preventDefault();
  if (isLooking) return;
  isLooking = true;
  form.setAttribute("aria-busy", "true");
  look().finally(() => {
    isLooking = false;
    form.removeAttribute("aria-busy");
  });
});
