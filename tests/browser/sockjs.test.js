// The real sockjs-client under @stomp/stompjs: in Node straight to a backend, in Chromium through
// TLS, the balancer and its stickiness, with two backends.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Client } from "@stomp/stompjs";
import SockJS from "sockjs-client";

import { launchChromium } from "./chromium.js";
import { Site, eventually } from "./harness.js";

const module = file => fileURLToPath(new URL(`node_modules/${file}`, import.meta.url));
const SOCKJS_JS = module("sockjs-client/dist/sockjs.min.js");
const STOMP_JS = module("@stomp/stompjs/bundles/stomp.umd.min.js");

const IN_NODE = ["websocket", "xhr-streaming", "eventsource", "xhr-polling"];
const IN_CHROMIUM = [
  ...IN_NODE,
  "htmlfile",
  "jsonp-polling",
  "iframe-eventsource",
  "iframe-htmlfile",
  "iframe-xhr-polling",
];

let site;
let browser;
const clients = [];

before(async () => {
  site = await Site.start();
  browser = await launchChromium();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.deactivate()));
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

/** A connected client; `frames` are its CONNECTED frames, `sockets` what it opened. */
async function connect(transport, options = {}) {
  const frames = [];
  const sockets = [];
  const client = new Client({
    webSocketFactory: () => {
      const socket = new SockJS(`http://127.0.0.1:${site.backendPorts.b1}/ws`, null, { transports: [transport] });
      sockets.push(socket);
      return socket;
    },
    reconnectDelay: 200,
    onConnect: frame => frames.push(frame),
    ...options,
  });
  clients.push(client);
  client.activate();
  await eventually(`CONNECTED by ${transport}`, () => frames.length > 0);
  assert.equal(sockets.at(-1).transport, transport);
  return { client, frames, sockets };
}

for (const transport of IN_NODE) {
  test(`${transport}: messages pass in order, whatever is in them`, async () => {
    const { client } = await connect(transport);
    const heard = [];
    client.subscribe(`/topic/room.${transport}`, message => heard.push(JSON.parse(message.body).text));
    const texts = [
      "plain",
      "quotes \" and \\ and \n and \u0001\u200c\u2028\u2029\ufff0 and \u{1fad6}",
      "x".repeat(30_000),
      ...Array.from({ length: 100 }, (_, number) => `number ${number}`),
    ];
    for (const text of texts) {
      client.publish({ destination: `/app/room.${transport}`, body: JSON.stringify({ text, from: "node" }) });
    }
    await eventually("every message", () => heard.length >= texts.length);
    assert.deepEqual(heard, texts);
  });

  test(`${transport}: heart-beats flow both ways`, async () => {
    const { client, frames } = await connect(transport, { heartbeatIncoming: 500, heartbeatOutgoing: 500 });
    // Whoever misses heart-beats closes, and the client would connect again.
    const quietSince = Date.now();
    await eventually("three quiet seconds", () => Date.now() - quietSince > 3000);
    assert.equal(frames.length, 1);
    assert.ok(client.connected);
  });

  test(`${transport}: DISCONNECT ends the session in order`, async () => {
    const closes = [];
    const { client } = await connect(transport, { onWebSocketClose: close => closes.push(close) });
    await client.deactivate();
    await eventually("a close", () => closes.length === 1);
    assert.deepEqual([closes[0].code, closes[0].wasClean], [1000, true]);
  });
}

/** Runs in the page: one round trip over a transport. Resolves with what came of it. */
async function roundTrip({ transport, texts }) {
  const { Client } = window.StompJs;
  const heard = [];
  let socket;
  const client = new Client({
    webSocketFactory: () => (socket = new window.SockJS("/ws", null, { transports: [transport] })),
    reconnectDelay: 0,
  });
  const instance = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${transport}: nothing heard, but ${JSON.stringify(heard)}`)), 20_000);
    client.onWebSocketClose = close => reject(new Error(`${transport}: closed with ${close.code} ${close.reason}`));
    client.onConnect = frame => {
      const destination = `room.${transport}`;
      client.subscribe(`/topic/${destination}`, message => {
        heard.push(JSON.parse(message.body).text);
        if (heard.length === texts.length) resolve(frame.headers.server.split(" ")[1]);
      });
      for (const text of texts) {
        client.publish({ destination: `/app/${destination}`, body: JSON.stringify({ text, from: "page" }) });
      }
    };
    client.activate();
  });
  const used = socket.transport;
  client.onWebSocketClose = () => {};
  await client.deactivate();
  return { instance, heard, used };
}

/** A page of the site that has both libraries, and the instance that its cookie leads to. */
async function page(context) {
  // What iframe.html loads, from a network that a test does not have.
  await context.route("https://cdn.jsdelivr.net/**", route => route.fulfill({ path: SOCKJS_JS }));
  const tab = await context.newPage();
  const response = await tab.goto(`https://${site.host}/whoami`);
  const { instance } = await response.json();
  await tab.addScriptTag({ path: SOCKJS_JS });
  await tab.addScriptTag({ path: STOMP_JS });
  return { tab, instance };
}

for (const transport of IN_CHROMIUM) {
  test(`${transport} through the balancer stays with its backend`, async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    try {
      const { tab, instance } = await page(context);
      const texts = ["</script><b>", "quotes \" \\ \u2028 \u{1fad6}", ...Array.from({ length: 10 }, (_, n) => `${n}`)];
      const outcome = await tab.evaluate(roundTrip, { transport, texts });
      assert.deepEqual(outcome, { instance, heard: texts, used: transport });
      const names = (await context.cookies()).map(cookie => cookie.name).sort();
      assert.deepEqual(names.slice(0, 2), ["AWSALB", "AWSALBCORS"]);
    } finally {
      await context.close();
    }
  });
}
