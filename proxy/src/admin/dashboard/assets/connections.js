// Open connections, by default WebSockets, the one that is cut soonest first: a page of them is asked for
// after each tick while it can be seen, and the countdowns run on in between.

import { read } from "./actions.js";
import { tellError } from "./dialogs.js";
import { attribute, byId, element, list, shown, text } from "./dom.js";
import { bytes, count, countdown, duration, plural, target as address } from "./format.js";
import { addresses } from "./target_groups.js";

const PAGE = 50;
const STEP = 250;
/** A countdown that is longer than it should be by this was begun again: bytes have passed. */
const RESET = 1;
const SOON = 0.2;

const filter = byId("connections-filter");

/** Markers of the pages up to the one that is shown. */
let markers = [undefined];
let asked = 0;
let busy = false;
let visible = true;
let running = [];

new IntersectionObserver(([seen]) => (visible = seen.isIntersecting), { rootMargin: "400px" }).observe(byId("connections"));

export function configure({ Listeners: listeners }) {
  const name = it => `${it.Protocol} :${it.Port}`;
  options(filter.elements.ListenerArn, listeners.map(it => [it.ListenerArn, name(it)]));
}

function options(select, pairs) {
  const before = [...select.options].slice(1).map(it => it.value).join();
  if (before === pairs.map(([value]) => value).join()) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...pairs.map(([value, name]) => element("option", { value }, name)));
  select.value = pairs.some(([value]) => value === chosen) ? chosen : "";
}

/** After each tick. */
export function show(tick) {
  const sockets = tick.LoadBalancers.reduce((sum, it) => sum + (it.OpenWebSockets ?? 0), 0);
  text(byId("nav-connections"), sockets > 0 ? count(sockets) : "");
  options(filter.elements.Target, addresses(tick).map(it => [it, it]));
  if (visible) fetchPage();
}

async function fetchPage() {
  if (busy || document.hidden) return;
  busy = true;
  const turn = asked;
  const { Client: client, ListenerArn: listener, Protocol: protocol, Target: target } = Object.fromEntries(new FormData(filter));
  const isFlows = protocol === "flows";
  const parameters = { ListenerArn: listener, Client: client.trim(), PageSize: PAGE, Marker: markers.at(-1) };
  if (!isFlows) Object.assign(parameters, { Protocol: protocol, Target: target, OrderBy: "SecondsToIdleTimeout" });
  try {
    const answer = await read(isFlows ? "/flows" : "/connections", parameters);
    // The filter may have changed meanwhile.
    if (turn === asked) showPage(isFlows ? answer.Flows : answer.Connections, answer, isFlows);
    tellError(byId("connections-error"), null);
  } catch (error) {
    tellError(byId("connections-error"), error.message);
    for (const part of [byId("connections-rows").closest(".scroll"), byId("connections-empty"), byId("connections-pager")]) shown(part, false);
  } finally {
    busy = false;
    if (turn !== asked) fetchPage();
  }
}

function showPage(page, { NextMarker: next, TotalCount: total }, isFlows) {
  if (page.length === 0 && markers.length > 1) {
    turnTo(markers.slice(0, -1));
    return;
  }
  const known = total ?? (markers.length - 1) * PAGE + page.length;
  const noun = isFlows ? "flow" : filter.elements.Protocol.value === "websocket" ? "WebSocket" : "connection";
  text(byId("connections-count"), known > 0 ? plural(known, noun) + (total === undefined && next ? " or more" : "") : "");
  shown(byId("connections-empty"), page.length === 0);
  const filtered = ["ListenerArn", "Target", "Client"].some(name => filter.elements[name].value);
  text(byId("connections-empty"), filtered ? `No ${noun} that the filter lets through.` : `No ${noun} is open.`);
  shown(byId("connections-rows").closest(".scroll"), page.length > 0);
  running = [];
  list(byId("connections-rows"), page, it => it.ConnectionId ?? it.FlowId, create);
  shown(byId("connections-pager"), Boolean(next) || markers.length > 1);
  const from = (markers.length - 1) * PAGE;
  text(byId("connections-page"), `${count(from + 1)}–${count(from + page.length)}${total === undefined ? "" : ` of ${count(total)}`}`);
  byId("connections-before").disabled = markers.length === 1;
  byId("connections-after").disabled = !next;
  byId("connections-after").dataset.marker = next ?? "";
}

function turnTo(next) {
  markers = next;
  asked += 1;
  fetchPage();
}

function create({ Client: client, ConnectionId: id, FlowId: flow }) {
  const bar = element("progress", { class: "countdown", "aria-label": `Until the idle timeout of ${client}` });
  const left = element("span", { class: "figure" });
  const target = element("th", { scope: "row", class: "address", "data-label": "Target" });
  const cells = ["Age", "From client", "To client"].map(label => element("td", { class: "number figure", "data-label": label }));
  const clock = element("td", { class: "countdown", "data-label": "Idle timeout in" }, element("div", { class: "line" }, bar, left));
  const node = element("tr", { title: id ?? flow ?? "" }, clock, target, element("td", { class: "address", "data-label": "Client" }, client), ...cells);
  const timer = { node, bar, left, until: null };
  return {
    node,
    update(it) {
      text(target, it.WebSocketTarget ? address(it.WebSocketTarget) : it.Target ? address(it.Target) : "–");
      text(cells[0], duration(it.AgeSeconds));
      text(cells[1], bytes(it.ReceivedBytes));
      text(cells[2], bytes(it.SentBytes));
      showTimer(timer, it);
    },
  };
}

/** Flows have no countdown: their silence is told instead. */
function showTimer(timer, { IdleSeconds: idle, SecondsToIdleTimeout: left }) {
  shown(timer.bar, left !== undefined);
  if (left === undefined) {
    text(timer.left, `silent for ${duration(idle)}`);
    return;
  }
  const now = performance.now();
  const spoke = timer.until !== null && left > (timer.until - now) / 1000 + RESET;
  timer.until = now + left * 1000;
  timer.whole = idle + left;
  timer.node.classList.toggle("spoke", spoke);
  running.push(timer);
  step(timer, now);
}

function step({ bar, left, node, until, whole }, now) {
  const seconds = Math.max(0, (until - now) / 1000);
  attribute(bar, "max", whole.toFixed(3));
  attribute(bar, "value", Math.min(seconds, whole).toFixed(3));
  text(left, countdown(seconds));
  node.classList.toggle("soon", seconds < whole * SOON);
}

setInterval(() => {
  if (document.hidden || !visible || document.body.classList.contains("stale")) return;
  const now = performance.now();
  for (const timer of running) step(timer, now);
}, STEP);

filter.addEventListener("submit", event => event.preventDefault());
filter.addEventListener("change", () => turnTo([undefined]));
byId("connections-before").addEventListener("click", () => turnTo(markers.slice(0, -1)));
byId("connections-after").addEventListener("click", () => turnTo([...markers, byId("connections-after").dataset.marker]));
