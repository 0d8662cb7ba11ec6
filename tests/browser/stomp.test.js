// The real @stomp/stompjs over ws, through TLS, the balancer and its stickiness.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Client } from "@stomp/stompjs";
import WebSocket from "ws";

import { Site, eventually } from "./harness.js";

let site;
const clients = [];

before(async () => {
  site = await Site.start();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.deactivate({ force: true })));
});

after(async () => {
  await site?.stop();
});

/** The cookie that binds to one backend, and that backend's name. */
async function bound() {
  const { status, headers, body } = await site.get("/whoami");
  assert.equal(status, 200);
  const cookie = headers["set-cookie"].find(line => line.startsWith("AWSALB=")).split(";")[0];
  return { cookie, instance: JSON.parse(body).instance };
}

/** A connected client; `frames` are the CONNECTED frames so far, `errors` the ERROR frames. */
async function connect(cookie, options = {}) {
  const frames = [];
  const errors = [];
  const cookies = [];
  const client = new Client({
    webSocketFactory: () => {
      const headers = cookie ? { Cookie: cookie } : {};
      const socket = new WebSocket(`wss://${site.host}/ws`, ["v12.stomp"], { ca: site.ca, headers });
      socket.on("upgrade", response => cookies.push(...(response.headers["set-cookie"] ?? [])));
      return socket;
    },
    reconnectDelay: 200,
    heartbeatIncoming: 1000,
    heartbeatOutgoing: 1000,
    onConnect: frame => frames.push(frame),
    onStompError: frame => errors.push(frame),
    ...options,
  });
  clients.push(client);
  client.activate();
  await eventually("CONNECTED", () => frames.length > 0);
  return { client, frames, errors, cookies };
}

function subscribe(client, destination) {
  const messages = [];
  client.subscribe(destination, message => messages.push(JSON.parse(message.body)));
  return messages;
}

/** Resolves once the server has confirmed everything sent before. */
function confirmed(client, destination, body) {
  return new Promise((resolve, reject) => {
    const receipt = `receipt-${Math.random()}`;
    const timer = setTimeout(() => reject(new Error("no RECEIPT")), 10_000);
    client.watchForReceipt(receipt, () => {
      clearTimeout(timer);
      resolve();
    });
    client.publish({ destination, body: JSON.stringify(body), headers: { receipt } });
  });
}

const instanceOf = frame => frame.headers.server.split(" ")[1];

test("the server speaks STOMP 1.2 and the 101 carries both cookies", async () => {
  const { frames, cookies } = await connect();
  assert.equal(frames[0].headers.version, "1.2");
  assert.match(instanceOf(frames[0]), /^b[12]$/);
  assert.deepEqual(cookies.map(cookie => cookie.split("=")[0]).sort(), ["AWSALB", "AWSALBCORS"]);
});

test("a cookie from a page binds the WebSocket to the same backend", async () => {
  for (let round = 0; round < 4; round++) {
    const { cookie, instance } = await bound();
    const { frames } = await connect(cookie);
    assert.equal(instanceOf(frames[0]), instance);
  }
});

test("what one client sends to a room, the other receives once", async () => {
  const { cookie, instance } = await bound();
  const [alice, bob] = [await connect(cookie), await connect(cookie)];
  const received = [subscribe(alice.client, "/topic/room.tea"), subscribe(bob.client, "/topic/room.tea")];
  // SUBSCRIBE and SEND of one connection are handled in order; the other one's are confirmed first.
  await confirmed(bob.client, "/app/room.other", { text: "ready", from: "bob" });
  await confirmed(alice.client, "/app/room.tea", { text: "kettle: on\n\\ \u{1fad6}", from: "alice" });
  await confirmed(alice.client, "/app/room.tea", { text: "second", from: "alice" });
  for (const messages of received) {
    await eventually("two messages", () => messages.length >= 2);
    assert.deepEqual(messages.map(message => message.text), ["kettle: on\n\\ \u{1fad6}", "second"]);
    assert.equal(messages[0].from, "alice");
    assert.equal(messages[0].room, "tea");
    assert.equal(messages[0].instance, instance);
  }
});

test("a bid reaches the auction's subscribers", async () => {
  const { cookie } = await bound();
  const { client } = await connect(cookie);
  const bids = subscribe(client, "/topic/auction.lot-7");
  await confirmed(client, "/app/bid.lot-7", { amount: 12.5, bidder: "carol" });
  await eventually("a bid", () => bids.length === 1);
  assert.equal(bids[0].auction, "lot-7");
  assert.equal(bids[0].amount, 12.5);
  assert.equal(bids[0].bidder, "carol");
});

test("large and many messages pass in order", async () => {
  const { cookie } = await bound();
  const { client } = await connect(cookie);
  const messages = subscribe(client, "/topic/room.load");
  const text = "x".repeat(30_000);
  for (let number = 0; number < 50; number++) {
    client.publish({ destination: "/app/room.load", body: JSON.stringify({ text: number + text, from: "load" }) });
  }
  await eventually("50 messages", () => messages.length === 50);
  assert.deepEqual(messages.map(message => message.text), Array.from({ length: 50 }, (_, number) => number + text));
});

test("heart-beats keep a quiet connection open", async () => {
  const { client, frames } = await connect();
  assert.notEqual(frames[0].headers["heart-beat"], "0,0");
  // The client closes a connection on which it misses heart-beats, and would then connect again.
  const quietSince = Date.now();
  await eventually("six quiet seconds", () => Date.now() - quietSince > 6000);
  assert.equal(frames.length, 1);
  assert.ok(client.connected);
});

test("a broken frame gets ERROR and the end of the connection", async () => {
  const { client, errors } = await connect(undefined, { reconnectDelay: 0 });
  client.publish({ destination: "/app/nowhere", body: "{}" });
  await eventually("ERROR", () => errors.length === 1);
  await eventually("the end", () => !client.connected);
});

// Last, because it takes a backend away.
test("a client of a killed backend connects again, to the other one", async () => {
  const { cookie, instance } = await bound();
  const { frames } = await connect(cookie);
  assert.equal(instanceOf(frames[0]), instance);
  await site.killBackend(instance);
  await eventually("a second CONNECTED", () => frames.length >= 2);
  assert.notEqual(instanceOf(frames.at(-1)), instance);
  site.startBackend(instance);
  await eventually("two healthy targets again", async () => (await site.healthy()).length === 2);
});
