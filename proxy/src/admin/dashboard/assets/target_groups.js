// Target groups: what they are, how they do, and the table of their targets.

import { attribute, byId, element, list, shown, stateMark, text } from "./dom.js";
import { duration, latency, plural, rate, target as address } from "./format.js";
import { faultsOn, openFaults, openRegister, openSettings } from "./settings.js";
import { Series, Sparkline } from "./sparkline.js";
import * as targets from "./targets.js";

let configuration = null;
const groups = new Map();

export function configure(next) {
  configuration = next;
  const all = configuration.TargetGroups;
  shown(byId("groups-empty"), all.length === 0);
  list(byId("groups"), all, it => it.TargetGroupArn, create);
  for (const arn of groups.keys()) if (!all.some(it => it.TargetGroupArn === arn)) groups.delete(arn);
  const faulty = all.filter(it => faultsOn(it).length > 0);
  shown(byId("faults-on"), faulty.length > 0);
  const told = faulty.map(it => `${it.TargetGroupName} (${faultsOn(it).map(fault => fault.name).join(", ")})`);
  text(byId("faults-on"), `FAULT ON: ${told.join(", ")}. Clients get failures on purpose.`);
}

/** Another process: counts begin at zero. */
export function restart() {
  for (const group of groups.values()) {
    group.series.clear();
    group.history.length = 0;
  }
}

/** Keeps the figures of a tick. */
export function keep(tick) {
  for (const figures of tick.TargetGroups) {
    const group = groups.get(figures.TargetGroupArn);
    if (!group) continue;
    group.series.push(figures.RequestsPerSecond);
    targets.keep(group.history, figures.Targets);
  }
}

export function show(tick) {
  const all = tick.TargetGroups.flatMap(group => group.Targets);
  const healthy = all.filter(it => it.TargetHealth.State === "healthy").length;
  text(byId("nav-targets"), all.length > 0 ? `${healthy}/${all.length}` : "");
  attribute(byId("nav-targets"), "data-tone", healthy < all.length ? "warning" : null);
  for (const figures of tick.TargetGroups) groups.get(figures.TargetGroupArn)?.show(figures);
}

function create({ TargetGroupArn: arn }) {
  const name = element("h3");
  const fault = element("span", { class: "chip fault", hidden: true });
  const summary = element("span", { class: "state" });
  const facts = element("p", { class: "muted facts-line" });
  const now = element("span", { class: "figure" });
  const line = new Sparkline();
  const buttons = [["Register target", openRegister], ["Faults", openFaults], ["Settings", openSettings]].map(([words, open]) => {
    const button = element("button", { type: "button", class: "quiet" }, words);
    button.addEventListener("click", () => open(arn));
    return button;
  });
  const table = targets.table(arn, () => configuration);
  const empty = element("p", { class: "empty", hidden: true }, "No targets: every request is answered 503. Register one.");
  const head = element(
    "header", {},
    element("div", { class: "title-line" }, name, summary, fault),
    element("div", { class: "buttons" }, ...buttons),
    facts,
    element("div", { class: "trend" }, line.node, now),
  );
  const node = element("article", { class: "card", "data-arn": arn }, head, table.node, empty);
  const group = {
    series: new Series(),
    history: [],
    show(figures) {
      const healthy = figures.Targets.filter(it => it.TargetHealth.State === "healthy").length;
      const state = figures.Targets.length === 0 ? "unused" : healthy === figures.Targets.length ? "healthy" : healthy > 0 ? "degraded" : "unhealthy";
      stateMark(summary, state, `${healthy} of ${plural(figures.Targets.length, "target")} healthy`);
      const time = figures.TargetResponseTime;
      text(now, `${rate(figures.RequestsPerSecond)}/s${time ? ` · p95 ${latency(time.P95)}` : ""}`);
      line.draw(group.series);
      shown(table.node, figures.Targets.length > 0);
      shown(empty, figures.Targets.length === 0);
      table.show(figures.Targets, group.history);
    },
  };
  groups.set(arn, group);
  return {
    node,
    update(it) {
      text(name, it.TargetGroupName);
      text(facts, describe(it));
      table.describe(it);
      buttons.forEach(button => button.setAttribute("aria-label", `${button.textContent}: ${it.TargetGroupName}`));
      const on = faultsOn(it);
      shown(fault, on.length > 0);
      text(fault, `FAULT ON: ${on.map(one => one.name).join(", ")}`);
    },
  };
}

function describe(group) {
  const attributes = group.Attributes ?? {};
  const version = group.ProtocolVersion && group.ProtocolVersion !== "HTTP1" ? ` (${group.ProtocolVersion})` : "";
  const sticky = attributes["stickiness.enabled"] === "true";
  const lifetime = attributes[`stickiness.${attributes["stickiness.type"]}.duration_seconds`];
  const parts = [
    `${group.Protocol}${version}`,
    attributes["load_balancing.algorithm.type"]?.replaceAll("_", " "),
    sticky ? `sticky by ${attributes["stickiness.type"]}${lifetime ? `, ${duration(Number(lifetime))}` : ""}` : "not sticky",
    group.HealthCheckPath ? `check ${group.HealthCheckPath} each ${group.HealthCheckIntervalSeconds} s` : `check each ${group.HealthCheckIntervalSeconds} s`,
    `deregistration delay ${duration(Number(attributes["deregistration_delay.timeout_seconds"] ?? 300))}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Addresses of all targets of a tick, for filters. */
export const addresses = tick => [...new Set(tick.TargetGroups.flatMap(group => group.Targets.map(it => address(it.Target))))];
