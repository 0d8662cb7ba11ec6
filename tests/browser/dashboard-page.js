// A page with the dashboard, for tests: what it shows, and what went wrong in it.

import { eventually } from "./harness.js";

const DEADLINE = 20_000;

/** What browsers say of a server that is away is not a failure of the page. */
const NETWORK = /Failed to load resource|ERR_|net::/;

/** Opens the dashboard of `url` in a browser context with these options, and waits until it is live. */
export async function openDashboard(browser, url, { token, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(DEADLINE);
  if (token) await context.addInitScript(value => sessionStorage.setItem("albeit-admin-token", value), token);
  const page = await context.newPage();
  page.failures = [];
  page.on("pageerror", error => page.failures.push(error.message));
  page.on("console", message => {
    if (message.type() === "error" && !NETWORK.test(message.text())) page.failures.push(message.text());
  });
  await page.goto(url);
  await isLive(page);
  return page;
}

/** Waits until the stream has told the page what there is. */
export async function isLive(page) {
  try {
    await shows(page, "#stream", "live");
  } catch (error) {
    throw new Error(`${error.message}; it says ${await page.locator("#stream").innerText()}, failures: ${page.failures}`);
  }
}

/** Waits until an element says so. */
export function shows(page, selector, words) {
  return eventually(`"${words}" in ${selector}`, async () => (await page.locator(selector).first().innerText()).includes(words));
}

/** The row of a target. */
export const targetRow = (page, port) => page.locator("#groups tbody tr", { hasText: new RegExp(`:${port}(?! \\(before\\))`) });

/** Waits for a target's state. */
export function targetIs(page, port, state) {
  return eventually(`${port} ${state}`, async () => (await targetRow(page, port).locator(".state").innerText()) === state);
}

/** Whether something is wider than the window. */
export const overflows = page => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
