// What is not as the file says, because it was changed while running.

import { act } from "./actions.js";
import { confirm, note } from "./dialogs.js";
import { byId, element, list, shown, text } from "./dom.js";
import { target as address } from "./format.js";

const attributes = (owner, it) => it.Attributes.map(({ Key, Value }) => `${owner}: ${Key} = ${Value}`);

function all({ ForcedHealth: forced = [], Listeners: listeners = [], LoadBalancers: balancers = [], TargetGroups: groups = [], Targets: targets = [] }) {
  return [
    ...balancers.flatMap(it => attributes(it.LoadBalancerName, it)),
    ...listeners.flatMap(it => attributes(`${it.LoadBalancerName} listener :${it.Port}`, it)),
    ...groups.flatMap(it => attributes(it.TargetGroupName, it)),
    ...targets.flatMap(it => [
      ...it.Registered.map(one => `${it.TargetGroupName}: ${name(one)} registered`),
      ...it.Deregistered.map(one => `${it.TargetGroupName}: ${name(one)} deregistered`),
    ]),
    ...forced.map(it => `${it.TargetGroupName}: ${address(it.Target)} ${it.State.replace("albeit_forced_", "forced ")}`),
  ];
}

/** The port of a target by host name or load balancer may be that of the group. */
const name = target => (target.Port ? address(target) : target.Id);

export function configure({ Overrides: overrides = {} }) {
  const told = all(overrides);
  shown(byId("overrides-empty"), told.length === 0);
  shown(byId("overrides-undo"), told.length > 0);
  list(byId("overrides-list"), told, it => it, it => {
    const node = element("li", { class: "override" });
    text(node, it);
    return { node, update() {} };
  });
}

byId("overrides-undo").addEventListener("click", () =>
  confirm({
    title: "Undo all changes?",
    words: "Attributes, registered and deregistered targets and forced health are again as the file says, as it was loaded last. Faults that were switched on here end.",
    yes: "Undo all",
    action: async () => {
      await act("DELETE", "/overrides");
      note("The file is in force again.");
    },
  }),
);
