// STOMP over SockJS, with a transport chosen by hand.

import { add, element, instanceOf, me, onSubmit, sendTimed, showState } from "/assets/demo-page.js";

let client = null;

function show(state) {
  showState("sockjs-state", state);
  element("sockjs-send").disabled = state !== "connected";
  const on = state !== "disconnected";
  element("sockjs-connect").textContent = on ? "Disconnect" : "Connect";
  element("sockjs-connect").setAttribute("aria-pressed", String(on));
  element("sockjs-transport").disabled = on;
  if (!on) element("sockjs-used").textContent = "–";
}

function connect(transport) {
  let socket;
  const fresh = new StompJs.Client({
    webSocketFactory: () => (socket = new SockJS("/ws", null, transport ? { transports: transport } : {})),
    reconnectDelay: 0,
    heartbeatIncoming: 10000,
    heartbeatOutgoing: 10000,
  });
  fresh.onConnect = frame => {
    element("sockjs-used").textContent = socket.transport;
    element("sockjs-instance").textContent = instanceOf(frame);
    fresh.subscribe("/topic/room.general", message => {
      const { from, text, instance } = JSON.parse(message.body);
      add("sockjs-messages", `${from}: ${text}`, "via " + instance);
    });
    show("connected");
  };
  fresh.onStompError = frame => add("sockjs-messages", frame.headers.message, frame.body);
  fresh.onWebSocketClose = event => {
    // A session that was given up may end after the next one began.
    if (fresh !== client) return;
    add("sockjs-messages", "session closed", `${event.code} ${event.reason}`);
    client = null;
    show("disconnected");
  };
  return fresh;
}

export function start() {
  onSubmit("sockjs-form", () => {
    if (client) {
      client.deactivate();
      return;
    }
    client = connect(element("sockjs-transport").value);
    show("connecting");
    client.activate();
  });
  onSubmit("sockjs-say", () => {
    if (!client?.connected) return;
    const text = element("sockjs-text");
    sendTimed(client, "/app/room.general", { text: text.value, from: me }, "sockjs-latency");
    text.value = "";
  });
}
