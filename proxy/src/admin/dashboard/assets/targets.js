// The table of the targets of a group: health, work, who came back by a cookie, and how draining goes.

import { attribute, element, list, shown, stateMark, text } from "./dom.js";
import { count, countdown, percent, rate, target as address } from "./format.js";
import { askToDrain, openTarget, register } from "./target_actions.js";

/** Seconds over which the distribution is told, if there was a request in them. */
const WINDOW = 60;

/** Targets with a key each: what drains at an address that was registered again has one of its own. */
function keyed(targets) {
  const drains = it => it.DeregistrationRemainingSeconds !== undefined;
  const current = new Set(targets.filter(it => !drains(it)).map(it => address(it.Target)));
  return targets.map(it => ({ ...it, key: address(it.Target) + (drains(it) && current.has(address(it.Target)) ? " (before)" : "") }));
}

/** Keeps the counts of requests of a tick. */
export function keep(history, targets) {
  history.push(new Map(keyed(targets).map(it => [it.key, [it.RequestCount ?? 0, it.StickyRequestCount ?? 0]])));
  if (history.length > WINDOW + 1) history.shift();
}

/** Requests of each target and how many of them came by a cookie: of the last minute, else since the start. */
function distribution(history) {
  const last = history.at(-1) ?? new Map();
  const first = history[0] ?? new Map();
  const none = [0, 0];
  const since = (now, then) => now.map((value, index) => (value >= then[index] ? value - then[index] : value));
  const recent = new Map([...last].map(([key, now]) => [key, since(now, first.get(key) ?? none)]));
  const sum = counts => [...counts.values()].reduce((total, [requests]) => total + requests, 0);
  const isRecent = sum(recent) > 0;
  const counts = isRecent ? recent : last;
  return { counts, total: sum(counts), span: isRecent ? "last minute" : "since start" };
}

/** The table; `configuration()` is what is in force. */
export function table(arn, configuration) {
  const caption = element("caption", { class: "hidden" });
  const headings = [["Target"], ["Health"], ["In flight", "number"], ["Requests/s", "number"], ["Distribution", "wide"], ["WebSockets", "number"], ["Actions", "end"]];
  const cells = headings.map(([name, css]) => element("th", { scope: "col", class: css }, name));
  const span = element("span");
  const legend = ["sticky", "fresh"].map(part => element("span", { class: `legend ${part}` }, part === "fresh" ? "newly chosen" : "by cookie"));
  cells[4].append(", ", span, ...legend);
  const body = element("tbody");
  const node = element("table", { class: "cards targets" }, caption, element("thead", {}, element("tr", {}, ...cells)), body);
  let known = {};
  const group = { arn, configuration, name: () => known.TargetGroupName };
  return {
    node,
    describe(targetGroup) {
      known = targetGroup;
      const flows = !known.Protocol.startsWith("HTTP");
      text(caption, `Targets of ${known.TargetGroupName}`);
      text(cells[3], flows ? "New flows/s" : "Requests/s");
      text(cells[5], flows ? "Flows" : "WebSockets");
    },
    show(targets, history) {
      const shares = distribution(history);
      text(span, shares.span);
      const counted = keyed(targets).map(it => ({ ...it, counts: shares.counts.get(it.key) ?? [0, 0], total: shares.total }));
      list(body, counted, it => it.key, it => row(it, group));
    },
  };
}

function row(first, group) {
  const { key } = first;
  let now = first;
  const state = element("span", { class: "state" });
  const why = element("span", { class: "why muted" });
  const drain = element("progress", { class: "drain", hidden: true, "aria-label": `Draining of ${key}` });
  const forced = element("span", { class: "chip", hidden: true });
  const outstanding = element("td", { class: "number figure", "data-label": "In flight" });
  const requests = element("td", { class: "number figure", "data-label": "Per second" });
  const bar = element("span", { class: "split", "aria-hidden": "true" }, element("i", { class: "sticky" }), element("i", { class: "fresh" }));
  const share = element("span", { class: "figure" });
  const sockets = element("td", { class: "number figure", "data-label": "Open" });
  const main = element("button", { type: "button", class: "quiet" });
  const more = element("button", { type: "button", class: "quiet", "aria-label": `More actions for ${key}` }, "More");
  main.addEventListener("click", () => (now.TargetHealth.State === "draining" ? register(group, now.Target) : askToDrain(group, now)));
  more.addEventListener("click", () => openTarget(group, () => now));
  const node = element(
    "tr", {},
    element("th", { scope: "row", class: "address" }, key),
    element("td", { "data-label": "Health" }, element("div", { class: "stack" }, element("span", { class: "line" }, state, forced), drain, why)),
    outstanding,
    requests,
    element("td", { class: "wide", "data-label": "Distribution" }, element("div", { class: "share" }, bar, share)),
    sockets,
    element("td", { class: "end" }, element("div", { class: "buttons" }, main, more)),
  );
  return {
    node,
    update(it) {
      now = it;
      const { State: health, Description: description, Reason: reason } = it.TargetHealth;
      const draining = health === "draining";
      stateMark(state, health);
      const left = it.DeregistrationRemainingSeconds;
      text(why, draining && left !== undefined ? `${countdown(left)} left` : [description, reason && `(${reason})`].filter(Boolean).join(" "));
      shown(drain, draining && left !== undefined);
      if (draining && left !== undefined) showDrain(drain, left);
      else drain.removeAttribute("max");
      showForced(forced, it);
      showShare(bar, share, it);
      text(outstanding, count(it.OutstandingRequests));
      text(requests, rate(it.RequestsPerSecond));
      text(sockets, count(it.OpenFlows || it.OpenWebSockets));
      text(main, draining ? "Register" : "Drain");
      attribute(main, "aria-label", draining ? `Register ${key} again` : `Drain ${key}`);
    },
  };
}

/** The whole delay is what was left when the draining was first seen. */
function showDrain(drain, left) {
  if (!drain.hasAttribute("max") || left > drain.max) drain.max = Math.max(left, 0.001);
  drain.value = left;
}

function showForced(chip, { AdministrativeOverride: override, AnomalyDetection: anomaly }) {
  const forced = override?.State?.startsWith("albeit_forced");
  const anomalous = anomaly?.Result === "anomalous";
  shown(chip, Boolean(forced || anomalous));
  text(chip, forced ? "forced" : anomalous ? "anomalous" : "");
  chip.title = (forced ? override.Description : "") ?? "";
}

function showShare(bar, words, { counts: [requests, sticky], total }) {
  const share = total > 0 ? requests / total : 0;
  const came = Math.min(sticky, requests);
  bar.children[0].style.setProperty("width", `${total > 0 ? (100 * came) / total : 0}%`);
  bar.children[1].style.setProperty("width", `${total > 0 ? (100 * (requests - came)) / total : 0}%`);
  text(words, requests > 0 ? `${percent(share)} · ${percent(came / requests)} sticky` : "–");
  bar.title = `${count(requests)} requests: ${count(came)} by a cookie, ${count(requests - came)} newly chosen`;
}
