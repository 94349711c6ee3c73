// Times in the zone of who reads them. The title of each has it in UTC.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const forms = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  day: { day: "numeric", month: "short", year: "numeric" },
};
const writers = Object.fromEntries(
  Object.entries(forms).map(([name, form]) => [name, new Intl.DateTimeFormat("en-GB", form)]),
);

function localise(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    if (!time.title) time.title = time.textContent;
    const isToday = at.toDateString() === new Date().toDateString();
    const clock = writers.time.format(at);
    time.textContent = isToday ? clock : `${writers.day.format(at)}, ${clock}`;
  }
  for (const name of within.querySelectorAll("[data-zone]")) name.textContent = zone;
}

localise(document);
document.addEventListener("volley:shown", (event) => localise(event.detail));
