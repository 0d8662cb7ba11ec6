// Measures the backend beside RabbitMQ's web-stomp and a NestJS Socket.IO
// gateway, in rounds, and prints a table of medians:
//
//   node compare.js [--rounds 3] [--subscribers 1000] [--only albeit-stomp,nest]
//
// Each server runs alone on one core, the load on another. A server that cannot
// be started is named and left out.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const WORKSPACE = path.join(HERE, "../../..");
const RELEASE = path.join(process.env.CARGO_TARGET_DIR ?? path.join(WORKSPACE, "target"), "release");
const SERVER_CORE = "0";
const LOAD_CORE = "1";
const STARTED_WITHIN = 60_000;

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    subscribers: { type: "string", default: "1000" },
    connections: { type: "string", default: "3000" },
    only: { type: "string" },
  },
});

const directory = mkdtempSync(path.join(os.tmpdir(), "albeit-load-"));
const pause = time => new Promise(resolve => setTimeout(resolve, time));

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise(resolve => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

const accepts = port =>
  new Promise(resolve => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.setTimeout(1000, () => resolve(false));
  });

/** Starts a program on the core of servers; ready when it accepts on its port. */
async function start(name, program, args, port, env = {}) {
  const log = openSync(path.join(directory, `${name}.log`), "a");
  const child = spawn("taskset", ["-c", SERVER_CORE, program, ...args], {
    stdio: ["ignore", log, log],
    env: { ...process.env, ...env },
    detached: true,
  });
  const ended = new Promise(resolve => child.once("exit", resolve).once("error", resolve));
  const deadline = Date.now() + STARTED_WITHIN;
  while (!(await accepts(port))) {
    if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${name} does not start, see ${directory}`);
    await pause(100);
  }
  const stop = async () => {
    process.kill(-child.pid, "SIGTERM");
    const killer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), 15_000);
    await ended;
    clearTimeout(killer);
  };
  return { pid: child.pid, stop };
}

async function albeit(name) {
  const port = await freePort();
  const file = path.join(directory, "backend.yml");
  writeFileSync(
    file,
    "stomp: { client-publish-to-topic: allow, send-buffer-size-limit: 8MiB }\n" +
      "server: { tomcat: { max-connections: 20000 } }\nlimits: { messages-per-second: 0 }\ndrain: 1s\n",
  );
  const args = ["--config", file, "--port", String(port)];
  const server = await start(name, path.join(RELEASE, "albeit-backend"), args, port, {
    TOKIO_WORKER_THREADS: "1",
    RUST_LOG: "warn",
  });
  return { ...server, port };
}

async function rabbit(name) {
  const [port, stomp, amqp, distribution] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const plugins = path.join(directory, "enabled_plugins");
  const config = path.join(directory, "rabbitmq.conf");
  writeFileSync(plugins, "[rabbitmq_web_stomp].\n");
  writeFileSync(
    config,
    `web_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = ${port}\n` +
      `web_stomp.ws_opts.idle_timeout = 3600000\n` +
      `stomp.listeners.tcp.1 = 127.0.0.1:${stomp}\nlisteners.tcp.1 = 127.0.0.1:${amqp}\nlog.console.level = error\n`,
  );
  const epmd = await freePort();
  const server = await start(name, "/usr/lib/rabbitmq/bin/rabbitmq-server", [], port, {
    RABBITMQ_NODENAME: `load${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_EPMD_PORT: String(epmd),
    RABBITMQ_MNESIA_BASE: path.join(directory, "mnesia"),
    RABBITMQ_LOG_BASE: path.join(directory, "rabbit-log"),
    RABBITMQ_PID_FILE: path.join(directory, "rabbit.pid"),
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_CONFIG_FILE: config,
    HOME: directory,
  });
  const stop = async () => {
    await server.stop();
    // The port mapper stays behind as a daemon, and ends only after its nodes.
    for (let attempt = 0; attempt < 50; attempt++) {
      if (spawnSync("epmd", ["-port", String(epmd), "-kill"], { encoding: "utf8" }).stdout.includes("Killed")) return;
      await pause(200);
    }
  };
  return { pid: server.pid, stop, port };
}

async function nest(name) {
  const port = await freePort();
  const server = await start(name, process.execPath, [path.join(HERE, "nest.js"), String(port)], port);
  return { ...server, port };
}

const SOCKET_IO = "/socket.io/?EIO=4&transport=websocket";
const PEERS = {
  "albeit-stomp": { start: albeit, path: "/ws", protocol: "stomp" },
  rabbitmq: { start: rabbit, path: "/ws", protocol: "stomp" },
  "albeit-socket.io": { start: albeit, path: SOCKET_IO, protocol: "socket-io" },
  nest: { start: nest, path: SOCKET_IO, protocol: "socket-io" },
};

function load(server, peer, scenario, args) {
  const run = spawnSync(
    "taskset",
    [
      "-c", LOAD_CORE, path.join(RELEASE, "albeit-load"), scenario,
      `ws://127.0.0.1:${server.port}${peer.path}`, "--json", "-", "--patience", "2m",
      "--protocol", peer.protocol, "--pid", String(server.pid), ...args,
    ],
    { encoding: "utf8" },
  );
  if (run.status !== 0) throw new Error(run.stderr.trim());
  const { figures } = JSON.parse(run.stdout).outcomes[0];
  const values = Object.fromEntries(Object.entries(figures).map(([name, { value }]) => [name, value]));
  return { ...values, kb_per_connection: values.memory_per_connection / 1024 };
}

const median = values => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const subscribers = options.subscribers;
const RUNS = [
  ["fan-out, single: µs/delivery", "cpu_per_delivery_us", "fan-out", ["--subscribers", subscribers, "--bursts", "200"]],
  ["fan-out, ten queued: µs/delivery", "cpu_per_delivery_us", "fan-out", ["--subscribers", subscribers, "--bursts", "60", "--burst", "10"]],
  ["echo: µs/message", "cpu_per_message_us", "echo", []],
  ["idle: kB/connection", "kb_per_connection", "hold", ["--connections", options.connections, "--for", "15s"]],
];

const results = new Map();
const names = options.only?.split(",") ?? Object.keys(PEERS);
try {
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const name of names) {
      const peer = PEERS[name];
      for (const [title, key, scenario, args] of RUNS) {
        let server;
        try {
          // A fresh server for each run: memory of the last one would count.
          server = await peer.start(name);
          const outcome = load(server, peer, scenario, args);
          console.error(`${name} ${JSON.stringify(outcome)}`);
          const cell = `${title}|${name}`;
          results.set(cell, [...(results.get(cell) ?? []), outcome[key]]);
        } catch (error) {
          console.error(`${name}: ${title}: ${error.message}`);
        } finally {
          await server?.stop();
        }
      }
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

console.log(`| | ${names.join(" | ")} |\n|---|${names.map(() => "---").join("|")}|`);
for (const [title] of RUNS) {
  const cells = names.map(name => {
    const values = results.get(`${title}|${name}`);
    return values ? median(values).toFixed(1) : "–";
  });
  console.log(`| ${title} | ${cells.join(" | ")} |`);
}
