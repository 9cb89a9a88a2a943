// What the pages share.

// The elements with these ids, by their ids.
export function elements(...ids) {
  return Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));
}

// Relative to the page, so that a root path in front of both is kept.
export function webSocketURL(path, parameters = {}) {
  const url = new URL(path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams(parameters);
  url.hash = "";
  return url;
}

// An element that shows a text as it is: nothing that came from a person is ever read as HTML.
export function shown(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// Append to the list in a log, drop its oldest entries past `most`, and stay at the end for who was there.
export function appendEntry(log, entries, item, most) {
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  entries.append(item);
  while (entries.children.length > most) {
    entries.firstElementChild.remove();
  }
  if (atEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

// A browser tells no more than code 1006 of a connection that broke or never came to be (RFC 6455 section 7.1.5).
export function closeDetail(code, reason) {
  return `code ${code}${reason ? `: ${reason}` : ""}`;
}
