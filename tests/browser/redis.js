// A real redis-server on a free port, to be cut off, paused and started again.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { Child, eventually, freePort } from "./harness.js";

const PROGRAM = "redis-server";
const START_ATTEMPTS = 3;

/** Why tests with Redis must be skipped; false if they need not. */
export const noRedis = spawnSync(PROGRAM, ["--version"]).status === 0 ? false : "redis-server is missing";

/** Whether somebody at the port answers PING. */
function answers(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.setTimeout(1000, () => socket.destroy(new Error("no answer")));
    socket.once("data", data => {
      socket.destroy();
      resolve(data.toString().startsWith("+PONG"));
    });
    socket.once("error", reject);
  });
}

export class Redis {
  static async start() {
    let failure;
    for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
      const redis = new Redis();
      redis.directory = mkdtempSync(path.join(os.tmpdir(), "albeit-redis-"));
      redis.port = await freePort();
      try {
        await redis.launch();
        return redis;
      } catch (error) {
        failure = error;
        await redis.stop();
      }
    }
    throw failure;
  }

  /** Starts the server, again at the same port after `kill`. */
  async launch() {
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--dir", this.directory];
    this.child = new Child("redis", PROGRAM, args, this.directory);
    await eventually("an answer of Redis", () => {
      this.child.assertRunning();
      return answers(this.port);
    });
  }

  pause() {
    this.child.process.kill("SIGSTOP");
  }

  resume() {
    this.child.process.kill("SIGCONT");
  }

  async kill() {
    await this.child?.kill();
  }

  async stop() {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
