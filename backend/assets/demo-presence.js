// Who is in the room, on which instance: GET /rooms/{id}/presence, read again when it changes.

import { add, element, showError } from "/assets/demo-page.js";
import { currentRoom, onPresence } from "/assets/demo-stomp.js";
import { onOpen } from "/assets/demo-tabs.js";

function row({ instance, sessions, anonymous, users }) {
  const names = users.map(user => (user.sessions > 1 ? `${user.name} (${user.sessions})` : user.name));
  const line = document.createElement("tr");
  for (const text of [instance, sessions, names.join(", "), anonymous]) line.insertCell().textContent = text;
  return line;
}

async function read() {
  try {
    const response = await fetch(`/rooms/${encodeURIComponent(currentRoom())}/presence`);
    const report = await response.json();
    if (!response.ok) throw new Error(report.error);
    element("presence-room").textContent = currentRoom();
    element("presence-sessions").textContent = report.sessions;
    element("presence-instances").replaceChildren(...report.instances.map(row));
    showError("presence-error", null);
  } catch (error) {
    showError("presence-error", error.message);
  }
}

export function start() {
  onOpen("presence", read);
  onPresence(({ sessions, joined, left }) => {
    for (const { name, instance } of joined) add("presence-changes", `${name} came`, "to " + instance);
    for (const { name, instance } of left) add("presence-changes", `${name} left`, instance);
    add("presence-changes", `${sessions} here`, new Date().toLocaleTimeString());
    read();
  });
}
