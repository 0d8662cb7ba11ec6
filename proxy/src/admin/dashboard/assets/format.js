// Numbers, times and sizes as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const NOTHING = "–";

const known = value => typeof value === "number" && Number.isFinite(value);

/** A count: `12,345`. */
export const count = value => (known(value) ? WHOLE.format(value) : NOTHING);

/** A rate: `0`, `0.4`, `12.5`, `1,240`. */
export function rate(value) {
  if (!known(value)) return NOTHING;
  if (value === 0) return "0";
  return value < 100 ? TENTHS.format(value) : WHOLE.format(value);
}

/** Bytes: `812 B`, `1.4 MB`. */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let [size, unit] = [value, 0];
  while (size >= 1000 && unit < units.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${unit === 0 || size >= 100 ? WHOLE.format(size) : TENTHS.format(size)} ${units[unit]}`;
}

/** Seconds of a response time: `0.8 ms`, `12 ms`, `1.25 s`. */
export function latency(seconds) {
  if (!known(seconds)) return NOTHING;
  const milliseconds = seconds * 1000;
  if (milliseconds < 10) return `${TENTHS.format(milliseconds)} ms`;
  return milliseconds < 1000 ? `${WHOLE.format(milliseconds)} ms` : `${seconds.toFixed(2)} s`;
}

/** Seconds as a duration of two units: `45 s`, `3 min 20 s`, `5 h 12 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (!known(seconds)) return NOTHING;
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return "0 s";
  const told = parts.slice(first, first + 2).filter(([value], index) => index === 0 || value > 0);
  return told.map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** What is left of a countdown: tenths below ten seconds. */
export const countdown = seconds => (seconds < 10 ? `${TENTHS.format(Math.max(0, seconds))} s` : duration(seconds));

/** The time of day of a moment, with milliseconds. */
export function clock(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return NOTHING;
  const two = part => String(part).padStart(2, "0");
  const day = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${day}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** A share of one: `42 %`. */
export const percent = share => (known(share) ? `${Math.round(share * 100)} %` : NOTHING);

/** One of the three times of the access log, in milliseconds; -1 stays what it is. */
export function logTime(seconds) {
  if (!known(seconds)) return NOTHING;
  return seconds < 0 ? "−1" : WHOLE.format(seconds * 1000);
}

/** `1 target`, `2 targets`. */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Address and port of an ELB target; of one that is a load balancer its type, name and port. */
export function target({ Id, Port }) {
  if (Id.startsWith("arn:")) return `${Id.split("/").slice(1, 3).join("/")}:${Port}`;
  return Id.includes(":") ? `[${Id}]:${Port}` : `${Id}:${Port}`;
}
