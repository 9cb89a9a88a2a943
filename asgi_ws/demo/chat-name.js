// The visitor's name. The browser keeps it for the next visit, and this tab keeps it to join again after a reload.

const KEY = "asgi_ws chat name";

// Storage throws if the browser blocks it for this site.
function quietly(use) {
  try {
    return use() ?? "";
  } catch {
    return "";
  }
}

export function rememberName(name) {
  quietly(() => sessionStorage.setItem(KEY, name));
  quietly(() => localStorage.setItem(KEY, name));
}

// Return the name to offer in the form, or "".
export function recallName() {
  return quietly(() => localStorage.getItem(KEY));
}

// Return the name under which this tab joins at once, or "".
export function joinedName() {
  return quietly(() => sessionStorage.getItem(KEY));
}

export function forgetJoined() {
  quietly(() => sessionStorage.removeItem(KEY));
}
