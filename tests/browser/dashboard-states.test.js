// The dashboard in Chromium in states that real processes reach slowly or not at all; see dashboard-mock.js.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./chromium.js";
import { Mock } from "./dashboard-mock.js";
import { isLive, openDashboard, overflows, shows } from "./dashboard-page.js";
import { eventually } from "./harness.js";

let browser;
let mock;
let page;

before(async () => {
  browser = await launchChromium();
});

afterEach(async () => {
  await page?.context().close();
  await mock?.stop();
});

after(async () => {
  await browser?.close();
});

async function dashboard(options, browserOptions) {
  mock = await Mock.start(options);
  page = await openDashboard(browser, mock.url, browserOptions);
}

const rows = () => page.locator("#connections-rows tr");
const scheme = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

test("10,000 WebSockets are shown page by page, the one that is cut soonest first", async () => {
  await dashboard({ connections: 10_000 });
  await shows(page, "#connections-count", "10,000 WebSockets");
  assert.equal(await rows().count(), 50);
  const left = await page.locator("#connections-rows progress").evaluateAll(all => all.map(it => it.value));
  assert.ok(left.every((value, index) => index === 0 || value >= left[index - 1] - 0.1), String(left));
  assert.ok(await page.locator("#connections-before").isDisabled());
  await page.locator("#connections-after").click();
  await shows(page, "#connections-page", "51–100 of 10,000");
  await page.locator("#connections-after").click();
  await shows(page, "#connections-page", "101–150 of 10,000");
  await page.locator("#connections-before").click();
  await shows(page, "#connections-page", "51–100 of 10,000");
  await page.locator("#connections-filter [name=Target]").selectOption("10.0.1.17:8080");
  await shows(page, "#connections-page", "1–50 of 5,000");
  assert.equal(await rows().count(), 50);
  assert.ok(!(await overflows(page)));
  assert.deepEqual(page.failures, []);
});

test("a request that is both in the list and in the stream counts once", async () => {
  await dashboard({});
  const Meaning = { Title: "The target answered 500", Text: "Look into its log.", Severity: "error" };
  mock.request({ Meaning });
  await shows(page, "#nav-requests", "1");
  mock.send("request", mock.requests[0]);
  mock.request({ Meaning });
  await eventually("two errors", async () => (await page.locator("#requests-rows tr").count()) === 2);
  assert.equal(await page.locator("#nav-requests").textContent(), "2");
});

test("what is kept of requests is bounded, and rows stay while others come", async () => {
  await dashboard({});
  mock.request({ Request: "GET https://shop.example:443/first HTTP/1.1" });
  await shows(page, "#requests-rows", "/first");
  const first = page.locator("#requests-rows tr", { hasText: "/first" });
  await first.evaluate(row => (row.marked = true));
  mock.request({});
  await eventually("two rows", async () => (await page.locator("#requests-rows tr").count()) === 2);
  assert.ok(await first.evaluate(row => row.marked));
  for (let number = 0; number < 3000; number++) mock.request({});
  mock.send("request", { Skipped: 12 });
  await shows(page, "#requests-note", "12 not shown");
  await eventually("a hundred rows", async () => (await page.locator("#requests-rows tr").count()) === 100);
});

test("a paused log stands still and tells how many are new; errors can be picked out", async () => {
  await dashboard({});
  mock.request({});
  await shows(page, "#requests-rows", "GET /");
  await page.locator("#requests-pause").click();
  mock.request({ ElbStatusCode: 502, TargetStatusCode: null, Meaning: { Title: "The target closed the connection", Text: "Why.", Severity: "error" } });
  await shows(page, "#requests-note", "paused, 1 new");
  assert.equal(await page.locator("#requests-rows tr").count(), 1);
  await page.locator("#requests-pause").click();
  await eventually("both", async () => (await page.locator("#requests-rows tr").count()) === 2);
  await page.locator("#requests-errors").check();
  assert.equal(await page.locator("#requests-rows tr").count(), 1);
  await shows(page, "#requests-rows", "The target closed the connection");
  await shows(page, "#nav-requests", "1");
});

test("whatever a request carries is text, also in the head of the sheet", async () => {
  await dashboard({});
  const markup = "<img src=x onerror=window.harmed=true>";
  const texts = ["Request", "UserAgent", "Target", "TargetGroup", "ErrorReason", "TraceId", "Line"];
  const Meaning = { Title: markup, Text: markup, More: markup, Severity: "error" };
  mock.request({ ...Object.fromEntries(texts.map(name => [name, `GET /${markup}`])), Meaning });
  await shows(page, "#requests-rows", markup);
  await page.locator("#requests-rows button").click();
  await shows(page, "#sheet-title", markup);
  assert.equal(await page.locator("main img, dialog img").count(), 0);
  assert.equal(await page.evaluate(() => window.harmed), undefined);
});

test("nothing configured and nothing open are said in words", async () => {
  await dashboard({ empty: true });
  const visible = ["balancers", "groups", "connections", "requests", "findings", "certificates", "overrides"];
  for (const part of visible) await eventually(`words for no ${part}`, () => page.locator(`#${part}-empty`).isVisible());
  assert.deepEqual(page.failures, []);
});

test("a refused action is told in the words of the API, where it was asked", async () => {
  const words = "The target '10.0.1.17' is not registered with the target group";
  await dashboard({ refuse: words });
  await page.getByRole("button", { name: "Drain 10.0.1.17:8080" }).click();
  await page.locator("#confirm-yes").click();
  await shows(page, "#confirm-error", `ValidationError: ${words}`);
  await page.keyboard.press("Escape");
  await page.locator("#reload").click();
  await shows(page, "#toasts", words);
});

test("a stream that falls silent is noticed, though the connection stays", async () => {
  await dashboard({});
  clearInterval(mock.timer);
  await shows(page, "#stale", "No data from the load balancer since");
  await shows(page, "#stream", "reconnecting");
  mock.tick();
  await shows(page, "#stream", "live");
});

test("all of it is reached and worked by keyboard", async () => {
  await dashboard({ connections: 60 });
  mock.request({});
  await shows(page, "#requests-rows", "GET /");
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to content");
  await page.keyboard.press("Enter");
  const reached = [];
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press("Tab");
    reached.push(await focused());
    if (reached.at(-1) === "GET /") break;
  }
  for (const name of ["Register target: websocket-tg", "Faults: websocket-tg", "Drain 10.0.1.17:8080", "More actions for 10.0.2.31:8080", "Attributes of shop-alb", "Open connections", "Next", "Pause", "GET /"]) {
    assert.ok(reached.includes(name), `${name} in ${reached}`);
  }
  await page.keyboard.press("Enter");
  await eventually("the sheet", () => page.locator("#sheet").isVisible());
  await page.keyboard.press("Escape");
  assert.equal(await focused(), "GET /");
  await page.getByRole("button", { name: "More actions for 10.0.1.17:8080" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Force unhealthy …" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("#confirm-yes").focus();
  await page.keyboard.press("Enter");
  await shows(page, "#toasts", "10.0.1.17:8080 is forced unhealthy.");
  assert.deepEqual(mock.acted.at(-1).body.State, "unhealthy");
});

test("dark and light follow the system until one is chosen, which is kept", async () => {
  await dashboard({}, { colorScheme: "dark" });
  const dark = await scheme();
  await page.emulateMedia({ colorScheme: "light" });
  const light = await scheme();
  assert.notEqual(dark, light);
  const button = page.getByRole("button", { name: /^Theme/ });
  await button.click();
  await button.click();
  assert.equal(await button.innerText(), "Dark");
  assert.equal(await scheme(), dark);
  await page.reload();
  await isLive(page);
  assert.equal(await scheme(), dark);
});
