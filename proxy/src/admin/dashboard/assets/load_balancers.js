// Load balancers with their listeners and rules, and how often each rule matches.

import { byId, element, list, shown, text } from "./dom.js";
import { bytes, count, rate } from "./format.js";
import * as rules from "./rules.js";
import { openLoadBalancer } from "./settings.js";

/** Seconds over which the rate of a rule is taken. */
const WINDOW = 5;

let configuration = null;
let matched = [];
const balancers = new Map();
const ruleRows = new Map();

const groupName = arn => configuration.TargetGroups.find(group => group.TargetGroupArn === arn)?.TargetGroupName ?? arn ?? "?";

export function configure(next) {
  configuration = next;
  const { LoadBalancers: all } = configuration;
  text(byId("nav-load-balancers"), all.length);
  shown(byId("balancers-empty"), all.length === 0);
  balancers.clear();
  ruleRows.clear();
  list(byId("balancers"), all, it => it.LoadBalancerArn, create);
}

/** Keeps the matches of a tick. */
export function keep(tick) {
  matched.push(tick.Rules ?? {});
  if (matched.length > WINDOW + 1) matched.shift();
}

function perSecond(arn) {
  const [first, last] = [matched[0]?.[arn], matched.at(-1)?.[arn]];
  if (matched.length < 2 || first === undefined || last < first) return 0;
  return (last - first) / (matched.length - 1);
}

export function show(tick) {
  for (const figures of tick.LoadBalancers) balancers.get(figures.LoadBalancerArn)?.(figures);
  for (const [arn, showMatches] of ruleRows) showMatches(tick.Rules?.[arn], perSecond(arn));
}

function create({ LoadBalancerArn: arn }) {
  const name = element("h3");
  const kind = element("span", { class: "chip" });
  const facts = element("p", { class: "muted facts-line" });
  const now = element("p", { class: "figure facts-line" });
  const causes = element("ul", { class: "causes", "aria-label": "Errors of the load balancer since its start" });
  const settings = element("button", { type: "button", class: "quiet" }, "Attributes");
  const listeners = element("div");
  const head = element("header", {}, element("div", { class: "title-line" }, name, kind), settings, facts, now);
  const node = element("article", { class: "card", "data-arn": arn }, head, causes, listeners);
  settings.addEventListener("click", () => openLoadBalancer(arn));
  return {
    node,
    update(it) {
      balancers.set(arn, latest => figures(latest, now, causes));
      text(name, it.LoadBalancerName);
      text(kind, it.Type);
      settings.setAttribute("aria-label", `Attributes of ${it.LoadBalancerName}`);
      text(facts, describe(it));
      const own = configuration.Listeners.filter(listener => listener.LoadBalancerArn === arn);
      list(listeners, own, listener => listener.ListenerArn, createListener);
    },
  };
}

function describe({ DNSName: name, Attributes: attributes = {} }) {
  const idle = attributes["idle_timeout.timeout_seconds"];
  const keepAlive = attributes["client_keep_alive.seconds"];
  return [name, idle && `idle timeout ${idle} s`, keepAlive && `client keep-alive ${keepAlive} s`].filter(Boolean).join(" · ");
}

function figures(it, now, causes) {
  const flows = it.OpenFlows ? ` · ${count(it.OpenFlows)} flows` : "";
  text(now, `${rate(it.RequestsPerSecond)} requests/s · ${count(it.ActiveConnectionCount)} connections${flows} · ${bytes(it.ProcessedBytesPerSecond)}/s`);
  const made = (it.ElbResponses ?? []).filter(({ Count }) => Count > 0);
  shown(causes, made.length > 0);
  list(causes, made, ({ Cause, Status }) => `${Status} ${Cause}`, ({ Cause, Status }) => {
    const times = element("b", { class: "figure" });
    const node = element("li", { class: "cause" }, element("span", { class: "status", "data-tone": Status >= 500 ? "error" : "warning" }, String(Status ?? "–")), Cause, times);
    return { node, update: ({ Count }) => text(times, `× ${count(Count)}`) };
  });
}

function createListener({ ListenerArn: arn }) {
  const title = element("h4");
  const body = element("tbody");
  const caption = element("caption", { class: "hidden" });
  const headings = [["Rule"], ["If"], ["Then"], ["Matched", "number"], ["per s", "number"]];
  const head = element("tr", {}, ...headings.map(([name, css]) => element("th", { scope: "col", class: css }, name)));
  const node = element("div", { class: "listener" }, title, element("table", { class: "cards rules" }, caption, element("thead", {}, head), body));
  return {
    node,
    update(it) {
      const place = it.Address?.includes(":") ? `[${it.Address}]:${it.Port}` : `${it.Address}:${it.Port}`;
      text(title, `${it.Protocol} ${place}`);
      title.title = it.SslPolicy ?? "";
      text(caption, `Rules of the listener ${it.Protocol} ${place}`);
      const own = configuration.Rules.filter(rule => rule.ListenerArn === arn);
      list(body, own, rule => rule.RuleArn, createRule);
    },
  };
}

function createRule({ RuleArn: arn }) {
  const priority = element("th", { scope: "row" });
  const cells = [["If"], ["Then"], ["Matched", "number figure"], ["per s", "number figure"]].map(([label, css]) => element("td", { "data-label": label, class: css }));
  const [conditions, actions, hits, pace] = cells;
  const node = element("tr", {}, priority, ...cells);
  const showMatches = (matches, second) => {
    text(hits, count(matches));
    text(pace, rate(second));
  };
  return {
    node,
    update(rule) {
      text(priority, rule.Priority);
      text(conditions, rules.conditions(rule));
      text(actions, rules.actions(rule, groupName));
      ruleRows.set(arn, showMatches);
    },
  };
}
