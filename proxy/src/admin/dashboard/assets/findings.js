// What the doctor says of the configuration in force.

import { attribute, byId, element, list, shown, text } from "./dom.js";

const ORDER = ["error", "warning", "info"];

export function configure({ Findings: findings = [] }) {
  const sorted = findings.toSorted((one, other) => ORDER.indexOf(one.Severity) - ORDER.indexOf(other.Severity));
  const serious = findings.filter(it => it.Severity !== "info").length;
  text(byId("nav-findings"), findings.length > 0 ? findings.length : "");
  attribute(byId("nav-findings"), "data-tone", serious > 0 ? "warning" : null);
  shown(byId("findings-empty"), findings.length === 0);
  list(byId("findings-list"), sorted, it => JSON.stringify(it), create);
}

/** A finding that changes is another one: a row is made once. */
function create(it) {
  const settings = (it.Settings ?? []).map(setting => element("li", {}, element("code", {}, `${setting.Key} = ${setting.Value}`), ` ${place(setting)}`));
  const node = element(
    "li", { class: "finding", "data-severity": it.Severity },
    element("h3", {}, element("span", { class: "severity" }, it.Severity), ` ${it.Title ?? it.Code}`),
    element("p", {}, element("strong", {}, it.Subject ?? ""), it.Subject && it.Problem ? ": " : "", it.Problem ?? ""),
    settings.length > 0 && element("ul", { class: "places" }, ...settings),
    it.Symptom && element("p", {}, element("span", { class: "muted" }, "You see: "), it.Symptom),
    it.Fix && element("p", {}, element("span", { class: "muted" }, "Fix: "), it.Fix),
    it.Page && element("p", { class: "muted" }, "More: ", element("code", {}, it.Page)),
  );
  return { node, update() {} };
}

function place({ DefaultOf: owner, File: file, Line: line, MeasuredAt: measured }) {
  if (file) return line ? `${file}:${line}` : file;
  if (owner) return `default of ${owner}`;
  return measured ? `measured at ${measured}` : "";
}
