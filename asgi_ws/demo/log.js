// A scrolling list that follows its newest entry until the reader scrolls up.

export class Log {
  #isAtEnd = true;

  // `log` scrolls, `entries` is the list in it, and the button `newer` leads back to the newest entry.
  constructor({ log, entries, newer }, most) {
    this.log = log;
    this.entries = entries;
    this.newer = newer;
    this.most = most;
    log.addEventListener("scroll", () => this.#look());
    newer.addEventListener("click", () => {
      this.toEnd();
      log.focus();
    });
    // The keyboard of a phone makes the log shorter: the newest entry stays visible.
    new ResizeObserver(() => (this.#isAtEnd ? this.toEnd() : this.#look())).observe(log);
  }

  append(item) {
    this.entries.append(item);
    while (this.entries.children.length > this.most) {
      this.#dropOldest();
    }
    if (this.#isAtEnd) {
      this.toEnd();
    } else {
      this.newer.hidden = false;
    }
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.#isAtEnd = true;
    this.newer.hidden = true;
  }

  clear() {
    this.entries.replaceChildren();
    this.toEnd();
  }

  // The separator of a day stays as long as there is an entry of that day.
  #dropOldest() {
    const first = this.entries.firstElementChild;
    const oldest = first.matches(".day") ? first.nextElementSibling : first;
    oldest.nextElementSibling.classList.remove("follows");
    oldest.remove();
    if (first.matches(".day") && first.nextElementSibling.matches(".day")) {
      first.remove();
    }
  }

  #look() {
    this.#isAtEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 8;
    if (this.#isAtEnd) {
      this.newer.hidden = true;
    }
  }
}
