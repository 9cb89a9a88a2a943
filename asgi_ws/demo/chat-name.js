// The visitor's name: kept for the next visit, and for this tab as that of somebody who has joined.

const KEY = "asgi_ws chat name";

// A browser that keeps nothing for this site raises at the first touch.
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

// Of this browser, to be offered; "" when there is none.
export function recallName() {
  return quietly(() => localStorage.getItem(KEY));
}

// Of this tab, to join with at once; "" when there is none.
export function joinedName() {
  return quietly(() => sessionStorage.getItem(KEY));
}

export function forgetJoined() {
  quietly(() => sessionStorage.removeItem(KEY));
}
