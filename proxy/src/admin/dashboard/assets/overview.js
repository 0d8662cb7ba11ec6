// The figures at the head of the page: all load balancers together.

import { byId, element, text } from "./dom.js";
import { bytes, count, latency, rate } from "./format.js";
import { Series, Sparkline } from "./sparkline.js";

const sum = (all, member) => all.reduce((total, it) => total + (it[member] ?? 0), 0);

/** Percentiles cannot be added up: those of the slowest load balancer stand for all. */
function slowest(all) {
  const times = all.map(it => it.TargetResponseTime).filter(Boolean);
  return times.sort((one, other) => other.P95 - one.P95)[0] ?? {};
}

// `least` is what reaches the top of a line at least, so that noise about zero looks like little.
const FIGURES = [
  { id: "requests", title: "Requests per second", value: it => it.requests, show: rate, least: 1, more: it => `${bytes(it.bytes)}/s` },
  {
    id: "errors", title: "Errors per second", value: it => it.elbErrors + it.targetErrors, show: rate, least: 1, tone: "bad",
    more: it => `ELB ${rate(it.elbErrors)} · target ${rate(it.targetErrors)}`,
  },
  { id: "p50", title: "Response time p50", value: it => it.time.P50, show: latency, least: 0.01, more: () => "of targets, last 10 s" },
  { id: "p95", title: "Response time p95", value: it => it.time.P95, show: latency, least: 0.01, more: () => "" },
  { id: "p99", title: "Response time p99", value: it => it.time.P99, show: latency, least: 0.01, more: () => "" },
  { id: "open", title: "Connections", value: it => it.connections, show: count, least: 5, more: it => `${rate(it.opened)} new/s` },
  { id: "websockets", title: "WebSockets", value: it => it.webSockets, show: count, least: 5, more: it => (it.flows ? `${count(it.flows)} flows` : "open now") },
];

const tiles = new Map(FIGURES.map(figure => [figure.id, tile(figure)]));

function tile({ id, title, tone }) {
  const view = {
    series: new Series(),
    line: new Sparkline(),
    value: element("p", { class: "value figure", id: `figure-${id}` }, "–"),
    more: element("p", { class: "more" }),
  };
  const node = element("article", { class: "tile", "data-tone": tone ?? "accent" }, element("h3", {}, title), view.value, view.more, view.line.node);
  byId("figures").append(node);
  return view;
}

function together({ LoadBalancers: all }) {
  return {
    requests: sum(all, "RequestsPerSecond"),
    bytes: sum(all, "ProcessedBytesPerSecond"),
    elbErrors: sum(all, "ElbErrorsPerSecond"),
    targetErrors: sum(all, "TargetErrorsPerSecond"),
    time: slowest(all),
    connections: sum(all, "ActiveConnectionCount"),
    opened: sum(all, "NewConnectionsPerSecond"),
    webSockets: sum(all, "OpenWebSockets"),
    flows: sum(all, "OpenFlows"),
  };
}

/** Keeps the figures of a tick, also while nobody looks. */
export function keep(tick) {
  const now = together(tick);
  for (const figure of FIGURES) tiles.get(figure.id).series.push(figure.value(now));
}

/** Shows them. */
export function show(tick) {
  const now = together(tick);
  for (const figure of FIGURES) {
    const view = tiles.get(figure.id);
    text(view.value, figure.show(figure.value(now)));
    text(view.more, figure.more(now));
    view.value.classList.toggle("raised", figure.tone === "bad" && figure.value(now) > 0);
    view.line.draw(view.series, figure.least);
  }
}

/** Another process answers now: its figures have nothing to do with those before. */
export function restart() {
  for (const view of tiles.values()) view.series.clear();
}
