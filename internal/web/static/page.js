// Shows the instants of the page in the zone of who looks. Without it they stay UTC, and the page
// says so. Days and months are the Admin API's: they have no Z and are left alone.
(() => {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === "UTC" || zone === "Etc/UTC") return;
  const format = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23", numberingSystem: "latn", calendar: "gregory", timeZoneName: "short",
  });
  for (const element of document.querySelectorAll("time[datetime$='Z']")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const part = {};
    for (const { type, value } of format.formatToParts(at)) part[type] = value;
    const withSeconds = /\d:\d\d:\d\d/.test(element.textContent);
    element.title = element.textContent;
    element.textContent = `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}` +
      `${withSeconds ? ":" + part.second : ""} ${part.timeZoneName}`;
  }
  for (const note of document.querySelectorAll("[data-zone]")) {
    note.textContent = `Times are shown in your zone, ${zone}; point at one for UTC. In charts and their tables hours are UTC.`;
  }
})();
