// The browser of these tests: ALBEIT_CHROMIUM, else one of the system.

import { accessSync } from "node:fs";

import { chromium } from "playwright-core";

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

function executable() {
  if (process.env.ALBEIT_CHROMIUM) return process.env.ALBEIT_CHROMIUM;
  return CANDIDATES.find(candidate => {
    try {
      accessSync(candidate);
      return true;
    } catch {
      return false;
    }
  });
}

export function launchChromium() {
  return chromium.launch({
    executablePath: executable(),
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
