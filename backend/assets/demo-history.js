// What was said before: GET /rooms/{id}/messages, page by page.

import { element, onSubmit, showError } from "/assets/demo-page.js";
import { onOpen } from "/assets/demo-tabs.js";

const PAGE = 20;
const PARTS = { rooms: "messages", auctions: "bids" };

let oldest = null;

function row({ timestamp, payload, payloadBase64 }) {
  const cells = [
    new Date(timestamp).toLocaleTimeString(),
    payload?.from ?? payload?.bidder ?? "",
    String(payload?.text ?? payload?.amount ?? payload ?? payloadBase64),
    payload?.instance ?? "",
  ];
  const line = document.createElement("tr");
  for (const text of cells) line.insertCell().textContent = text;
  return line;
}

async function read(before) {
  const kind = element("past-kind").value;
  const url = new URL(`/${kind}/${encodeURIComponent(element("past-id").value)}/${PARTS[kind]}`, location.origin);
  url.searchParams.set("limit", PAGE);
  if (before) url.searchParams.set("before", before);
  const response = await fetch(url);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function load(before) {
  try {
    const page = await read(before);
    const list = element("past-messages");
    if (!before) list.replaceChildren();
    // The newest is on top.
    list.append(...page.toReversed().map(row));
    oldest = page[0]?.id ?? oldest;
    element("earlier").disabled = page.length < PAGE;
    element("past-note").textContent = list.children.length === 0 ? "Nothing was said." : `${list.children.length} read`;
    showError("past-error", null);
  } catch (error) {
    showError("past-error", error.message);
  }
}

export function start() {
  onSubmit("past", () => load(null));
  element("earlier").addEventListener("click", () => load(oldest));
  onOpen("history", () => {
    element("past-id").value = element("past-kind").value === "rooms" ? element("room").value : "demo";
    load(null);
  });
  element("past-kind").addEventListener("change", event => {
    element("past-id").value = event.target.value === "rooms" ? element("room").value : "demo";
    load(null);
  });
}
