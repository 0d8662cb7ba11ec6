// The Socket.IO namespace /chat: transports, rooms, and the heartbeat of the server.

import { add, element, me, onSubmit, showState } from "/assets/demo-page.js";

let socket = null;
let joined = null;

function show(state) {
  showState("socketio-state", state);
  element("socketio-send").disabled = state !== "connected";
  const on = state !== "disconnected";
  element("socketio-connect").textContent = on ? "Disconnect" : "Connect";
  element("socketio-connect").setAttribute("aria-pressed", String(on));
  for (const id of ["socketio-transports", "socketio-token"]) element(id).disabled = on;
}

function showTransport() {
  element("socketio-used").textContent = socket?.io.engine?.transport?.name ?? "–";
}

function enterRoom() {
  const room = element("socketio-room").value;
  if (joined && joined !== room) socket.emit("leaveRoom", { room: joined });
  joined = room;
  socket.emit("joinRoom", { room });
}

function connect() {
  const token = element("socketio-token").value;
  const fresh = io("/chat", {
    transports: element("socketio-transports").value.split(","),
    auth: token ? { token } : {},
    withCredentials: true,
    forceNew: true,
  });
  fresh.on("connect", () => {
    element("socketio-id").textContent = fresh.id;
    fresh.io.engine.on("upgrade", showTransport);
    showTransport();
    joined = null;
    enterRoom();
    show("connected");
  });
  fresh.on("connect_error", error => add("socketio-messages", "not connected", error.message));
  fresh.on("disconnect", reason => {
    add("socketio-messages", "disconnected", reason);
    show(fresh.active ? "connecting" : "disconnected");
    showTransport();
  });
  fresh.io.on("reconnect", attempt => {
    const reconnects = element("socketio-reconnects");
    reconnects.textContent = String(Number(reconnects.textContent) + 1);
    add("socketio-messages", "reconnected", `attempt ${attempt}`);
  });
  // The server counts on the answer.
  fresh.on("heartbeat", ({ timestamp }) => {
    element("socketio-heartbeat").textContent = new Date(timestamp).toLocaleTimeString();
    fresh.emit("heartbeat", { timestamp });
  });
  fresh.on("message", ({ from, text, instance }) => add("socketio-messages", `${from}: ${text}`, "via " + instance));
  fresh.on("userJoined", ({ user, id, room }) => add("socketio-messages", `${user ?? id} entered ${room}`, ""));
  fresh.on("userLeft", ({ user, id, room }) => add("socketio-messages", `${user ?? id} left ${room}`, ""));
  fresh.on("exception", error => add("socketio-messages", "refused", error?.message ?? JSON.stringify(error)));
  return fresh;
}

export function start() {
  onSubmit("socketio-form", () => {
    if (socket) {
      socket.disconnect();
      socket = null;
      showTransport();
      show("disconnected");
      return;
    }
    show("connecting");
    socket = connect();
  });
  onSubmit("socketio-say", () => {
    if (!socket?.connected) return;
    const text = element("socketio-text");
    socket.emit("message", { room: joined, text: text.value, from: me });
    text.value = "";
  });
  element("socketio-room").addEventListener("change", event => {
    if (socket?.connected && event.target.reportValidity()) enterRoom();
  });
}
