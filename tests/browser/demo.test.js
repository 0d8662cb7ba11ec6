// The demo page in Chromium: two tabs, one balancer, two backends.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./chromium.js";
import { Site, eventually } from "./harness.js";

const DEADLINE = 20_000;

let site;
let browser;
let context;

before(async () => {
  site = await Site.start();
  browser = await launchChromium();
});

afterEach(async () => {
  await context?.close();
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Two connected tabs of one browser; they share the cookie and so the backend. */
async function twoTabs() {
  context = await browser.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(DEADLINE);
  const tabs = [];
  for (let number = 0; number < 2; number++) {
    const tab = await context.newPage();
    tab.failures = [];
    tab.on("pageerror", error => tab.failures.push(error));
    await tab.goto(`https://${site.host}/`);
    await connected(tab);
    tabs.push(tab);
  }
  return tabs;
}

const text = (tab, selector) => tab.locator(selector).innerText();

function connected(tab) {
  return eventually("a connected tab", async () => (await text(tab, "#state")) === "connected");
}

async function say(tab, words) {
  await tab.locator("#text").fill(words);
  await tab.locator("#send").click();
}

const heard = (tab, words) =>
  eventually(`${words} in the list`, async () => (await tab.locator("#messages li", { hasText: words }).count()) === 1);

test("a message typed in one tab appears in the other", async () => {
  const [first, second] = await twoTabs();
  await say(first, "hello from the first tab");
  await heard(second, "hello from the first tab");
  await say(second, "and back");
  await heard(first, "and back");
  assert.deepEqual([...first.failures, ...second.failures], []);
});

test("both tabs show their instance, the cookie and the round trip", async () => {
  const tabs = await twoTabs();
  const instances = [];
  for (const tab of tabs) {
    instances.push(await text(tab, "#instance"));
    const shown = await text(tab, "#cookie");
    const cookies = await context.cookies();
    const names = cookies.map(cookie => cookie.name).sort();
    assert.deepEqual(names, ["AWSALB", "AWSALBCORS"]);
    assert.ok(shown.length > 4 && shown !== "none", shown);
    await eventually("a round trip time", async () => /^\d+(\.\d+)? ms$/.test(await text(tab, "#latency")));
  }
  assert.match(instances[0], /^b[12]$/);
  assert.equal(instances[0], instances[1]);
});

test("text of a message is never taken for markup", async () => {
  const [first, second] = await twoTabs();
  const words = "<img src=x onerror=window.harmed=true>";
  await say(first, words);
  await heard(second, words);
  assert.equal(await second.locator("#messages img").count(), 0);
  assert.equal(await second.evaluate(() => window.harmed), undefined);
});

// Last, because it takes a backend away.
test("when their backend is killed, the tabs reconnect to the other one and talk on", async () => {
  const [first, second] = await twoTabs();
  const instance = await text(first, "#instance");
  await site.killBackend(instance);
  for (const tab of [first, second]) {
    const moved = async () => (await text(tab, "#instance")) !== instance && (await text(tab, "#state")) === "connected";
    await eventually("a tab at the other backend", moved);
    assert.ok(Number(await text(tab, "#reconnects")) >= 1);
  }
  await say(first, "we moved");
  await heard(second, "we moved");
});
