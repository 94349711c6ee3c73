// A printed link has its code in the fragment, which no server and no log sees.
const code = location.hash.slice(1);
const field = document.getElementById("code");
if (code && field) {
  history.replaceState(null, "", location.pathname + location.search);
  field.value = code;
  field.form.requestSubmit();
}
