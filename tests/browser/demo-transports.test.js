// The demo page's tabs for SockJS and Socket.IO in Chromium, transport by transport,
// through a balancer with sticky sessions.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launchChromium } from "./chromium.js";
import { Site, eventually } from "./harness.js";

const DEADLINE = 20_000;
const LIBRARY = fileURLToPath(new URL("../../backend/assets/sockjs.min.js", import.meta.url));

// In milliseconds; the default is longer than a test should take.
process.env.WEBSOCKET_HEARTBEAT_INTERVAL = "500";

let site;
let browser;
let context;
let page;

before(async () => {
  site = await Site.start();
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

afterEach(async () => {
  await context?.close();
});

const text = selector => page.locator(selector).innerText();
const shows = (selector, expected) =>
  eventually(`${expected} in ${selector}`, async () => (await text(selector)) === expected);

async function open(tab) {
  context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(DEADLINE);
  // The library that iframes load, as Spring has it: from a network that tests do not need.
  await context.route("https://cdn.jsdelivr.net/**", route => route.fulfill({ path: LIBRARY }));
  page = await context.newPage();
  page.failures = [];
  page.on("pageerror", error => page.failures.push(error));
  await page.goto(`https://${site.host}/#${tab}`);
  await shows("#state", "connected");
}

/** Says something in a tab, and hears it there. */
async function talk(tab, words) {
  await page.locator(`#${tab}-text`).fill(words);
  await page.locator(`#${tab}-send`).click();
  const heard = page.locator(`#${tab}-messages li`, { hasText: words });
  await eventually(`${words} over ${tab}`, async () => (await heard.count()) === 1);
}

test("SockJS talks by every transport that is chosen", async () => {
  await open("sockjs");
  const options = await page.locator("#sockjs-transport option").evaluateAll(all => all.map(option => option.value));
  assert.ok(options.length >= 8);
  for (const transport of options) {
    await page.locator("#sockjs-transport").selectOption(transport);
    await page.locator("#sockjs-connect").click();
    await shows("#sockjs-state", "connected");
    assert.equal(await text("#sockjs-used"), transport || "websocket");
    assert.equal(await text("#sockjs-instance"), await text("#instance"), "the cookie leads both to one backend");
    await talk("sockjs", `by <${transport}>`);
    await page.locator("#sockjs-connect").click();
    await shows("#sockjs-state", "disconnected");
  }
  assert.deepEqual(page.failures, []);
});

test("Socket.IO talks by every choice of transports", async () => {
  await open("socketio");
  for (const [transports, used] of [
    ["polling,websocket", "websocket"],
    ["websocket,polling", "websocket"],
    ["websocket", "websocket"],
    ["polling", "polling"],
  ]) {
    await page.locator("#socketio-transports").selectOption(transports);
    await page.locator("#socketio-connect").click();
    await shows("#socketio-state", "connected");
    await shows("#socketio-used", used);
    await talk("socketio", `by <${transports}>`);
    await page.locator("#socketio-connect").click();
    await shows("#socketio-state", "disconnected");
  }
  assert.deepEqual(page.failures, []);
});

test("the heartbeat of the server is shown", async () => {
  await open("socketio");
  await page.locator("#socketio-connect").click();
  await eventually("a heartbeat", async () => (await text("#socketio-heartbeat")) !== "–");
});
