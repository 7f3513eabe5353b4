// Keeps the page current from the event stream. The server sends finished rows; this script only places them.
"use strict";

const LIMIT = 200; // rows kept on the page, as many as the server's ring
const table = document.getElementById("exchanges");
const rows = document.getElementById("rows");
const connection = document.getElementById("connection");
const pause = document.getElementById("pause");
const announcement = document.getElementById("announcement");

let held = []; // rows that arrived while paused, oldest first
let unannounced = 0;

function localTimes(scope) {
  for (const time of scope.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = at.toISOString();
    const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
    const isToday = at.toDateString() === new Date().toDateString();
    time.textContent = isToday ? clock : `${at.toLocaleDateString([], { day: "numeric", month: "short" })} ${clock}`;
  }
}

function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // escaped by the server; the content security policy allows no script of its own
  return template.content;
}

function place(html) {
  const fresh = fragment(html);
  const row = fresh.querySelector("tr");
  if (!row || rows.querySelector(`[data-seq="${CSS.escape(row.dataset.seq)}"]`)) return; // a resumed stream may repeat
  localTimes(fresh);
  row.classList.add("fresh");
  rows.prepend(fresh);
  while (rows.rows.length > LIMIT) rows.rows[LIMIT].remove();
  document.getElementById("empty").hidden = true;
  unannounced += 1;
}

function setConnection(state, words) {
  connection.dataset.state = state;
  connection.textContent = words;
}

function showPaused() {
  pause.textContent = held.length ? `Resume (${held.length} new)` : "Resume";
}

pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  if (paused) return showPaused();
  held.forEach(place);
  held = [];
  pause.textContent = "Pause";
});

// One sentence now and then, not every row: a screen reader must be able to keep up.
setInterval(() => {
  if (!unannounced) return;
  announcement.textContent = unannounced === 1 ? "1 new exchange" : `${unannounced} new exchanges`;
  unannounced = 0;
}, 5000);

localTimes(document);
pause.hidden = false;

const events = new EventSource(`${table.dataset.events}?after=${encodeURIComponent(table.dataset.after)}`);
events.addEventListener("open", () => setConnection("live", "live"));
events.addEventListener("error", () => {
  const ended = events.readyState === EventSource.CLOSED;
  setConnection("lost", ended ? "not connected: load the page again" : "connecting again");
});
events.addEventListener("exchange", (event) => {
  if (pause.getAttribute("aria-pressed") !== "true") return place(event.data);
  held.push(event.data);
  held = held.slice(-LIMIT);
  showPaused();
});
events.addEventListener("totals", (event) => document.getElementById("totals").replaceChildren(fragment(event.data)));
events.addEventListener("day", (event) => document.getElementById("day").replaceChildren(fragment(event.data)));
events.addEventListener("status", (event) => document.getElementById("status").replaceChildren(fragment(event.data)));
events.addEventListener("waiting", (event) => (document.getElementById("waiting").textContent = event.data));
events.addEventListener("over", () => {
  events.close();
  location.reload(); // the server shows the log-in page
});
window.addEventListener("pagehide", () => events.close());
