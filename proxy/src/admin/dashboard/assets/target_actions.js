// What can be done with a target, and what each of it means.

import { act } from "./actions.js";
import { closeSheet, confirm, note, openSheet, sheetError } from "./dialogs.js";
import { element } from "./dom.js";
import { plural, target as address } from "./format.js";

/** Puts a target that drains back. */
export async function register(group, target) {
  try {
    await act("POST", "/targets/register", { TargetGroupArn: group.arn, Targets: [target] });
    note(`${address(target)} is registered again.`);
  } catch (error) {
    note(error.message, "error");
  }
}

/** Takes a target out, when that is confirmed. */
export function askToDrain(group, it) {
  const key = address(it.Target);
  const open = it.OpenFlows ? plural(it.OpenFlows, "flow") : plural(it.OpenWebSockets ?? 0, "WebSocket");
  const settings = group.configuration().TargetGroups.find(known => known.TargetGroupArn === group.arn);
  const delay = settings?.Attributes?.["deregistration_delay.timeout_seconds"];
  confirm({
    title: `Drain ${key}?`,
    words: `It is deregistered from ${group.name()} and gets no new clients. What is open there now (${open}, ${plural(it.OutstandingRequests ?? 0, "request")}) has ${delay ? `the deregistration delay of ${delay} s` : "the deregistration delay"} to end.`,
    yes: "Drain",
    action: async () => {
      await act("POST", "/targets/deregister", { TargetGroupArn: group.arn, Targets: [it.Target] });
      note(`${key} drains.`);
    },
  });
}

/** Opens the sheet of a target; `now()` is its last description. */
export function openTarget(group, now) {
  const key = address(now().Target);
  const health = (state, done) => () => act("POST", "/targets/health", { TargetGroupArn: group.arn, Targets: [now().Target], State: state }).then(() => note(done));
  const choices = [
    ["Force healthy", "It gets requests whatever its health checks say.", health("healthy", `${key} is forced healthy.`)],
    ["Health by checks", "Ends what was forced: its health checks decide again.", health("auto", `The health checks of ${key} decide again.`)],
  ];
  openSheet(key, body => {
    const { Description: description, Reason: reason, State: state } = now().TargetHealth;
    body.append(element("p", {}, `${state} in ${group.name()}`, reason ? `: ${description ?? ""} (${reason})` : ""));
    if (state === "draining") body.append(choice("Register again", "It stays, and gets new requests.", async () => register(group, now().Target)));
    else body.append(choice("Drain …", "Deregisters it: no new requests; what is open has the deregistration delay.", null, () => askToDrain(group, now())));
    for (const [words, meaning, action] of choices) body.append(choice(words, meaning, action));
    const unhealthy = () => confirm({
      title: `Force ${key} unhealthy?`,
      words: "It gets no new requests, as if its health checks had failed. Health by checks ends it.",
      yes: "Force unhealthy",
      action: health("unhealthy", `${key} is forced unhealthy.`),
    });
    body.append(choice("Force unhealthy …", "No new requests, as if its health checks had failed; open WebSockets stay.", null, unhealthy));
  });
}

/** A button with what it means: `action` is done at once, `ask` asks in a dialog of its own. */
function choice(words, meaning, action, ask) {
  const button = element("button", { type: "button", class: "quiet" }, words);
  button.addEventListener("click", async () => {
    if (ask) {
      closeSheet();
      ask();
      return;
    }
    try {
      await action();
      closeSheet();
    } catch (error) {
      sheetError(error.message);
    }
  });
  return element("div", { class: "choice" }, button, element("p", { class: "muted" }, meaning));
}
