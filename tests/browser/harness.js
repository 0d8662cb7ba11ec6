// Starts the balancer in front of two backends, for tests that speak to it as a
// browser or a STOMP client does. Binaries come from ALBEIT_BIN and
// ALBEIT_BACKEND_BIN, else from cargo's target directory.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const WORKSPACE = fileURLToPath(new URL("../../", import.meta.url));
const SOON = 20_000;
const POLL_PERIOD = 50;
const START_ATTEMPTS = 3;

const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(WORKSPACE, "target");

const binary = (variable, name) => process.env[variable] ?? path.join(TARGET, "debug", name);

const pause = time => new Promise(resolve => setTimeout(resolve, time));

/** Calls `probe` until it returns something true; its last error when the deadline passes. */
export async function eventually(what, probe, limit = SOON) {
  const deadline = Date.now() + limit;
  let error;
  do {
    try {
      const value = await probe();
      if (value) return value;
      error = undefined;
    } catch (cause) {
      error = cause;
    }
    await pause(POLL_PERIOD);
  } while (Date.now() < deadline);
  const why = error ? `: ${error.message}` : "";
  throw new Error(`${what}: not within ${limit} ms${why}`, { cause: error });
}

/** A port that was free a moment ago. Another process may take it: whoever uses it must retry. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** GET; resolves with { status, headers, body }. */
export function get(url, options = {}) {
  const client = url.startsWith("https:") ? https : http;
  return new Promise((resolve, reject) => {
    const request = client.get(url, { agent: false, timeout: SOON, ...options }, response => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", chunk => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error(`${url}: no answer`)));
    request.on("error", reject);
  });
}

/** A child process whose output is kept in a file. */
export class Child {
  constructor(name, file, args, directory, environment = {}) {
    this.log = path.join(directory, `${name}.log`);
    const output = openSync(this.log, "a");
    const env = { ...process.env, NO_COLOR: "1", ...environment };
    this.process = spawn(file, args, { stdio: ["ignore", output, output], env });
    closeSync(output);
    this.ended = new Promise(resolve => {
      this.process.once("exit", (code, signal) => resolve({ code, signal }));
      this.process.once("error", error => resolve({ error }));
    });
    this.ended.then(end => (this.end = end));
  }

  output() {
    return readFileSync(this.log, "utf8");
  }

  assertRunning() {
    if (this.end) throw new Error(`${this.log} ended with ${JSON.stringify(this.end)}:\n${this.output()}`);
  }

  async kill() {
    if (!this.end) this.process.kill("SIGKILL");
    await this.ended;
  }
}

/** The balancer with HTTPS in front of the backends `b1` and `b2`. */
export class Site {
  /**
   * `options.stickiness` false leaves it out; `options.adjust` changes the configuration before it is
   * written; `options.backend` are settings of both backends, or the path of their file;
   * `options.environment` are variables for them.
   */
  static async start(options = {}) {
    let failure;
    for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
      const site = new Site();
      site.options = { stickiness: true, ...options };
      try {
        await site.launch();
        return site;
      } catch (error) {
        failure = error;
        await site.stop();
      }
    }
    throw failure;
  }

  async launch() {
    this.directory = mkdtempSync(path.join(os.tmpdir(), "albeit-browser-"));
    this.backends = {};
    const certs = path.join(this.directory, "certs");
    const made = spawnSync(binary("ALBEIT_BIN", "albeit"), ["certs", "--dir", certs], { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`albeit certs: ${made.error ?? made.stderr}`);
    this.ca = readFileSync(path.join(certs, "ca.pem"));

    const [port, adminPort, b1, b2] = [await freePort(), await freePort(), await freePort(), await freePort()];
    this.backendPorts = { b1, b2 };
    for (const instance of ["b1", "b2"]) this.startBackend(instance);
    const file = path.join(this.directory, "albeit.yaml");
    // JSON is a subset of YAML.
    writeFileSync(file, JSON.stringify(this.configuration(certs, port, adminPort, [b1, b2]), null, 2));
    this.startBalancer();
    this.host = `localhost:${port}`;
    this.admin = `http://127.0.0.1:${adminPort}`;
    await eventually("a ready balancer with two healthy targets", async () => {
      for (const child of [this.albeit, ...Object.values(this.backends)]) child.assertRunning();
      const ready = await get(`${this.admin}/readyz`);
      return ready.status === 200 && (await this.healthy()).length === 2;
    });
  }

  /** Starts the balancer, or starts it again on the same ports. */
  startBalancer() {
    // Timers of the balancer run at ten times their speed: a check each half second.
    const args = ["run", "-c", path.join(this.directory, "albeit.yaml"), "--time-scale", "10", "--drain", "1s"];
    this.albeit = new Child("albeit", binary("ALBEIT_BIN", "albeit"), args, this.directory);
  }

  configuration(certs, port, adminPort, backendPorts) {
    const file = configuration(certs, port, adminPort, backendPorts);
    file.target_groups[0].attributes["stickiness.enabled"] = this.options.stickiness;
    this.options.adjust?.(file);
    return file;
  }

  startBackend(instance) {
    const port = this.backendPorts[instance];
    const args = ["--port", String(port), "--address", "127.0.0.1", "--instance", instance, "--drain", "1s"];
    const { backend, environment } = this.options;
    if (typeof backend === "string") {
      args.push("--config", backend);
    } else if (backend) {
      const settings = path.join(this.directory, "backend.yaml");
      writeFileSync(settings, JSON.stringify(backend));
      args.push("--config", settings);
    }
    const file = binary("ALBEIT_BACKEND_BIN", "albeit-backend");
    this.backends[instance] = new Child(instance, file, args, this.directory, environment);
  }

  /** Ports of the healthy targets. */
  async healthy() {
    const { TargetGroups: groups } = JSON.parse((await get(`${this.admin}/targets`)).body);
    const targets = groups.flatMap(group => group.TargetHealthDescriptions);
    return targets.filter(target => target.TargetHealth.State === "healthy").map(target => target.Target.Port);
  }

  /** GET through the balancer. */
  get(where, headers = {}) {
    return get(`https://${this.host}${where}`, { ca: this.ca, headers });
  }

  async killBackend(instance) {
    await this.backends[instance].kill();
  }

  /** Starts each backend that has ended, and waits until the balancer sends it clients. */
  async restartEnded() {
    const ended = Object.keys(this.backends).filter(instance => this.backends[instance].end);
    ended.forEach(instance => this.startBackend(instance));
    await eventually("two healthy targets", async () => (await this.healthy()).length === 2);
  }

  /** The cookie that binds to a backend. */
  async cookieOf(instance) {
    return eventually(`a cookie of ${instance}`, async () => {
      const { headers, body } = await this.get("/whoami");
      if (JSON.parse(body).instance !== instance) return undefined;
      return headers["set-cookie"].find(line => line.startsWith("AWSALB=")).split(";")[0];
    });
  }

  /** The sum of a metric of a backend over all of its labels, or over those of `labels`. */
  async metric(instance, name, labels = "") {
    const { body } = await get(`http://127.0.0.1:${this.backendPorts[instance]}/metrics`);
    const lines = body.split("\n").filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    if (lines.length === 0) throw new Error(`no metric ${name}`);
    const chosen = lines.filter(line => line.includes(labels));
    return chosen.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** Waits until both backends have Redis (1) or miss it (0). */
  relayConnected(state) {
    return eventually(`relay_connected ${state}`, async () => {
      const states = await Promise.all(["b1", "b2"].map(instance => this.metric(instance, "relay_connected")));
      return states.every(value => value === state);
    });
  }

  async stop() {
    const children = [this.albeit, ...Object.values(this.backends ?? {})].filter(Boolean);
    await Promise.all(children.map(child => child.kill()));
    const panicked = children.filter(child => child.output().includes("panicked at"));
    const logs = panicked.map(child => child.output());
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
    if (logs.length > 0) throw new Error(`a process panicked:\n${logs.join("\n")}`);
  }
}

function configuration(certs, port, adminPort, backendPorts) {
  return {
    certificates: [
      {
        name: "localhost",
        certificate: path.join(certs, "localhost.pem"),
        private_key: path.join(certs, "localhost-key.pem"),
      },
    ],
    load_balancers: [
      {
        name: "browser-alb",
        type: "application",
        // 600 s divided by 10.
        attributes: { "idle_timeout.timeout_seconds": 600 },
        listeners: [
          {
            protocol: "HTTPS",
            address: "127.0.0.1",
            port,
            ssl_policy: "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
            certificates: ["localhost"],
            default_actions: [{ forward: { target_group: "websocket-tg" } }],
          },
        ],
      },
    ],
    target_groups: [
      {
        name: "websocket-tg",
        protocol: "HTTP",
        port: 80,
        health_check: { path: "/health", interval: "5s", timeout: "4s", unhealthy_threshold: 2 },
        attributes: {
          "stickiness.enabled": true,
          "stickiness.type": "lb_cookie",
          "stickiness.lb_cookie.duration_seconds": 86400,
        },
        targets: backendPorts.map(target => ({ id: "127.0.0.1", port: target })),
      },
    ],
    admin: { bind: `127.0.0.1:${adminPort}` },
  };
}
