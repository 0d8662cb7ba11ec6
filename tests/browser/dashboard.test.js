// The dashboard in Chromium, on the admin port of a balancer with two backends.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import WebSocket from "ws";

import { launchChromium } from "./chromium.js";
import { isLive, openDashboard, overflows, shows, targetIs, targetRow } from "./dashboard-page.js";
import { Site, eventually } from "./harness.js";

const TOKEN = "open-sesame";

let site;
let browser;
let page;
const sockets = [];

before(async () => {
  const adjust = file => {
    file.admin.token = TOKEN;
    // What the doctor finds something to say of.
    file.target_groups[0].targets_declare = { keep_alive_timeout: "20s" };
  };
  site = await Site.start({ adjust });
  browser = await launchChromium();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await page?.context().close();
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

const dashboard = async options => (page = await openDashboard(browser, site.admin, { token: TOKEN, ...options }));

/** A WebSocket through the balancer, at the backend with this port if one is given. */
async function connect(cookie) {
  const socket = new WebSocket(`wss://${site.host}/echo`, { ca: site.ca, headers: cookie ? { cookie } : {} });
  sockets.push(socket);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

const confirm = () => page.locator("#confirm-yes").click();

async function undoAll() {
  await page.locator("#overrides-undo").click();
  await confirm();
  await eventually("nothing that was changed", () => page.locator("#overrides-empty").isVisible());
}

test("every part of the page is there and filled", async () => {
  await connect();
  await dashboard();
  await shows(page, "#phase", "ready");
  await shows(page, "#load-balancers h3", "browser-alb");
  await shows(page, "#load-balancers tbody", "forward to websocket-tg");
  await shows(page, "#target-groups h3", "websocket-tg");
  assert.equal(await page.locator("#groups tbody tr").count(), 2);
  for (const port of Object.values(site.backendPorts)) await targetIs(page, port, "healthy");
  await shows(page, "#figure-websockets", "1");
  await eventually("the WebSocket", async () => (await page.locator("#connections-rows tr").count()) === 1);
  await site.get("/whoami?seen=here");
  await shows(page, "#requests-rows", "GET /whoami?seen=here");
  await shows(page, "#certificates-rows", "localhost");
  assert.match(await page.locator("#certificates-rows .status").innerText(), /^\d+$/);
  await shows(page, "#findings-list", "docs/findings/keep-alive-race.md");
  await shows(page, "#nav-findings", "1");
  assert.match(await page.title(), /browser-alb/);
  assert.deepEqual(page.failures, []);
});

test("a rule's hits and the distribution of requests are counted as they come", async () => {
  await dashboard();
  const hits = async () => Number((await page.locator("#load-balancers tbody tr td:nth-child(4)").innerText()).replace(",", ""));
  const before = await hits();
  const cookie = await site.cookieOf("b1");
  for (let number = 0; number < 20; number++) await site.get("/whoami", { cookie });
  await eventually("twenty more hits", async () => (await hits()) >= before + 20);
  const share = targetRow(page, site.backendPorts.b1).locator(".share");
  await eventually("a share by cookie", async () => /^\d+ % · [1-9]\d* % sticky$/.test(await share.innerText()));
});

test("the countdown of a WebSocket runs, and begins again when it speaks", async () => {
  const socket = await connect();
  await dashboard();
  const left = page.locator("#connections-rows tr td .figure").first();
  const seconds = async () => {
    const [first, second = "0"] = (await left.innerText()).match(/[\d.]+/g);
    return (await left.innerText()).includes("min") ? 60 * Number(first) + Number(second) : Number(first);
  };
  // 600 s divided by the time scale.
  await eventually("a countdown that runs", async () => (await seconds()) <= 56);
  socket.send("still here");
  await eventually("a countdown that began again", async () => (await seconds()) > 56);
  const progress = page.locator("#connections-rows progress").first();
  assert.ok(Math.abs(Number(await progress.getAttribute("max")) - 60) < 0.1);
});

test("connections are filtered by target and client", async () => {
  const cookie = await site.cookieOf("b2");
  await connect(cookie);
  await dashboard();
  const rows = page.locator("#connections-rows tr");
  await eventually("the WebSocket", async () => (await rows.count()) === 1);
  await page.locator("#connections-filter [name=Target]").selectOption(`127.0.0.1:${site.backendPorts.b1}`);
  await shows(page, "#connections-empty", "No WebSocket that the filter lets through.");
  await page.locator("#connections-filter [name=Target]").selectOption(`127.0.0.1:${site.backendPorts.b2}`);
  await eventually("the WebSocket again", async () => (await rows.count()) === 1);
  await page.locator("#connections-filter [name=Client]").fill("nonsense");
  await page.keyboard.press("Enter");
  await shows(page, "#connections-error", "'Client' value 'nonsense' must be an IP address");
  await page.locator("#connections-filter [name=Client]").fill("127.0.0.1");
  await page.keyboard.press("Enter");
  await eventually("the WebSocket of that client", async () => (await page.locator("#connections-error").isHidden()) && (await rows.count()) === 1);
});

test("a target is drained from the page: it counts down, and undoing brings it back", async () => {
  await connect(await site.cookieOf("b1"));
  await dashboard();
  const row = targetRow(page, site.backendPorts.b1);
  await shows(page, "#figure-websockets", "1");
  await row.getByRole("button", { name: "Drain" }).click();
  await shows(page, "#confirm-text", "1 WebSocket");
  await confirm();
  await targetIs(page, site.backendPorts.b1, "draining");
  const left = async () => Number((await row.locator(".why").innerText()).match(/^([\d.]+) s left$/)?.[1]);
  const first = await eventually("seconds left", left);
  await eventually("fewer seconds left", async () => (await left()) < first);
  assert.ok(await row.locator("progress").isVisible());
  await shows(page, "#overrides-list", `127.0.0.1:${site.backendPorts.b1} deregistered`);
  await undoAll();
  await targetIs(page, site.backendPorts.b1, "healthy");
  assert.deepEqual(page.failures, []);
});

test("targets are registered again from their row, and by address", async () => {
  await dashboard();
  const { b1 } = site.backendPorts;
  await targetRow(page, b1).getByRole("button", { name: "Drain" }).click();
  await confirm();
  await targetIs(page, b1, "draining");
  await targetRow(page, b1).getByRole("button", { name: "Register" }).click();
  await targetIs(page, b1, "healthy");
  await page.getByRole("button", { name: "Register target: websocket-tg" }).click();
  await page.locator("#sheet [name=Id]").fill("127.0.0.2");
  await page.locator("#sheet [name=Port]").fill("1");
  await page.keyboard.press("Enter");
  await shows(page, "#toasts", "127.0.0.2 is registered");
  await eventually("a third target", () => page.locator("#groups tbody th", { hasText: "127.0.0.2:1" }).isVisible());
  await undoAll();
});

test("health is forced from the page, and left to the checks again", async () => {
  await dashboard();
  const { b2 } = site.backendPorts;
  const more = targetRow(page, b2).getByRole("button", { name: "More" });
  await more.click();
  await page.getByRole("button", { name: "Force unhealthy" }).click();
  await confirm();
  await targetIs(page, b2, "unhealthy");
  await shows(page, "#overrides-list", "forced unhealthy");
  await more.click();
  await page.getByRole("button", { name: "Health by checks" }).click();
  await targetIs(page, b2, "healthy");
});

test("a shorter idle timeout that is set on the page cuts a silent WebSocket", async () => {
  await dashboard();
  await page.getByRole("button", { name: "Attributes of browser-alb" }).click();
  await page.locator("#sheet [name='idle_timeout.timeout_seconds']").fill("40");
  await page.getByRole("button", { name: "Change idle_timeout.timeout_seconds" }).click();
  await shows(page, "#toasts", "idle_timeout.timeout_seconds is 40.");
  await page.keyboard.press("Escape");
  const socket = await connect();
  const closed = new Promise(resolve => socket.once("close", resolve));
  await eventually("its row", async () => (await page.locator("#connections-rows tr").count()) === 1);
  await closed;
  await eventually("no row", async () => (await page.locator("#connections-rows tr").count()) === 0);
  await eventually("an entry that tells of the idle timeout", async () => /idle timeout/i.test(await page.locator("#requests-rows tr", { hasText: "GET /echo" }).first().innerText()));
  await undoAll();
});

test("a fault that is switched on stands at the head of the page, and its answers in the log with their meaning", async () => {
  await dashboard();
  await page.getByRole("button", { name: "Faults: websocket-tg" }).click();
  const fault = page.locator("#sheet form", { hasText: "albeit.fault.abort.percent" });
  await fault.getByRole("button", { name: "Switch on" }).click();
  await shows(page, "#sheet form:has-text('albeit.fault.abort.percent') h3", "ON");
  await page.keyboard.press("Escape");
  await shows(page, "#faults-on", "FAULT ON: websocket-tg (abort)");
  assert.equal((await site.get("/whoami")).status, 503);
  const row = page.locator("#requests-rows tr[data-severity]:has-text('503')").first();
  await eventually("503 in the log", () => row.isVisible());
  await row.locator("button").click();
  await shows(page, "#sheet-body", "AlbeitFaultAbort");
  assert.notEqual(await page.locator("#sheet .meaning-box").innerText(), "");
  await page.keyboard.press("Escape");
  await undoAll();
  await eventually("no fault", () => page.locator("#faults-on").isHidden());
  assert.equal((await site.get("/whoami")).status, 200);
});

test("what is out of range is refused in the words of the API", async () => {
  await dashboard();
  await page.getByRole("button", { name: "Settings: websocket-tg" }).click();
  await page.locator("#sheet [name='deregistration_delay.timeout_seconds']").fill("9999");
  await page.getByRole("button", { name: "Change deregistration_delay.timeout_seconds" }).click();
  await shows(page, "#sheet-error", "ValidationError: 'deregistration_delay.timeout_seconds' value '9999' must be between '0-3600' inclusive");
  const sticky = page.getByRole("switch");
  assert.equal(await sticky.getAttribute("aria-checked"), "true");
  await sticky.click();
  await eventually("no stickiness", async () => (await sticky.getAttribute("aria-checked")) === "false");
  await page.keyboard.press("Escape");
  await shows(page, "#target-groups", "not sticky");
  await undoAll();
});

test("the token is asked for, a wrong one is refused, the right one kept for the tab", async () => {
  await dashboard({ token: undefined });
  await page.locator("#reload").click();
  await page.locator("#token-value").fill("wrong");
  await page.keyboard.press("Enter");
  await shows(page, "#token-error", "the bearer token is wrong");
  await page.locator("#token-value").fill(TOKEN);
  await page.keyboard.press("Enter");
  await shows(page, "#toasts", "The configuration was read again.");
  await page.locator("#reload").click();
  await eventually("a second note", async () => (await page.locator("#toasts p").count()) === 2);
  await page.reload();
  await isLive(page);
  await page.locator("#reload").click();
  await shows(page, "#toasts", "The configuration was read again.");
});

test("hostile names in requests are text", async () => {
  await dashboard();
  const markup = "<img src=x onerror=window.harmed=true><script>window.harmed=true</script>";
  await site.get("/'onerror=window.harmed=true", { "user-agent": markup });
  const row = page.locator("#requests-rows tr", { hasText: "onerror" }).first();
  await eventually("the request", () => row.isVisible());
  await row.locator("button").click();
  await shows(page, "#sheet-body", markup);
  assert.equal(await page.locator("main img, dialog img, dialog script").count(), 0);
  assert.equal(await page.evaluate(() => window.harmed), undefined);
  assert.deepEqual(page.failures, []);
});

test("a phone shows all of it without scrolling sideways", async () => {
  await connect();
  await site.get(`/${"long".repeat(200)}`);
  for (const width of [390, 360]) {
    await dashboard({ viewport: { width, height: 844 }, isMobile: true, hasTouch: true });
    await eventually("rows", async () => (await page.locator("#connections-rows tr").count()) > 0);
    assert.ok(!(await overflows(page)), `${width} px`);
    await page.getByRole("button", { name: "Faults: websocket-tg" }).click();
    assert.ok(!(await overflows(page)), `${width} px with a sheet`);
    await page.context().close();
  }
});

// These take a process away, and come last.

test("a backend that is killed becomes unhealthy and healthy again without a reload", async () => {
  await dashboard();
  await page.evaluate(() => (window.sameDocument = true));
  const port = site.backendPorts.b2;
  await site.killBackend("b2");
  await targetIs(page, port, "unhealthy");
  await eventually("a reason", async () => (await targetRow(page, port).locator(".why").innerText()).includes("Target."));
  await shows(page, "#groups .title-line", "1 of 2 targets healthy");
  await site.restartEnded();
  await targetIs(page, port, "healthy");
  assert.equal(await page.evaluate(() => window.sameDocument), true);
});

test("the page finds the balancer again after a restart, and says how old it is meanwhile", async () => {
  await dashboard();
  await site.albeit.kill();
  await shows(page, "#stream", "reconnecting");
  await shows(page, "#stale", "No data from the load balancer since");
  site.startBalancer();
  await shows(page, "#stream", "live");
  await eventually("no banner", () => page.locator("#stale").isHidden());
  await shows(page, "#toasts", "started anew");
  await site.get("/whoami?after=restart");
  await shows(page, "#requests-rows", "GET /whoami?after=restart");
});
