// The recent access log, newest first, with what each entry means.

import { read } from "./actions.js";
import { attribute, byId, element, list, shown, text } from "./dom.js";
import { clock, count, logTime } from "./format.js";
import { openRequest } from "./request_detail.js";

/** Entries that are kept, as many as the load balancer keeps; and rows that are shown. */
const KEPT = 500;
const ROWS = 100;
const RECENT = 200;

/** Newest first, by number. */
let entries = [];
let skipped = 0;
let paused = null;
let changed = true;

const onlyErrors = byId("requests-errors");
const pause = byId("requests-pause");

const keyOf = it => it.Number ?? `${it.Time} ${it.ConnTraceId} ${it.Line}`;
const isError = it => it.Failed;
const newestFirst = (one, other) => (other.Number ?? 0) - (one.Number ?? 0);

/** An entry as it happens, or how many were too many to be told. */
export function add(entry) {
  changed = true;
  if (entry.Skipped) {
    skipped += entry.Skipped;
    return;
  }
  // The list that was read as the stream began may have it already.
  if (entries.some(it => keyOf(it) === keyOf(entry))) return;
  entries.unshift(entry);
  if (entries.length > 2 * KEPT) prune();
}

/** Errors outlive the others. */
function prune() {
  const errors = entries.filter(isError).slice(0, KEPT / 2);
  const others = entries.filter(it => !isError(it)).slice(0, KEPT - errors.length);
  entries = [...errors, ...others].sort(newestFirst);
}

/** Reads what happened before the stream was there. */
export async function fetchRecent() {
  const both = [read("/requests", { PageSize: RECENT }), read("/requests", { PageSize: RECENT, Errors: "true" })];
  const answers = await Promise.allSettled(both);
  const past = answers.filter(it => it.status === "fulfilled").flatMap(it => it.value.Requests);
  const all = new Map([...past, ...entries].map(it => [keyOf(it), it]));
  entries = [...all.values()].sort(newestFirst);
  prune();
  changed = true;
}

/** Another process numbers anew. */
export function restart() {
  entries = [];
  skipped = 0;
  changed = true;
  setPaused(false);
  fetchRecent();
}

/** At each tick, if something has changed. */
export function show() {
  if (!changed) return;
  changed = false;
  const wanted = it => !onlyErrors.checked || isError(it);
  const source = (paused ?? entries).filter(wanted);
  list(byId("requests-rows"), source.slice(0, ROWS), keyOf, create);
  const errors = entries.filter(isError).length;
  text(byId("nav-requests"), errors > 0 ? count(errors) : "");
  attribute(byId("nav-requests"), "data-tone", errors > 0 ? "error" : null);
  shown(byId("requests-rows").closest(".scroll"), source.length > 0);
  shown(byId("requests-empty"), source.length === 0);
  text(byId("requests-empty"), entries.length > 0 ? "No errors among the recent requests." : "No request yet. Entries of the access log appear here as they happen.");
  const seen = new Set(paused);
  const waiting = paused ? entries.filter(it => !seen.has(it)).filter(wanted).length : 0;
  const told = [paused && `paused, ${count(waiting)} new`, skipped > 0 && `${count(skipped)} not shown: too many at once`];
  text(byId("requests-note"), told.filter(Boolean).join(" · "));
}

function setPaused(on) {
  paused = on ? [...entries] : null;
  attribute(pause, "aria-pressed", String(on));
  text(pause, on ? "Resume" : "Pause");
  changed = true;
}

pause.addEventListener("click", () => {
  setPaused(paused === null);
  show();
});
onlyErrors.addEventListener("change", () => {
  changed = true;
  show();
});

/** Entries never change, so a row is made once. */
function create(entry) {
  const open = element("button", { type: "button", class: "link" }, path(entry.Request));
  open.title = entry.Request ?? "";
  const severity = entry.Meaning?.Severity ?? "info";
  const times = [entry.RequestProcessingTime, entry.TargetProcessingTime, entry.ResponseProcessingTime].map(logTime).join(" / ");
  const node = element(
    "tr", { class: "clickable", "data-severity": severity },
    element("td", { class: "figure", "data-label": "Time" }, clock(entry.Time)),
    element("td", { "data-label": "Status" }, status(entry)),
    element("th", { scope: "row", class: "request" }, open),
    element("td", { class: "address", "data-label": "Target" }, entry.Target ?? "–"),
    element("td", { class: "number figure", "data-label": "Times, ms" }, times),
    element("td", { class: "meaning", "data-label": "Meaning" }, entry.Meaning?.Title ?? entry.ErrorReason ?? ""),
  );
  node.addEventListener("click", () => openRequest(entry));
  return { node, update() {} };
}

/** `GET /path` of the request as it is logged; one that could not be read has none. */
function path(request) {
  const [method, url = ""] = (request ?? "").split(" ");
  if (!url || method === "-") return "(not readable)";
  return `${method} ${url.replace(/^[a-z]+:\/\/[^/]*/i, "") || "/"}`;
}

/** The status that the client got, and whose it is: the load balancer's own, or another one of the target. */
function status({ ElbStatusCode: elb, TargetStatusCode: target, Meaning: meaning }) {
  const tone = { error: "error", warning: "warning", info: "info" }[meaning?.Severity] ?? "good";
  const own = target === null || target === undefined;
  const other = own ? elb && "ELB" : target !== elb && `target ${target}`;
  return element("span", { class: "line" }, element("span", { class: "status", "data-tone": tone }, String(elb ?? "–")), other ? element("span", { class: "muted" }, other) : null);
}
