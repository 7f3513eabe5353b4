// Keeps the waiting calls current. A call that is over stays where it is, without its buttons: what moves gets clicked by mistake.
"use strict";

const list = document.getElementById("calls");
const connection = document.getElementById("connection");
const announcement = document.getElementById("announcement");
const ends = new Map(); // id -> when its time is up, by this page's own clock
let known = null; // how many waited when it was last said

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function start(card) {
  ends.set(card.id, performance.now() + Number(card.dataset.leftS) * 1000);
}

function tick() {
  for (const [id, end] of ends) {
    const shown = document.getElementById(id).querySelector(".clock");
    shown.textContent = clock(Math.max(0, Math.floor((end - performance.now()) / 1000)));
  }
}

function place(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // escaped by the server; the content security policy allows no script of its own
  const card = template.content.querySelector("article");
  if (!card || document.getElementById(card.id)) return; // the page has it already
  list.append(card);
  start(card);
}

function finish(id) {
  const card = document.getElementById(id);
  const held = card.contains(document.activeElement);
  ends.delete(id);
  card.classList.add("over");
  card.querySelector("form").remove();
  card.querySelector(".left").textContent = "over: decided, withdrawn, or out of time";
  if (held) document.getElementById("heading").focus();
}

function show(ids) {
  for (const id of [...ends.keys()]) if (!ids.includes(id)) finish(id);
  document.title = `${ids.length ? `(${ids.length}) ` : ""}Waiting calls · Freehold`;
  document.getElementById("empty").hidden = list.childElementCount > 0;
  document.getElementById("more").hidden = ids.length <= ends.size;
  if (known !== null && known !== ids.length) announcement.textContent = ids.length === 1 ? "1 call waits" : `${ids.length} calls wait`;
  known = ids.length;
}

function setConnection(state, words) {
  connection.dataset.state = state;
  connection.textContent = words;
}

for (const card of list.querySelectorAll("article")) start(card);
setInterval(tick, 1000);

const events = new EventSource(list.dataset.events);
events.addEventListener("open", () => setConnection("live", "live"));
events.addEventListener("error", () => {
  const ended = events.readyState === EventSource.CLOSED;
  setConnection("lost", ended ? "not connected: load the page again" : "connecting again");
});
events.addEventListener("call", (event) => place(event.data));
events.addEventListener("waiting", (event) => show(event.data.split(" ").filter(Boolean)));
events.addEventListener("over", () => {
  events.close();
  location.reload(); // the server shows the log-in page
});
window.addEventListener("pagehide", () => events.close());
