// A printed link has its code in the fragment, which no server and no log sees.
function use() {
  const code = location.hash.slice(1);
  const field = document.getElementById("code");
  if (!code || !field) return;
  history.replaceState(null, "", location.pathname + location.search);
  field.value = code;
  field.form.requestSubmit();
}
use();
// Somebody who is here already and opens the link changes the fragment only.
addEventListener("hashchange", use);
