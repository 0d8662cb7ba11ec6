// The reports of albeit-load in Chromium: what a reader finds there, on a screen and on a phone, and
// that they need nothing but themselves.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { launchChromium } from "./chromium.js";

const WORKSPACE = fileURLToPath(new URL("../../", import.meta.url));
const FIXTURES = path.join(WORKSPACE, "tests/load/fixtures");
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(WORKSPACE, "target");
const LOAD = process.env.ALBEIT_LOAD_BIN ?? path.join(TARGET, "debug", "albeit-load");
const SCREEN = { width: 1100, height: 900 };
const PHONE = { width: 390, height: 844 };

let directory;
let browser;

const fixture = name => path.join(FIXTURES, `${name}.json`);

/** Writes a page; resolves with its URL. */
function write(name, ...args) {
  const file = path.join(directory, `${name}.html`);
  const run = spawnSync(LOAD, [...args, "--html", file], { encoding: "utf8" });
  // The fixtures have a failure on purpose.
  assert.equal(run.status, 1, run.stderr);
  return pathToFileURL(file).href;
}

/** Opens a page and looks at it; fails on a word in the console and on any request. */
async function look(url, viewport, colorScheme, at) {
  const context = await browser.newContext({ viewport, colorScheme });
  try {
    const page = await context.newPage();
    const seen = [];
    page.on("console", message => seen.push(message.text()));
    page.on("pageerror", error => seen.push(error.message));
    page.on("request", request => request.url() === url || seen.push(request.url()));
    await page.goto(url);
    await at(page);
    assert.deepEqual(seen, []);
  } finally {
    await context.close();
  }
}

/** Labels of drawings that lie upon each other. */
function overlaps() {
  const found = [];
  for (const svg of document.querySelectorAll("svg")) {
    const labels = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
    labels.forEach(([one, a], index) => {
      for (const [other, b] of labels.slice(index + 1)) {
        const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
        if (!apart) found.push(`${one} / ${other}`);
      }
      const frame = svg.getBoundingClientRect();
      if (a.left < frame.left - 1 || a.right > frame.right + 1) found.push(`${one} is cut off`);
    });
  }
  return found;
}

const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

describe("reports of albeit-load", () => {
  before(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), "albeit-load-report-"));
    browser = await launchChromium();
  });

  after(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("a report tells verdict, figures and plots of each run", async () => {
    const url = write("report", "report", fixture("before"), fixture("after"));
    await look(url, SCREEN, "light", async page => {
      assert.equal(await page.textContent("header .verdict"), "1 of 4 failed");
      assert.deepEqual(await page.locator("nav a").allTextContents(), [
        "messages at a steady rate",
        "idle for a minute",
        "messages at a steady rate",
        "idle for a minute",
      ]);
      const last = page.locator("#run-3");
      assert.deepEqual(await last.locator("h3").allTextContents(), [
        "Expectations",
        "Figures",
        "Errors",
        "How it was measured",
      ]);
      assert.deepEqual(await last.locator("figcaption b").allTextContents(), [
        "answer: how often which time",
        "answer: percentiles",
        "answers over time",
        "Targets",
      ]);
      assert.deepEqual(await page.locator("#run-2 figcaption b").allTextContents(), [
        "How old connections were when they ended",
        "connections over time",
      ]);
      for (const svg of await page.locator("svg").all()) {
        const { width, height } = await svg.boundingBox();
        assert.ok(width > 300 && height > 60, `${width} × ${height}`);
      }
      await page.click("nav a >> nth=3");
      assert.match(page.url(), /#run-4$/);
    });
  });

  test("a comparison has both curves in one plot", async () => {
    const url = write("comparison", "compare", fixture("before"), fixture("after"));
    await look(url, SCREEN, "light", async page => {
      assert.equal(await page.textContent("header .verdict"), "worse than before");
      assert.equal(await page.locator("svg path.line").count(), 2);
      assert.deepEqual(await page.locator("ul.legend li").allTextContents(), ["before", "after"]);
      const colours = await page.$$eval("svg path.line", lines => lines.map(line => getComputedStyle(line).stroke));
      assert.notEqual(colours[0], colours[1]);
    });
  });

  test("the dark page is dark", async () => {
    const url = write("dark", "report", fixture("after"));
    const paper = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await look(url, SCREEN, "light", async page => assert.equal(await paper(page), "rgb(255, 255, 255)"));
    await look(url, SCREEN, "dark", async page => assert.equal(await paper(page), "rgb(18, 22, 29)"));
  });

  for (const [name, viewport] of Object.entries({ screen: SCREEN, phone: PHONE })) {
    test(`nothing lies upon each other or beyond the edge on a ${name}`, async () => {
      const report = write(`report-${name}`, "report", fixture("before"), fixture("after"));
      const comparison = write(`comparison-${name}`, "compare", fixture("before"), fixture("after"));
      for (const url of [report, comparison]) {
        await look(url, viewport, "light", async page => {
          assert.ok(await fits(page), "the page scrolls sideways");
          assert.deepEqual(await page.evaluate(overlaps), []);
        });
      }
    });
  }
});
