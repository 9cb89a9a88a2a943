// The page of one chat room: its members, its messages, and the state of the connection.

import { ChatClient } from "./chat-client.js";
import { forgetJoined, joinedName, recallName, rememberName } from "./chat-name.js";
import { closeText, elements, shown, StatusLine, webSocketURL } from "./common.js";
import { Log } from "./log.js";

const MAX_ENTRIES = 300;
const MAX_PEOPLE = 100;
// In milliseconds. The members of a crowd ask for the list at random moments within this time.
const CROWD_DELAY = 10_000;

const element = elements(
  "room", "join-card", "join", "name", "join-error", "talk", "state", "retry", "toggle", "log", "entries", "newer",
  "form", "message", "send", "notice", "here-card", "here", "count", "people", "more", "rename",
);
const status = new StatusLine(element);
const log = new Log(element, MAX_ENTRIES);

const room = roomOf(location.pathname);
// The current visit; null until a name is given.
let client = null;
let state = "closed";
let myName = "";
// The names of the members.
let here = new Set();
// The position of the last message shown: its offset in the history of this epoch.
let last = { epoch: "", offset: 0 };
// The author, minute and day of the last entry, for grouping. An event ends a group.
let group = { name: "", minute: "", day: "" };
// Runs while joins or leaves may have gone unannounced.
let whoTimer;

// Decode the room as the server does: invalid UTF-8 becomes U+FFFD, where decodeURIComponent would throw.
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
  show("talk", "here-card", "toggle");
  client.connect();
}

function onState(newState, detail) {
  state = newState;
  // Not `disabled`, which would take the focus from the button when the connection ends.
  element.send.setAttribute("aria-disabled", String(state !== "joined"));
  if (state === "refused") {
    forgetJoined();
    askName(detail.message);
    return;
  }
  const text = { connecting: "Connecting…", joined: "Connected" }[state] ?? closeText(detail);
  status.show(state, text, detail?.wait);
  element.toggle.textContent = { waiting: "Reconnect now", closed: "Reconnect" }[state] ?? "Disconnect";
  if (state === "joined") {
    joined(detail);
  } else {
    // No joins and leaves are announced without a connection.
    showMembers(new Set());
    element.count.textContent = "–";
  }
}

function joined({ epoch, offset, messages }) {
  rememberName(myName);
  if (epoch !== last.epoch) {
    if (last.epoch !== "") {
      addEvent("The server was restarted; earlier messages are gone.");
    }
    last = { epoch, offset: 0 };
  } else if ((messages[0]?.offset ?? offset + 1) > last.offset + 1) {
    addEvent("Some messages are missing here.");
  }
  for (const message of messages) {
    addMessage(message, { isOld: true });
  }
  last.offset = Math.max(last.offset, offset);
  askWho();
}

async function askWho() {
  clearTimeout(whoTimer);
  whoTimer = undefined;
  try {
    const { members } = await client.request("who");
    showMembers(new Set(members.map(({ name }) => name)));
  } catch {
    // After a lost connection, joining again asks again.
  }
}

function onEvent(message) {
  if (message.type === "msg") {
    addMessage(message);
  } else if (message.type === "gap") {
    addEvent("Some messages are missing here: this connection was too slow.");
    askWho();
  } else if (message.type === "join") {
    addEvent(`${message.name} joined`);
    showMembers(here.add(message.name));
  } else if (message.type === "leave") {
    addEvent(`${message.name} left`);
    here.delete(message.name);
    showMembers(here);
  } else if (message.type === "crowd") {
    whoTimer ??= setTimeout(askWho, Math.random() * CROWD_DELAY);
  } else if (message.type === "error") {
    element.notice.textContent = message.message;
  }
}

// -- the view

function show(...ids) {
  for (const id of ["join-card", "talk", "here-card", "toggle"]) {
    element[id].hidden = !ids.includes(id);
  }
}

function askName(error = "") {
  show("join-card");
  status.show("", "");
  element["join-error"].textContent = error;
  element.name.value ||= myName || recallName();
  element.name.select();
  element.name.focus();
}

function addMessage({ offset, data }, { isOld = false } = {}) {
  // A reconnect may bring messages that are shown already.
  if (offset <= last.offset) {
    return;
  }
  last.offset = offset;
  const date = new Date(data.time * 1000);
  const day = date.toLocaleDateString([], { weekday: "long", year: "numeric", month: "long", day: "numeric" });
  const minute = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (day !== group.day) {
    addEntry("day", [shown("span", "text", day)], { isOld: true });
  }
  const follows = data.name === group.name && minute === group.minute && day === group.day;
  group = { name: data.name, minute, day };

  const head = shown("p", "head", "");
  head.append(shown("bdi", "who", data.name), " ", timeOf(date, minute));
  const text = shown("p", "text", data.text);
  text.dir = "auto";
  const own = data.name === myName ? " own" : "";
  addEntry(`message${own}${follows ? " follows" : ""}`, [head, text], { isOld });
}

function addEvent(text) {
  group.name = "";
  addEntry("event", [shown("bdi", "text", text)]);
}

function addEntry(className, children, { isOld = false } = {}) {
  const item = document.createElement("li");
  item.className = className;
  if (isOld) {
    // A screen reader does not read out the history.
    item.setAttribute("aria-live", "off");
  }
  item.append(...children);
  log.append(item);
}

function timeOf(date, text) {
  const time = shown("time", "time", text);
  time.dateTime = date.toISOString();
  return time;
}

function showMembers(names) {
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

// -- the visitor

element.join.addEventListener("submit", (event) => {
  event.preventDefault();
  visit(element.name.value);
  element.message.focus();
});

element.toggle.addEventListener("click", () => {
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
  if (state !== "joined" || text.trim() === "") {
    return;
  }
  element.message.value = "";
  element.message.focus();
  log.toEnd();
  try {
    await client.request("pub", { data: { text } });
    element.notice.textContent = "";
  } catch (error) {
    element.notice.textContent =
      error.code === "lost" ? "This message may not have arrived. Look for it before you send it again." : error.message;
    // After text that was typed in the meantime, or that was not sent either.
    element.message.value = [element.message.value, text].filter(Boolean).join(" ");
  }
});

element.room.textContent = room;
document.title = `${room}: asgi_ws chat`;
// A wide screen shows the members beside the messages.
element.here.open = matchMedia("(min-width: 48rem)").matches;
const name = joinedName();
if (name === "") {
  askName();
} else {
  visit(name);
}
