// The way into a room, from the page of the default application.

import { elements } from "./common.js";
import { recallName, rememberName } from "./chat-name.js";

const { enter, name, room } = elements("enter", "name", "room");

name.value = recallName();

enter.addEventListener("submit", (event) => {
  event.preventDefault();
  rememberName(name.value);
  location.assign(`chat/${encodeURIComponent(room.value)}`);
});
