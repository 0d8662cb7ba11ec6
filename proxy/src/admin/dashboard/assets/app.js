// Joins the stream to the panels: what comes is kept, and painted once for each tick.

import * as actions from "./actions.js";
import * as certificates from "./certificates.js";
import * as connections from "./connections.js";
import { note, updateSheet } from "./dialogs.js";
import { byId, shown, stateMark, text } from "./dom.js";
import * as findings from "./findings.js";
import { clock, duration } from "./format.js";
import * as loadBalancers from "./load_balancers.js";
import * as overrides from "./overrides.js";
import * as overview from "./overview.js";
import * as requests from "./requests.js";
import * as settings from "./settings.js";
import { Stream } from "./stream.js";
import * as targetGroups from "./target_groups.js";

let configuration = null;
let tick = null;
let painting = false;

const PHASES = { ready: "healthy", starting: "initial", draining: "draining" };

function configure(next) {
  const restarted = configuration && configuration.StartTime !== next.StartTime;
  configuration = next;
  if (restarted) {
    tick = null;
    overview.restart();
    targetGroups.restart();
    requests.restart();
    note("The load balancer has been started anew.", "info");
  }
  actions.configure(configuration);
  text(byId("version"), configuration.Version);
  const names = configuration.LoadBalancers.map(it => it.LoadBalancerName);
  document.title = names.length > 0 ? `${names.slice(0, 2).join(", ")} · Albeit` : "Albeit";
  const scale = byId("time-scale");
  shown(scale, configuration.TimeScale !== 1);
  text(scale.querySelector("dd"), `${configuration.TimeScale}×`);
  shown(byId("read-only"), !configuration.ActionsAllowed);
  for (const panel of [settings, targetGroups, loadBalancers, connections, findings, certificates, overrides]) panel.configure(configuration);
  updateSheet();
  paintSoon();
}

function ticked(next) {
  tick = next;
  overview.keep(tick);
  targetGroups.keep(tick);
  loadBalancers.keep(tick);
  paintSoon();
}

/** A frame later; in a hidden tab when it is looked at again. */
function paintSoon() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    paint();
  });
}

function paint() {
  if (!configuration || !tick) return;
  stateMark(byId("phase"), PHASES[tick.Phase] ?? "unknown", tick.Phase);
  text(byId("uptime"), duration((Date.parse(tick.Time) - Date.parse(configuration.StartTime)) / 1000));
  const draining = tick.Phase === "draining";
  shown(byId("draining"), draining);
  const left = tick.DrainRemainingSeconds;
  if (draining) text(byId("draining"), `The load balancer is ending: no new connections${left === undefined ? "." : `, open ones have ${duration(left)} left.`}`);
  overview.show(tick);
  targetGroups.show(tick);
  loadBalancers.show(tick);
  requests.show();
  connections.show(tick);
}

function streamState({ live, since }) {
  const words = live ? "live" : since ? "reconnecting" : "connecting";
  stateMark(byId("stream"), live ? "healthy" : since ? "unhealthy" : "initial", words);
  document.body.classList.toggle("stale", !live && since !== null);
  shown(byId("stale"), !live && since !== null);
  if (live || since === null) return;
  text(byId("stale-since"), clock(since).slice(0, 8));
  text(byId("stale-age"), duration((Date.now() - since) / 1000));
}

byId("reload").addEventListener("click", async () => {
  byId("reload").disabled = true;
  await actions.actFromPage("POST", "/reload", {}, "The configuration was read again.");
  byId("reload").disabled = false;
});

new Stream({ configuration: configure, tick: ticked, request: requests.add, opened: requests.fetchRecent, state: streamState });
