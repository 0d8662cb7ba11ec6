// Rooms and an auction with STOMP over a WebSocket.

import { add, element, instanceOf, me, onSubmit, sendTimed, showError, showState } from "/assets/demo-page.js";

const PROBE_INTERVAL = 5000;
const HISTORY = "20";

let room = element("room").value;
let roomSubscriptions = [];
let presenceChanged = () => {};
let heard = null;
let attempts = 0;
let highest = 0;

const client = new StompJs.Client({
  brokerURL: location.origin.replace(/^http/, "ws") + "/ws",
  reconnectDelay: 1000,
  heartbeatIncoming: 10000,
  heartbeatOutgoing: 10000,
});

function show(state) {
  showState("state", state);
  for (const id of ["send", "bid"]) element(id).disabled = state !== "connected";
  showCookie();
}

// Shortened: the sealed value says nothing to people. HttpOnly cookies stay unseen.
function showCookie() {
  const found = document.cookie.match(/(?:^|;\s*)AWSALB=([^;]*)/);
  element("cookie").textContent = found ? found[1].slice(0, 12) + "…" : "none";
}

// What was said before comes once, not again after a reconnect.
function enterRoom() {
  for (const subscription of roomSubscriptions) subscription.unsubscribe();
  const headers = heard === room ? {} : { history: HISTORY };
  heard = room;
  const said = frame => {
    const message = JSON.parse(frame.body);
    add("messages", `${message.from}: ${message.text}`, "via " + message.instance);
  };
  roomSubscriptions = [
    client.subscribe("/topic/presence.room." + room, frame => presenceChanged(JSON.parse(frame.body))),
    client.subscribe("/topic/room." + room, said, headers),
  ];
}

function bidden(frame) {
  const { bidder, amount, instance } = JSON.parse(frame.body);
  if (amount > highest) {
    highest = amount;
    element("highest").textContent = `${amount} by ${bidder}`;
  }
  add("bids", `${bidder}: ${amount}`, "via " + instance);
}

function probe() {
  if (!client.connected) return;
  // Nobody listens to this room: the receipt alone is wanted.
  sendTimed(client, "/app/room.probe-" + me, { text: "ping", from: me }, "latency");
  showCookie();
}

client.beforeConnect = () => {
  element("reconnects").textContent = String(attempts++);
  show("connecting");
};
client.onConnect = frame => {
  element("instance").textContent = instanceOf(frame);
  roomSubscriptions = [];
  enterRoom();
  client.subscribe("/topic/auction.demo", bidden, attempts > 1 ? {} : { history: HISTORY });
  client.subscribe("/topic/server.events", event => add("messages", JSON.parse(event.body).message, "server"));
  show("connected");
  probe();
};
client.onWebSocketClose = () => show("disconnected");
client.onStompError = frame => add("messages", frame.headers.message, frame.body);

onSubmit("form", () => {
  if (!client.connected) return;
  const text = element("text");
  sendTimed(client, "/app/room." + room, { text: text.value, from: me }, "latency");
  text.value = "";
});
element("room").addEventListener("change", event => {
  if (!event.target.reportValidity() || event.target.value === room) return;
  room = event.target.value;
  if (client.connected) enterRoom();
});
onSubmit("bidding", () => {
  if (!client.connected) return;
  const amount = Number(element("amount").value);
  const low = amount <= highest;
  showError("bid-error", low ? `A bid must be above ${highest}.` : null);
  if (!low) sendTimed(client, "/app/bid.demo", { amount, bidder: me }, "latency");
});

export const currentRoom = () => room;

/** Calls `callback` with each change of who is in the room. */
export function onPresence(callback) {
  presenceChanged = callback;
}

/** Connects, and stays connected. */
export function start() {
  setInterval(probe, PROBE_INTERVAL);
  client.activate();
}
