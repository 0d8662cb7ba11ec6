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

test("a lower bid is refused by the page, a higher one shown to all", async () => {
  const [first, second] = await twoTabs();
  for (const tab of [first, second]) await tab.locator("#tab-auction").click();
  await first.locator("#amount").fill("20");
  await first.locator("#bid").click();
  await eventually("the bid", async () => /^20 by guest-/.test(await text(second, "#highest")));
  await second.locator("#amount").fill("19.5");
  await second.locator("#bid").click();
  assert.equal(await text(second, "#bid-error"), "A bid must be above 20.");
  await second.locator("#amount").fill("20.5");
  await second.locator("#bid").click();
  await eventually("the higher bid", async () => /^20\.5 by /.test(await text(first, "#highest")));
  assert.ok(await second.locator("#bid-error").isHidden());
});

test("presence shows who is in the room, as they come and go", async () => {
  const [first, second] = await twoTabs();
  await first.locator("#room").fill("lobby");
  await first.locator("#room").press("Tab");
  await first.locator("#tab-presence").click();
  const sessions = count =>
    eventually(`${count} sessions`, async () => (await text(first, "#presence-sessions")) === String(count));
  await sessions(1);
  await second.locator("#room").fill("lobby");
  await second.locator("#room").press("Tab");
  await sessions(2);
  assert.match(await text(first, "#presence-instances tr"), /^b[12]\s+2\s/);
  await second.close();
  await sessions(1);
});

test("history is read page by page, and as text only", async () => {
  const [first] = await twoTabs();
  await first.locator("#room").fill("past");
  await first.locator("#room").press("Tab");
  await first.evaluate(() => {
    for (let number = 1; number <= 25; number++) {
      document.getElementById("text").value = `<b>word</b> ${number}`;
      document.getElementById("form").requestSubmit();
    }
  });
  await heard(first, "<b>word</b> 25");
  await first.locator("#tab-history").click();
  await eventually("a page", async () => (await first.locator("#past-messages tr").count()) === 20);
  assert.match(await text(first, "#past-messages tr:first-child"), /<b>word<\/b> 25/);
  await first.locator("#earlier").click();
  await eventually("the page before", async () => (await first.locator("#past-messages tr").count()) === 25);
  assert.match(await text(first, "#past-messages tr:last-child"), /<b>word<\/b> 1\b/);
  assert.ok(await first.locator("#earlier").isDisabled());
  await first.locator("#past-kind").selectOption("auctions");
  await first.locator("#past-id").fill("quiet");
  await first.locator("#past button").click();
  await eventually("an empty page", async () => (await text(first, "#past-note")) === "Nothing was said.");
});

test("tabs are worked by keyboard and named in the address", async () => {
  const [first] = await twoTabs();
  await first.locator("#tab-rooms").focus();
  const open = async () => {
    const shown = await first.locator("[role=tabpanel]:visible").evaluateAll(panels => panels.map(panel => panel.id));
    assert.deepEqual(shown, [new URL(first.url()).hash.slice(1)]);
    const selected = first.locator("[role=tab][aria-selected=true]");
    assert.equal(await selected.getAttribute("aria-controls"), shown[0]);
    assert.ok(await selected.evaluate(tab => tab === document.activeElement));
    return shown[0];
  };
  for (const [key, expected] of [["ArrowRight", "auction"], ["ArrowRight", "presence"], ["End", "socketio"], ["ArrowRight", "rooms"], ["ArrowLeft", "socketio"], ["Home", "rooms"]]) {
    await first.keyboard.press(key);
    assert.equal(await open(), expected, key);
  }
  await first.goto(`https://${site.host}/#history`);
  await eventually("the tab of the address", () => first.locator("#history").isVisible());
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
