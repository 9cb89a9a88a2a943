// The page of one room: who is here, what is said, and the state of the connection.

import { ChatClient } from "./chat-client.js";
import { forgetJoined, joinedName, recallName, rememberName } from "./chat-name.js";
import { appendEntry, elements, shown, webSocketURL } from "./common.js";

const MAX_ENTRIES = 300;
const MAX_PEOPLE = 100;
// The members of a crowd do not all ask in the same moment, in milliseconds.
const CROWD_DELAY = 10_000;

const element = elements(
  "room", "join-card", "join", "name", "join-error", "talk", "state", "retry", "toggle", "log", "entries", "form",
  "message", "send", "notice", "here-card", "count", "people", "more", "rename",
);

const room = roomOf(location.pathname);
// The current visit; null until a name is given.
let client = null;
let myName = "";
// The names of those who are in the room.
let here = new Set();
// The last message that was shown: its offset in the history of this epoch.
let last = { epoch: "", offset: 0 };
let retryAt = 0;
let countdown;
// Runs while it is known that not everybody who came or went was announced.
let whoTimer;

// As the server reads it: what is no UTF-8 becomes U+FFFD, where decodeURIComponent would raise.
function roomOf(path) {
  const encoded = path.replace(/\/$/, "").split("/").at(-1);
  const query = encoded.replaceAll("+", "%2B").replaceAll("&", "%26");
  return new URLSearchParams(`room=${query}`).get("room");
}

// -- the connection

function visit(name) {
  client?.leave();
  myName = name.normalize("NFC").trim().replace(/ +/g, " ");
  client = new ChatClient(webSocketURL(location.pathname, { name }), room, { onState, onEvent });
  show("talk", "here-card");
  client.connect();
}

function onState(state, detail, wait) {
  clearInterval(countdown);
  element.retry.textContent = "";
  // Not `disabled`, which would take the focus away from whoever stands on it when the connection ends.
  element.send.setAttribute("aria-disabled", String(state !== "connected"));
  if (state === "connecting") {
    showState(state, "Connecting…", "Disconnect");
  } else if (state === "connected") {
    showState(state, "Connected", "Disconnect");
    joined(detail);
  } else if (state === "waiting") {
    showState(state, `Connection lost (${detail})`, "Reconnect now");
    retryAt = performance.now() + wait;
    showCountdown();
    countdown = setInterval(showCountdown, 250);
  } else if (state === "closed") {
    showState(state, "Disconnected", "Reconnect");
  } else {
    forgetJoined();
    askName(detail.message);
  }
  if (state !== "connected") {
    // Nobody tells who comes and goes.
    showPeople(new Set());
    element.count.textContent = "–";
  }
}

function showState(state, text, action) {
  element.state.dataset.state = state;
  element.state.textContent = text;
  element.toggle.textContent = action;
}

// Beside the status and not in it, which would be read out every second.
function showCountdown() {
  const seconds = Math.max(Math.ceil((retryAt - performance.now()) / 1000), 1);
  element.retry.textContent = `Next try in ${seconds} s`;
}

function joined({ epoch, offset, messages }) {
  rememberName(myName);
  if (epoch !== last.epoch) {
    if (last.epoch !== "") {
      addEvent("The history of this room has begun anew.");
    }
    last = { epoch, offset: 0 };
  } else if (messages.length > 0 && messages[0].offset > last.offset + 1) {
    addEvent("Messages are missing here.");
  }
  for (const message of messages) {
    addMessage(message, { isOld: true });
  }
  last.offset = offset;
  askWho();
}

async function askWho() {
  clearTimeout(whoTimer);
  whoTimer = undefined;
  try {
    const { members } = await client.request("who");
    showPeople(new Set(members.map(({ name }) => name)));
  } catch {
    // Who is here is asked again after the next joining.
  }
}

function onEvent(message) {
  if (message.type === "msg") {
    addMessage(message);
  } else if (message.type === "gap") {
    addEvent("Messages are missing here: the connection was too slow for them.");
    askWho();
  } else if (message.type === "join") {
    addEvent(`${message.name} has joined`);
    showPeople(here.add(message.name));
  } else if (message.type === "leave") {
    addEvent(`${message.name} has left`);
    here.delete(message.name);
    showPeople(here);
  } else if (message.type === "crowd") {
    whoTimer ??= setTimeout(askWho, Math.random() * CROWD_DELAY);
  } else if (message.type === "error") {
    element.notice.textContent = message.message;
  }
}

// -- what is shown

function show(...ids) {
  for (const id of ["join-card", "talk", "here-card"]) {
    element[id].hidden = !ids.includes(id);
  }
}

function askName(error = "") {
  show("join-card");
  element["join-error"].textContent = error;
  element.name.value ||= myName || recallName();
  element.name.select();
  element.name.focus();
}

function addMessage({ offset, data }, { isOld = false } = {}) {
  if (offset <= last.offset) {
    return;
  }
  last.offset = offset;
  const item = document.createElement("li");
  item.className = data.name === myName ? "message own" : "message";
  if (isOld) {
    // Fifty messages at once are no news.
    item.setAttribute("aria-live", "off");
  }
  const text = shown("span", "text", data.text);
  text.dir = "auto";
  item.append(shown("bdi", "who", data.name), text, timeOf(new Date(data.time * 1000)));
  appendEntry(element.log, element.entries, item, MAX_ENTRIES);
}

function addEvent(text) {
  const item = document.createElement("li");
  item.className = "event";
  item.append(shown("bdi", "text", text), timeOf(new Date()));
  appendEntry(element.log, element.entries, item, MAX_ENTRIES);
}

function timeOf(date) {
  const time = shown("time", "time", date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = date.toISOString();
  return time;
}

function showPeople(names) {
  here = names;
  element.count.textContent = here.size;
  const sorted = [...here].sort((one, other) => one.localeCompare(other)).slice(0, MAX_PEOPLE);
  element.people.replaceChildren(
    ...sorted.map((name) => {
      const item = document.createElement("li");
      item.append(shown("bdi", "", name), ...(name === myName ? [shown("span", "you", " (you)")] : []));
      return item;
    }),
  );
  element.more.hidden = here.size <= MAX_PEOPLE;
  element.more.textContent = `and ${here.size - MAX_PEOPLE} more`;
}

// -- what the visitor does

element.join.addEventListener("submit", (event) => {
  event.preventDefault();
  visit(element.name.value);
  element.message.focus();
});

element.toggle.addEventListener("click", () => {
  const { state } = element.state.dataset;
  if (state === "waiting" || state === "closed") {
    client.connect();
  } else {
    client.leave();
  }
});

element.rename.addEventListener("click", () => {
  client.leave();
  forgetJoined();
  askName();
});

element.form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element.message.value;
  if (element.state.dataset.state !== "connected" || text.trim() === "") {
    return;
  }
  element.message.value = "";
  element.message.focus();
  try {
    await client.request("pub", { data: { text } });
    element.notice.textContent = "";
  } catch (error) {
    element.notice.textContent = error.code === "lost" ? "The last message may not have arrived." : error.message;
    // What was typed since then is worth more.
    element.message.value ||= text;
  }
});

// The browser knows that it is on the network again long before the next try.
addEventListener("online", () => {
  if (element.state.dataset.state === "waiting") {
    client.connect();
  }
});

element.room.textContent = room;
document.title = `${room}: asgi_ws chat`;
const name = joinedName();
if (name === "") {
  askName();
} else {
  visit(name);
}
