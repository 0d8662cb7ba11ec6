// The real socket.io-client: straight to a backend by each transport, and through TLS and the
// balancer with two backends, sticky and not.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { after, afterEach, before, test } from "node:test";

import { io } from "socket.io-client";

import { Site, eventually, get } from "./harness.js";

const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]];
const SECRET = "0123456789abcdef0123456789abcdef";

/** Pings and heartbeats as often as a busy machine can answer. */
const QUICK = {
  "socket-io": { "ping-interval": "300ms", "ping-timeout": "2s", "heartbeat-interval": "500ms" },
};

let site;
let quick;
const sockets = [];

before(async () => {
  const security = { required: true, jwt: { secret: SECRET, "clock-skew": "0s" } };
  [site, quick] = await Promise.all([
    Site.start({ stickiness: false, backend: { security } }),
    Site.start({ backend: QUICK }),
  ]);
});

afterEach(() => sockets.splice(0).forEach(socket => socket.close()));

after(async () => {
  await Promise.all([site?.stop(), quick?.stop()]);
});

/** A token that the backends of `site` accept. */
function token(claims = {}) {
  const part = value => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 600;
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: "ann", exp, ...claims })}`;
  return `${signed}.${crypto.createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** A client that answers heartbeats; what happened to it is in `errors` and `disconnects`. */
function open(url, options = {}) {
  const socket = io(`${url}/chat`, {
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    auth: { token: token() },
    ...options,
  });
  sockets.push(socket);
  socket.errors = [];
  socket.disconnects = [];
  socket.on("connect_error", error => socket.errors.push(error));
  socket.on("disconnect", reason => socket.disconnects.push(reason));
  socket.on("heartbeat", () => socket.emit("heartbeat", { timestamp: Date.now() }));
  return socket;
}

const connected = socket => eventually("a connection", () => socket.connected);

const direct = (instance = "b1", on = site) => `http://127.0.0.1:${on.backendPorts[instance]}`;

const transportOf = socket => socket.io.engine.transport.name;

for (const transports of TRANSPORTS) {
  const how = transports.join(" to ");

  test(`${how}: rooms, acknowledgements and binary data`, async () => {
    const [ann, bob] = [open(direct(), { transports }), open(direct(), { transports })];
    await Promise.all([connected(ann), connected(bob)]);
    const messages = [];
    bob.on("message", message => messages.push(message));
    for (const socket of [ann, bob]) {
      const joined = await socket.timeout(10_000).emitWithAck("joinRoom", { room: "general" });
      assert.deepEqual(joined, { status: "ok", room: "general" });
    }
    const sent = await ann.timeout(10_000).emitWithAck("message", { room: "general", text: "hé 😀" });
    assert.equal(sent.status, "ok");
    await eventually("the message", () => messages.length === 1);
    const [{ from, text, instance, id }] = messages;
    assert.deepEqual({ from, text, instance, id }, { from: "ann", text: "hé 😀", instance: "b1", id: ann.id });

    const files = [];
    bob.on("file", file => files.push(file));
    const data = crypto.randomBytes(100_000);
    const stored = await ann.timeout(10_000).emitWithAck("file", { room: "general", name: "a.bin", data });
    assert.deepEqual(stored, { status: "ok", size: data.length });
    await eventually("the file", () => files.length === 1);
    assert.ok(data.equals(files[0].data));

    await bob.timeout(10_000).emitWithAck("leaveRoom", "general");
    await ann.timeout(10_000).emitWithAck("message", { room: "general", text: "gone?" });
    await bob.timeout(10_000).emitWithAck("echo", 1);
    assert.equal(messages.length, 1);
  });

  test(`${how}: nothing is lost or reordered while transports change`, async () => {
    const socket = open(direct(), { transports });
    await connected(socket);
    const [sent, received, answers] = [600, [], []];
    socket.on("message", message => received.push(Number(message.text)));
    for (let number = 0; number < sent; number++) {
      socket.emit("message", String(number), () => answers.push(number));
      // Some go together, some alone, before, during and after the upgrade.
      if (number % 7 === 0) await new Promise(resolve => setTimeout(resolve, 2));
    }
    await eventually("all answers", () => answers.length === sent);
    const expected = Array.from({ length: sent }, (_, number) => number);
    assert.deepEqual(received, expected);
    assert.deepEqual(answers, expected);
    await eventually("the last transport", () => transportOf(socket) === transports.at(-1));
    assert.deepEqual(socket.disconnects, []);
  });
}

test("pings keep a session for many intervals on each transport", async () => {
  const clients = TRANSPORTS.map(transports => open(direct("b1", quick), { transports }));
  await Promise.all(clients.map(connected));
  await new Promise(resolve => setTimeout(resolve, 2_000));
  for (const client of clients) assert.deepEqual([client.connected, client.disconnects], [true, []]);
});

test("a namespace that does not exist, no token and a wrong one are connect errors", async () => {
  const unknown = io(`${direct()}/nope`, { forceNew: true, reconnection: false });
  sockets.push(unknown);
  const error = await new Promise(resolve => unknown.on("connect_error", resolve));
  assert.equal(error.message, "Invalid namespace");
  for (const auth of [{}, { token: "wrong" }, { token: token({ exp: 1 }) }]) {
    const refused = open(direct(), { auth });
    await eventually("a connect error", () => refused.errors.length > 0);
    assert.match(refused.errors[0].message, /token/);
    assert.equal(refused.active, false);
  }
});

test("a token that expires ends the membership", async () => {
  const exp = Math.floor(Date.now() / 1000) + 2;
  const socket = open(direct(), { transports: ["websocket"], auth: { token: token({ exp }) } });
  const exceptions = [];
  socket.on("exception", exception => exceptions.push(exception));
  await eventually("the end", () => socket.disconnects.length > 0 || socket.errors.length > 0);
  assert.deepEqual(socket.disconnects, ["io server disconnect"]);
  assert.match(exceptions[0].message, /expired/);
});

test("heartbeats come, and who leaves them unanswered is removed and comes back", async () => {
  const living = open(direct("b1", quick), { transports: ["websocket"] });
  const beats = [];
  living.on("heartbeat", beat => beats.push(beat.timestamp));
  const silent = open(direct("b1", quick), { transports: ["websocket"] });
  silent.off("heartbeat");
  await eventually("a removal", () => silent.disconnects.includes("transport close"));
  await connected(silent);
  await eventually("heartbeats", () => beats.length > 3 && Math.abs(Date.now() - beats.at(-1)) < 10_000);
  assert.deepEqual(living.disconnects, []);
  const metrics = (await get(`${direct("b1", quick)}/metrics`)).body;
  assert.match(metrics, /^socketio_stale_clients_total [1-9]/m);
  assert.match(metrics, /^socketio_heartbeats_answered_total [1-9]/m);
});

test("clients come back after a restart, and hear of it before", async () => {
  const clients = TRANSPORTS.map(transports => open(direct("b2", quick), { transports }));
  const notices = [];
  for (const client of clients) client.on("server.events", notice => notices.push(notice));
  await Promise.all(clients.map(connected));
  const ids = clients.map(client => client.id);
  quick.backends.b2.process.kill("SIGTERM");
  await quick.backends.b2.ended;
  await eventually("their end", () => clients.every(client => client.disconnects.length > 0));
  for (const client of clients) assert.match(client.disconnects[0], /^transport (close|error)$/);
  assert.equal(notices.length, clients.length);
  assert.equal(notices[0].reconnectInSeconds, 30);
  quick.startBackend("b2");
  await Promise.all(clients.map(connected));
  clients.forEach((client, index) => assert.notEqual(client.id, ids[index]));
});

test("a client leaves a server that is paused, and comes back", async () => {
  const clients = TRANSPORTS.map(transports => open(direct("b2", quick), { transports }));
  await Promise.all(clients.map(connected));
  quick.backends.b2.process.kill("SIGSTOP");
  try {
    await eventually("ping timeouts", () => clients.every(client => client.disconnects.length > 0));
  } finally {
    quick.backends.b2.process.kill("SIGCONT");
  }
  for (const client of clients) assert.equal(client.disconnects[0], "ping timeout");
  await Promise.all(clients.map(connected));
});

test("through the balancer with stickiness every transport works", async () => {
  for (const transports of TRANSPORTS) {
    const socket = open(`https://${quick.host}`, { transports, ca: quick.ca, withCredentials: true });
    await connected(socket);
    for (let number = 0; number < 20; number++) {
      assert.equal(await socket.timeout(10_000).emitWithAck("echo", number), number);
    }
    await eventually("the last transport", () => transportOf(socket) === transports.at(-1));
    assert.deepEqual([socket.disconnects, socket.errors], [[], []]);
  }
});

test("through the balancer without stickiness polling fails, and WebSocket does not", async () => {
  const url = `https://${site.host}`;
  const handshake = await get(`${url}/socket.io/?EIO=4&transport=polling`, { ca: site.ca });
  const { sid } = JSON.parse(handshake.body.slice(1));
  const next = () => get(`${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { ca: site.ca, timeout: 2_000 });
  const answer = await eventually("the other instance", async () => {
    const { status, body } = await next().catch(() => ({}));
    return status === 400 && body;
  });
  assert.deepEqual(JSON.parse(answer), { code: 1, message: "Session ID unknown" });

  const polling = open(url, { transports: ["polling"], ca: site.ca });
  await eventually("the error", () => polling.errors.length > 0 || polling.disconnects.length > 0);
  const failure = polling.errors[0]?.context?.status ?? polling.disconnects[0];
  assert.ok([400, "transport error"].includes(failure), String(failure));

  const socket = open(url, { transports: ["websocket"], ca: site.ca });
  await connected(socket);
  assert.equal(await socket.timeout(10_000).emitWithAck("echo", "x"), "x");
  assert.deepEqual([socket.disconnects, socket.errors], [[], []]);
});
