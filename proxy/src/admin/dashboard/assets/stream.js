// The stream of /events: connects, notices when it has gone quiet, connects again.

/** A tick comes each second: after this long without one, what is shown is old. */
const QUIET = 4000;
const RETRY = 2000;
/** A tab that nobody looks at gives its stream back: there are only so many. */
const HIDDEN = 5 * 60_000;

/**
 * Calls `on.configuration`, `on.tick`, `on.request` with what the stream says, `on.opened` at each
 * connection, and `on.state` each second with `{ live, since }`, `since` being the time of the last tick.
 */
export class Stream {
  constructor(on) {
    this.on = on;
    this.since = null;
    this.open();
    setInterval(() => this.watch(), 1000);
    document.addEventListener("visibilitychange", () => this.looked());
  }

  open() {
    this.source = new EventSource("/events");
    this.source.addEventListener("open", () => this.on.opened());
    for (const name of ["configuration", "tick", "request"]) {
      this.source.addEventListener(name, event => this.heard(name, event.data));
    }
    this.source.addEventListener("error", () => this.failed());
  }

  heard(name, data) {
    if (name === "tick") this.since = Date.now();
    this.on[name](JSON.parse(data));
    if (name === "tick") this.watch();
  }

  /** A browser connects again by itself, unless the answer was no stream (503: there are too many). */
  failed() {
    this.watch();
    if (this.source.readyState !== EventSource.CLOSED || this.retry) return;
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.open();
    }, RETRY);
  }

  watch() {
    const connected = this.source.readyState === EventSource.OPEN;
    const live = connected && this.since !== null && Date.now() - this.since < QUIET;
    this.on.state({ live, since: this.since });
  }

  looked() {
    clearTimeout(this.leaving);
    if (document.hidden) {
      this.leaving = setTimeout(() => this.source.close(), HIDDEN);
    } else if (this.source.readyState === EventSource.CLOSED && !this.retry) {
      this.open();
    }
  }
}
