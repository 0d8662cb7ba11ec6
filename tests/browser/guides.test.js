// The front ends of docs/guides in Chromium, from an origin of their own, through the balancer and
// Redis: each test has a tab at each of two instances.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launchChromium } from "./chromium.js";
import { Site, eventually } from "./harness.js";
import { Redis, noRedis } from "./redis.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const GUIDES = fileURLToPath(new URL("../../docs/guides/", import.meta.url));
const MODULES = fileURLToPath(new URL("node_modules/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };
const WAYS = [
  ["by WebSocket", true],
  ["by HTTP alone", false],
];
const DEADLINE = 20_000;

let redis;
let site;
let pages;
let browser;
const contexts = [];

/**
 * What a web server for static files would do. By HTTPS, as everywhere: pages and service are of one
 * site then, and cookies between them are none of a third party.
 */
async function servePages() {
  const [cert, key] = ["localhost.pem", "localhost-key.pem"].map(file =>
    readFileSync(path.join(site.directory, "certs", file)),
  );
  const server = https.createServer({ cert, key }, (request, response) => {
    const { pathname } = new URL(request.url, "https://localhost");
    const file = path.join(GUIDES, pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    try {
      const text = readFileSync(file);
      response.writeHead(200, { "Content-Type": TYPES[path.extname(file)] ?? "text/plain" }).end(text);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "localhost");
  await once(server, "listening");
  return server;
}

function token(user, claims = {}) {
  const part = value => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 600;
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user, exp, ...claims })}`;
  return `${signed}.${crypto.createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** Runs in the page, whose network then lets no WebSocket through. */
function blockWebSockets() {
  window.WebSocket = class extends window.WebSocket {
    constructor() {
      super("wss://localhost:1");
    }
  };
}

/** A tab with a guide's page, bound to an instance; `failures` are the errors that nobody caught. */
async function open(guide, instance, { webSockets = true } = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  contexts.push(context);
  context.setDefaultTimeout(DEADLINE);
  // The libraries of jsDelivr as npm has installed them: a test has no network.
  await context.route("https://cdn.jsdelivr.net/npm/**", route => {
    const file = new URL(route.request().url()).pathname.slice("/npm/".length);
    return route.fulfill({ path: path.join(MODULES, file.replace(/(?<=.)@[\d.]+/, "")) });
  });
  if (!webSockets) await context.addInitScript(blockWebSockets);
  await eventually(`a cookie of ${instance}`, async () => {
    const answer = await context.request.get(`https://${site.host}/whoami`);
    if ((await answer.json()).instance === instance) return true;
    await context.clearCookies();
    return false;
  });
  const tab = await context.newPage();
  tab.failures = [];
  tab.on("pageerror", error => tab.failures.push(error));
  const service = `https://${site.host}${guide === "auction" ? "/ws" : ""}`;
  const { port } = pages.address();
  await tab.goto(`https://localhost:${port}/${guide}/?url=${encodeURIComponent(service)}`);
  return tab;
}

async function signIn(tab, user, claims) {
  await tab.locator("#token").fill(token(user, claims));
  await tab.locator("#login button").click();
}

/** Runs in the page: `states` are those that the page shows from now on. */
function recordStates() {
  window.states = [];
  const status = document.getElementById("status");
  new MutationObserver(() => window.states.push(status.textContent)).observe(status, { childList: true });
}

const text = (tab, selector) => tab.locator(selector).innerText();
const state = (tab, expected) => eventually(expected, async () => (await text(tab, "#status")) === expected);
const lines = (tab, list, line) => tab.locator(`${list} li`, { hasText: line }).count();
const heard = (tab, list, line) => eventually(`${line} in ${list}`, async () => (await lines(tab, list, line)) === 1);

/** Ann at b1 and bob at b2. */
async function annAndBob(guide, options) {
  const tabs = [await open(guide, "b1", options), await open(guide, "b2", options)];
  await signIn(tabs[0], "ann");
  await signIn(tabs[1], "bob");
  for (const tab of tabs) await state(tab, "connected");
  return tabs;
}

/** Fills the fields, and submits the form with the button in it. */
async function submit(tab, form, fields) {
  for (const [field, value] of Object.entries(fields)) await tab.locator(field).fill(value);
  await tab.locator(`${form} button`).click();
}

/** Each says something in turn until the other has heard it: the relay has both again. */
async function talk(speak, list, tabs, what) {
  for (const [index, tab] of tabs.entries()) {
    const line = `${what} ${index}`;
    await speak(tab, line);
    for (const listener of tabs) await heard(listener, list, line);
  }
}

const noFailures = tabs => assert.deepEqual(tabs.flatMap(tab => tab.failures), []);

describe("guides", { skip: noRedis }, () => {
  before(async () => {
    redis = await Redis.start();
    const environment = { REDIS_PORT: String(redis.port), JWT_SECRET: SECRET, RECONNECT_IN: "1s" };
    site = await Site.start({ backend: path.join(GUIDES, "application.yml"), environment });
    [pages, browser] = await Promise.all([servePages(), launchChromium()]);
  });

  afterEach(async () => {
    await Promise.all(contexts.splice(0).map(context => context.close()));
    await site?.restartEnded();
  });

  after(async () => {
    await browser?.close();
    pages?.close();
    await site?.stop();
    await redis?.stop();
  });

  for (const [how, webSockets] of WAYS) {
    test(`auction ${how}: bids, rooms and private messages between two instances`, async () => {
      const [ann, bob] = await annAndBob("auction", { webSockets });
      await submit(ann, "#bid-form", { "#amount": "20" });
      for (const tab of [ann, bob]) await heard(tab, "#bids", "ann: 20");
      await submit(bob, "#bid-form", { "#amount": "20.5" });
      for (const tab of [ann, bob]) {
        await heard(tab, "#bids", "bob: 20.5");
        assert.equal(await text(tab, "#highest"), "20.5 by bob");
      }
      await submit(bob, "#bid-form", { "#amount": "0" });
      await eventually("a refusal", async () => (await text(bob, "#bid-error")) === "amount must be above zero");
      assert.equal(await text(ann, "#bid-error"), "");

      await talk((tab, line) => submit(tab, "#chat-form", { "#chat-text": line }), "#chat", [ann, bob], "going");
      await submit(ann, "#private-form", { "#private-to": "bob", "#private-text": "<b>psst</b>" });
      await heard(bob, "#private", "ann: <b>psst</b>");
      assert.equal(await lines(ann, "#private", ""), 0);
      noFailures([ann, bob]);
    });

    test(`chat ${how}: rooms, files and heartbeats between two instances`, async () => {
      const [ann, bob] = await annAndBob("chat", { webSockets });
      await heard(ann, "#messages", "bob joined");
      for (const tab of [ann, bob]) {
        const expected = webSockets ? "websocket" : "polling";
        assert.equal(await text(tab, "#transport"), expected);
      }
      await talk((tab, line) => submit(tab, "#message-form", { "#text": line }), "#messages", [ann, bob], "hello");
      await ann.locator("#file").setInputFiles({ name: "a.bin", mimeType: "text/plain", buffer: Buffer.alloc(5000) });
      await heard(bob, "#messages", "ann sent a.bin (5000 bytes)");
      await heard(ann, "#messages", "you sent a.bin");
      await bob.close();
      await heard(ann, "#messages", "bob left");
      noFailures([ann]);
    });
  }

  for (const guide of ["auction", "chat"]) {
    test(`${guide}: who has no good token is told so, and may sign in again`, async () => {
      const tab = await open(guide, "b1");
      await signIn(tab, "ann", { exp: 1 });
      await eventually("a reason", async () => /token/.test(await text(tab, "#banner")));
      await state(tab, "signed out");
      await signIn(tab, "ann");
      await state(tab, "connected");
      await eventually("no banner", () => tab.locator("#banner").isHidden());
      noFailures([tab]);
    });
  }

  const GUIDES_SPEAK = {
    auction: ["#chat", (tab, line) => submit(tab, "#chat-form", { "#chat-text": line })],
    chat: ["#messages", (tab, line) => submit(tab, "#message-form", { "#text": line })],
  };

  for (const [guide, [list, speak]] of Object.entries(GUIDES_SPEAK)) {
    for (const [how, webSockets] of WAYS) {
      test(`${guide} ${how}: when an instance is killed, its client moves and both talk on`, async () => {
        const tabs = await annAndBob(guide, { webSockets });
        await talk(speak, list, tabs, "before");
        await site.killBackend("b1");
        await state(tabs[0], "reconnecting");
        await state(tabs[0], "connected");
        assert.equal(await text(tabs[1], "#status"), "connected");
        await talk(speak, list, tabs, "moved");
        await site.restartEnded();
        await site.killBackend("b2");
        for (const tab of tabs) await state(tab, "reconnecting");
        for (const tab of tabs) await state(tab, "connected");
        await talk(speak, list, tabs, "moved again");
        noFailures(tabs);
      });
    }

    test(`${guide}: a drained instance says so, and its client moves`, async () => {
      const tabs = await annAndBob(guide);
      const told = tabs[0].locator("#banner", { hasText: "Server maintenance" }).waitFor();
      site.backends.b1.process.kill("SIGTERM");
      await told;
      await state(tabs[0], "reconnecting");
      await site.backends.b1.ended;
      await state(tabs[0], "connected");
      await talk(speak, list, tabs, "moved");
      noFailures(tabs);
    });
  }

  test("auction: a restart of Redis leads nobody to reconnect", async () => {
    const tabs = await annAndBob("auction");
    const [list, speak] = GUIDES_SPEAK.auction;
    await talk(speak, list, tabs, "before");
    for (const tab of tabs) await tab.evaluate(recordStates);
    await redis.kill();
    await site.relayConnected(0);
    await speak(tabs[0], "alone");
    await heard(tabs[0], list, "alone");
    await redis.launch();
    await site.relayConnected(1);
    await talk(speak, list, tabs, "after");
    for (const tab of tabs) {
      assert.deepEqual(await tab.evaluate(() => window.states), []);
      assert.ok(await tab.locator("#banner").isHidden());
    }
    noFailures(tabs);
  });
});
