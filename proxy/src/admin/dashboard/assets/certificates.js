// Certificates and how long they are valid.

import { attribute, byId, element, list, shown, text } from "./dom.js";
import { count } from "./format.js";

const DAY = 86_400_000;
/** ACM warns 45 days before the end; the last week is urgent. */
const SOON = 45;
const URGENT = 7;

export function configure({ Certificates: certificates = [], Listeners: listeners }) {
  const daysLeft = it => Math.floor((Date.parse(it.NotAfter) - Date.now()) / DAY);
  const ending = certificates.filter(it => daysLeft(it) < SOON).length;
  text(byId("nav-certificates"), ending > 0 ? ending : "");
  attribute(byId("nav-certificates"), "data-tone", ending > 0 ? "warning" : null);
  shown(byId("certificates-empty"), certificates.length === 0);
  shown(byId("certificates-table"), certificates.length > 0);
  const rows = certificates.map(it => ({ ...it, left: daysLeft(it), shownBy: shownBy(it, listeners) }));
  list(byId("certificates-rows"), rows, it => it.CertificateArn, create);
}

function shownBy({ Listeners: own = [] }, listeners) {
  const ports = own.map(({ IsDefault, ListenerArn }) => {
    const listener = listeners.find(it => it.ListenerArn === ListenerArn);
    return listener && `${listener.Protocol} :${listener.Port}${IsDefault ? " (default)" : ""}`;
  });
  return ports.filter(Boolean).join(", ") || "none";
}

function create() {
  const name = element("th", { scope: "row" });
  const labels = ["For", "Valid until", "Days left", "Listeners"];
  const cells = labels.map(label => element("td", { "data-label": label, class: label === "Days left" ? "number" : null }));
  const left = element("span", { class: "status" });
  cells[2].append(left);
  return {
    node: element("tr", {}, name, ...cells),
    update(it) {
      text(name, it.Name ?? it.Subject ?? it.CertificateArn);
      text(cells[0], (it.SubjectAlternativeNames ?? [it.Subject]).filter(Boolean).join(", "));
      const end = new Date(it.NotAfter);
      text(cells[1], Number.isNaN(end.getTime()) ? "–" : end.toLocaleDateString("en-CA"));
      attribute(left, "data-tone", it.left < URGENT ? "error" : it.left < SOON ? "warning" : "good");
      text(left, it.left < 0 ? "expired" : count(it.left));
      text(cells[3], it.shownBy);
    },
  };
}
