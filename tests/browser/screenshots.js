// Makes docs/images/dashboard*.png: the dashboard of a balancer that has work, in front of two backends
// and a service that now and then closes a connection without an answer.
//
//   node screenshots.js [DIRECTORY]

import { once } from "node:events";
import { mkdirSync, statSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

import WebSocket from "ws";

import { launchChromium } from "./chromium.js";
import { openDashboard, shows } from "./dashboard-page.js";
import { Site, eventually, freePort } from "./harness.js";

const IMAGES = process.argv[2] ?? fileURLToPath(new URL("../../docs/images/", import.meta.url));
const SOCKETS = 40;
const BROWSERS = 8;
const PACE = 40;
const SILENT = 50;
/** So that lines have a shape. */
const WARM_UP = 75_000;
const LARGEST = 300_000;
const SETTLE = 1500;

const SHOTS = [
  { name: "dashboard", viewport: { width: 1704, height: 1010 }, colorScheme: "light" },
  { name: "dashboard-dark", viewport: { width: 1704, height: 1010 }, colorScheme: "dark" },
  { name: "dashboard-phone", viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 2 },
];

const pause = time => new Promise(resolve => setTimeout(resolve, time));
const PATHS = ["/whoami", "/api/orders?page=2", "/actuator/health", "/api/orders", "/nothing-here"];
/** Of so many requests the service leaves one without an answer. */
const BROKEN = 23;

function orders(port) {
  let number = 0;
  const server = http.createServer((request, response) => {
    number += 1;
    if (request.url === "/health") response.end();
    else if (number % BROKEN === 0) request.socket.destroy();
    else setTimeout(() => response.end("[]"), number % 60);
  });
  server.listen(port, "127.0.0.1");
  return server;
}

/** Paths below /api go to the service. */
function withOrders(port) {
  return file => {
    file.target_groups.push({
      name: "orders-tg",
      protocol: "HTTP",
      port: 80,
      health_check: { path: "/health", interval: "30s", timeout: "25s" },
      attributes: { "load_balancing.algorithm.type": "least_outstanding_requests" },
      targets: [{ id: "127.0.0.1", port }],
    });
    const [{ listeners }] = file.load_balancers;
    listeners[0].rules = [
      { priority: 10, conditions: [{ path_pattern: ["/api/*"] }], actions: [{ forward: { target_group: "orders-tg" } }] },
      { priority: 20, conditions: [{ host_header: ["old.example.com"] }], actions: [{ redirect: { host: "shop.example.com", status_code: "HTTP_301" } }] },
    ];
  };
}

/** Requests of a few browsers, some with a cookie, faster and slower in turns; and WebSockets that speak now and then. */
async function work(site, ending) {
  const cookies = await Promise.all(Array.from({ length: BROWSERS }, async () => (await site.get("/whoami")).headers["set-cookie"][0].split(";")[0]));
  const sockets = [];
  const open = cookie => {
    const headers = { cookie };
    const socket = new WebSocket(`wss://${site.host}/echo`, { ca: site.ca, headers });
    socket.on("error", () => {});
    sockets.push(socket);
  };
  for (let number = 0; number < SOCKETS; number++) open(cookies[number % BROWSERS]);
  for (let number = 0; !ending(); number++) {
    const cookie = number % 4 === 0 ? undefined : cookies[number % BROWSERS];
    site.get(PATHS[number % PATHS.length], cookie ? { cookie } : {}).catch(() => {});
    const socket = sockets[(number * 7) % SOCKETS];
    if (number % 9 === 0 && socket.readyState === WebSocket.OPEN) socket.send("tick ".repeat(1 + (number % 50)));
    // These never say anything, and are cut after a minute.
    if (number % SILENT === 0) open(cookies[number % BROWSERS]);
    await pause(PACE * (1.3 + Math.sin(number / 120)));
  }
  for (const socket of sockets) socket.terminate();
}

const port = await freePort();
const site = await Site.start({ adjust: withOrders(port) });
const service = orders(port);
const browser = await launchChromium();
let ended = false;
try {
  mkdirSync(IMAGES, { recursive: true });
  const working = work(site, () => ended);
  const pages = [];
  for (const { name, ...options } of SHOTS) pages.push({ name, page: await openDashboard(browser, site.admin, options) });
  await pause(WARM_UP);
  const [{ page }] = pages;
  await page.getByRole("button", { name: `Drain 127.0.0.1:${site.backendPorts.b2}` }).click();
  await page.locator("#confirm-yes").click();
  await shows(page, "#groups", "draining");
  await eventually("no note", async () => (await page.locator("#toasts p").count()) === 0);
  for (const shot of pages) {
    await shot.page.bringToFront();
    await pause(SETTLE);
    const file = path.join(IMAGES, `${shot.name}.png`);
    await shot.page.screenshot({ path: file });
    const { size } = statSync(file);
    console.log(`${file}: ${Math.round(size / 1000)} kB`);
    if (size > LARGEST) throw new Error(`${file} is too large`);
  }
  ended = true;
  await working;
} finally {
  ended = true;
  await browser.close();
  await site.stop();
  service.close();
  service.closeAllConnections();
  await once(service, "close");
}
