// Sheets that change attributes: faults and stickiness of target groups, timeouts of load balancers.
// All of them show the attributes in force, also as these change while the sheet is open.

import { act, setAttributes } from "./actions.js";
import { closeSheet, note, openSheet, sheetError } from "./dialogs.js";
import { attribute, element, list, shown, text } from "./dom.js";

const FAULT = "albeit.fault.";

/** What is proposed where a fault is off, by the unit of its key. */
const PROPOSED = { percent: "100", bytes_per_second: "1000", seconds: "30" };

let configuration = null;

export function configure(next) {
  configuration = next;
}

const group = arn => configuration.TargetGroups.find(it => it.TargetGroupArn === arn);
const balancer = arn => configuration.LoadBalancers.find(it => it.LoadBalancerArn === arn);

/** The faults that a group can have: the first attribute of a name switches it, further ones say how. */
function faults({ Attributes: attributes = {} }) {
  const named = new Map();
  for (const it of configuration.FaultAttributes.filter(fault => fault.Key in attributes)) {
    const name = it.Key.slice(FAULT.length).split(".")[0];
    named.set(name, [...(named.get(name) ?? []), it]);
  }
  return [...named].map(([name, attributes]) => {
    const [main, ...others] = attributes.toSorted((one, other) => Number(one.Default !== "0") - Number(other.Default !== "0"));
    return { key: main.Key, name: name.replaceAll("_", " "), main, others };
  });
}

const isOn = (attributes, { main }) => (attributes?.[main.Key] ?? main.Default) !== main.Default;

/** The faults of a target group that are on. */
export const faultsOn = targetGroup => faults(targetGroup).filter(fault => isOn(targetGroup.Attributes, fault));

/** Sets attributes from within the sheet; what the API refuses stands at its head. */
async function set(owner, attributes, done) {
  try {
    await setAttributes(owner, attributes);
    sheetError(null);
    note(done);
  } catch (error) {
    sheetError(error.message);
  }
}

/** The faults of a group, each with a switch. */
export function openFaults(arn) {
  openSheet(`Faults of ${group(arn).TargetGroupName}`, body => {
    const rows = element("div");
    body.append(element("p", { class: "muted" }, "Each breaks what it says it breaks, for real clients, until it is switched off or the changes are undone."), rows);
    const update = () => group(arn) && list(rows, faults(group(arn)), fault => fault.key, fault => faultForm(arn, fault));
    update();
    return update;
  });
}

function faultForm(arn, { name, main, others }) {
  const state = element("span", { class: "chip fault" }, "ON");
  const fields = [main, ...others].map(it => field(it.Key, it));
  const on = element("button", {});
  const off = element("button", { type: "button", class: "quiet" }, "Switch off");
  off.setAttribute("aria-label", `Switch off: ${name}`);
  const node = element(
    "form", { class: "setting" },
    element("h3", {}, name, " ", state),
    ...fields.map(it => it.node),
    element("div", { class: "buttons" }, off, on),
  );
  const owner = { TargetGroupArn: arn };
  node.addEventListener("submit", event => {
    event.preventDefault();
    set(owner, Object.fromEntries(fields.map(it => [it.key, it.input.value])), `The fault ${name} is on.`);
  });
  off.addEventListener("click", () => set(owner, { [main.Key]: main.Default }, `The fault ${name} is off.`));
  let shownAs;
  return {
    node,
    update(fault) {
      const attributes = group(arn).Attributes ?? {};
      const active = isOn(attributes, fault);
      shown(state, active);
      shown(off, active);
      text(on, active ? "Change" : "Switch on");
      attribute(on, "aria-label", `${on.textContent}: ${name}`);
      // What is being typed stays, unless the attributes in force have changed.
      const inForce = JSON.stringify(fields.map(it => attributes[it.key]));
      if (inForce === shownAs) return;
      shownAs = inForce;
      for (const it of fields) it.input.value = attributes[it.key] ?? "";
      if (!active) fields[0].input.value = PROPOSED[main.Key.split(".").at(-1)] ?? "1";
    },
  };
}

/** A field for an attribute, with what its table says of it. */
function field(key, { Description: description, Range: range }) {
  const input = element("input", { name: key, required: true, autocomplete: "off", spellcheck: "false" });
  const hint = [description?.replace(/^Fault: ./, begin => begin.at(-1).toUpperCase()), range && `Range ${range}.`].filter(Boolean).join(" ");
  const node = element("label", {}, element("code", {}, key), input, element("span", { class: "muted" }, hint));
  return { key, input, node };
}

const STICKINESS = [
  { Key: "stickiness.lb_cookie.duration_seconds", Description: "Lifetime of the cookie AWSALB, in seconds.", of: "lb_cookie" },
  { Key: "stickiness.app_cookie.duration_seconds", Description: "Lifetime of the cookie AWSALBAPP, in seconds.", of: "app_cookie" },
];

/** Stickiness, deregistration delay and the other attributes of a group. */
export function openSettings(arn) {
  const owner = { TargetGroupArn: arn };
  openSheet(`Settings of ${group(arn).TargetGroupName}`, body => {
    const toggle = element("button", { type: "button", class: "switch", role: "switch" });
    const isSticky = () => group(arn)?.Attributes?.["stickiness.enabled"] === "true";
    toggle.addEventListener("click", () => set(owner, { "stickiness.enabled": String(!isSticky()) }, "Stickiness is changed."));
    const kind = group(arn).Attributes?.["stickiness.type"];
    const forms = [
      ...STICKINESS.filter(it => it.of === kind),
      { Key: "deregistration_delay.timeout_seconds", Description: "How long what is open at a draining target may last, in seconds." },
      { Key: "slow_start.duration_seconds", Description: "How long a new target gets fewer requests, in seconds; 0 is off." },
    ].filter(it => group(arn).Attributes?.[it.Key] !== undefined).map(it => attributeForm(owner, it, () => group(arn)?.Attributes));
    const all = allAttributes(() => group(arn)?.Attributes);
    body.append(element("div", { class: "setting line" }, toggle, element("span", { class: "muted" }, `stickiness.type ${kind ?? "–"}`)), ...forms.map(it => it.node), all.node);
    const update = () => {
      attribute(toggle, "aria-checked", String(isSticky()));
      text(toggle, isSticky() ? "Stickiness is on" : "Stickiness is off");
      for (const form of [...forms, all]) form.update();
    };
    update();
    return update;
  });
}

/** Timeouts and the other attributes of a load balancer. */
export function openLoadBalancer(arn) {
  const owner = { LoadBalancerArn: arn };
  openSheet(`Attributes of ${balancer(arn).LoadBalancerName}`, body => {
    const forms = [
      { Key: "idle_timeout.timeout_seconds", Description: "Silence after which a connection, also a WebSocket, is closed, in seconds. Acts on requests and WebSockets that begin from now on." },
      { Key: "client_keep_alive.seconds", Description: "How long a client's connection may last, in seconds." },
    ].filter(it => balancer(arn).Attributes?.[it.Key] !== undefined).map(it => attributeForm(owner, it, () => balancer(arn)?.Attributes));
    const all = allAttributes(() => balancer(arn)?.Attributes);
    body.append(...forms.map(it => it.node), all.node);
    const update = () => [...forms, all].forEach(form => form.update());
    update();
    return update;
  });
}

function attributeForm(owner, described, attributes) {
  const { key, input, node: label } = field(described.Key, described);
  const button = element("button", { "aria-label": `Change ${key}` }, "Change");
  const node = element("form", { class: "setting" }, label, element("div", { class: "buttons" }, button));
  node.addEventListener("submit", event => {
    event.preventDefault();
    set(owner, { [key]: input.value }, `${key} is ${input.value}.`);
  });
  let inForce;
  const update = () => {
    const value = attributes()?.[key] ?? "";
    if (value !== inForce) input.value = value;
    inForce = value;
  };
  return { node, update };
}

function allAttributes(attributes) {
  const body = element("dl", { class: "attributes" });
  const node = element("details", {}, element("summary", {}, "All attributes in force"), body);
  const create = () => {
    const [key, value] = [element("dt"), element("dd")];
    return { node: element("div", {}, key, value), update: ([name, is]) => (text(key, name), text(value, is || "–")) };
  };
  return { node, update: () => list(body, Object.entries(attributes() ?? {}).toSorted(), ([key]) => key, create) };
}

/** Registers a target. */
export function openRegister(arn) {
  openSheet(`Register a target with ${group(arn).TargetGroupName}`, body => {
    const id = element("input", { name: "Id", required: true, autocomplete: "off", spellcheck: "false", placeholder: "10.0.1.17" });
    const port = element("input", { name: "Port", type: "number", min: 1, max: 65_535, value: group(arn).Port ?? "" });
    const form = element(
      "form", { class: "setting" },
      element("label", {}, "Id ", id, element("span", { class: "muted" }, `An address; for a target that is described so, a host name or an ARN. Target type: ${group(arn).TargetType}.`)),
      element("label", {}, "Port ", port),
      element("div", { class: "buttons" }, element("button", {}, "Register")),
    );
    form.addEventListener("submit", async event => {
      event.preventDefault();
      const target = { Id: id.value.trim(), ...(port.value && { Port: Number(port.value) }) };
      try {
        await act("POST", "/targets/register", { TargetGroupArn: arn, Targets: [target] });
        note(`${target.Id} is registered: it is initial until its first check has passed.`);
        closeSheet();
      } catch (error) {
        sheetError(error.message);
      }
    });
    body.append(form);
    id.focus();
    return () => {};
  });
}
