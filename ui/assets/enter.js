// A printed link has its code in the fragment, which no server and no log sees.
const code = location.hash.slice(1);
if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  const field = document.getElementById("code");
  field.value = code;
  field.form.requestSubmit();
}
