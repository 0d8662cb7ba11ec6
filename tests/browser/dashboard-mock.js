// Speaks as the admin port does to the dashboard, with made-up data: for states that real processes
// reach slowly or not at all (10,000 WebSockets, nothing configured, a refused action). Run by itself
// (`node dashboard-mock.js [PORT]`) it serves the page of the working copy, to work at it.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ASSETS = fileURLToPath(new URL("../../proxy/src/admin/dashboard/assets/", import.meta.url));
const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ARN = "arn:aws:elasticloadbalancing:local:000000000000";
const ALB = `${ARN}:loadbalancer/app/shop-alb/0123456789abcdef`;
const LISTENER = `${ARN}:listener/app/shop-alb/0123456789abcdef/1111111111111111`;
const GROUP = `${ARN}:targetgroup/websocket-tg/2222222222222222`;
const TARGETS = ["10.0.1.17", "10.0.2.31"];
const IDLE_TIMEOUT = 60;

const DEFAULTS = {
  "stickiness.enabled": "true",
  "stickiness.type": "lb_cookie",
  "stickiness.lb_cookie.duration_seconds": "86400",
  "deregistration_delay.timeout_seconds": "30",
  "load_balancing.algorithm.type": "round_robin",
  "albeit.fault.abort.percent": "0",
  "albeit.fault.abort.status_code": "503",
};

const FAULTS = [
  { Key: "albeit.fault.abort.percent", Default: "0", Range: "0-100", Description: "Fault: share of requests that the load balancer answers with an error, without a target." },
  { Key: "albeit.fault.abort.status_code", Default: "503", Range: "400-599", Description: "The status code of that answer." },
];

/** Made-up data behind the interface of the admin port. */
export class Mock {
  /** `options`: `connections` (how many WebSockets), `empty` (nothing configured), `token`. */
  static async start(options = {}, port = 0) {
    const mock = new Mock(options);
    mock.server = http.createServer((request, response) => {
      mock.answer(request, response).catch(error => response.destroy(error));
    });
    mock.server.listen(port, "127.0.0.1");
    await once(mock.server, "listening");
    mock.url = `http://127.0.0.1:${mock.server.address().port}`;
    mock.timer = setInterval(() => mock.tick(), 1000);
    return mock;
  }

  constructor(options) {
    this.options = options;
    this.began = Date.now();
    this.attributes = { ...DEFAULTS };
    this.streams = new Set();
    this.number = 0;
    this.requests = [];
    this.counts = TARGETS.map(() => 0);
    const many = options.connections ?? 0;
    this.connections = Array.from({ length: many }, (_, index) => connection(index, this.began));
  }

  async stop() {
    clearInterval(this.timer);
    for (const stream of this.streams) stream.destroy();
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }

  configuration() {
    const faulty = this.options.empty;
    return {
      Version: "0.1.0",
      StartTime: new Date(this.began).toISOString(),
      TimeScale: 1,
      TokenRequired: Boolean(this.options.token),
      ActionsAllowed: true,
      LoadBalancers: faulty ? [] : [{ LoadBalancerArn: ALB, LoadBalancerName: "shop-alb", DNSName: "localhost", Type: "application", Attributes: { "idle_timeout.timeout_seconds": String(IDLE_TIMEOUT) } }],
      Listeners: faulty ? [] : [{ ListenerArn: LISTENER, LoadBalancerArn: ALB, Protocol: "HTTPS", Port: 443, Address: "0.0.0.0", DefaultActions: [{ Type: "forward", TargetGroupArn: GROUP, Order: 1 }] }],
      Rules: faulty ? [] : [{ RuleArn: `${LISTENER}/default`, ListenerArn: LISTENER, Priority: "default", IsDefault: true, Conditions: [], Transforms: [], MatchedRequestCount: 0, Actions: [{ Type: "forward", TargetGroupArn: GROUP, Order: 1 }] }],
      TargetGroups: faulty ? [] : [{ TargetGroupArn: GROUP, TargetGroupName: "websocket-tg", Protocol: "HTTP", ProtocolVersion: "HTTP1", Port: 8080, TargetType: "ip", HealthCheckPath: "/health", HealthCheckIntervalSeconds: 5, LoadBalancerArns: [ALB], Attributes: this.attributes }],
      Certificates: [],
      Findings: [],
      Overrides: { LoadBalancers: [], Listeners: [], TargetGroups: [], Targets: [], ForcedHealth: [] },
      FaultAttributes: FAULTS,
    };
  }

  state() {
    const time = { P50: 0.012, P95: 0.048, P99: 0.21 };
    const half = Math.ceil(this.connections.length / 2);
    const rate = 20;
    this.counts = this.counts.map(count => count + rate / 2);
    const targets = TARGETS.map((Id, index) => ({
      Target: { Id, Port: 8080 },
      TargetHealth: { State: "healthy" },
      AdministrativeOverride: { State: "no_override" },
      OutstandingRequests: 3,
      RequestCount: this.counts[index],
      RequestsPerSecond: rate / 2,
      StickyRequestCount: Math.floor(this.counts[index] * 0.8),
      OpenWebSockets: index === 0 ? half : this.connections.length - half,
    }));
    return {
      Time: new Date().toISOString(),
      Phase: "ready",
      LoadBalancers: this.options.empty ? [] : [{ LoadBalancerArn: ALB, RequestsPerSecond: rate, ElbErrorsPerSecond: 0, TargetErrorsPerSecond: 0, ActiveConnectionCount: this.connections.length, NewConnectionsPerSecond: 1, ProcessedBytesPerSecond: 20_480, OpenWebSockets: this.connections.length, OpenFlows: 0, TargetResponseTime: time, ElbResponses: [] }],
      Rules: this.options.empty ? {} : { [`${LISTENER}/default`]: this.counts[0] + this.counts[1] },
      TargetGroups: this.options.empty ? [] : [{ TargetGroupArn: GROUP, RequestsPerSecond: rate, TargetResponseTime: time, Targets: targets }],
    };
  }

  /** Sends an event to every page. */
  send(event, data) {
    for (const stream of this.streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  tick() {
    this.send("tick", this.state());
    if (this.options.traffic) this.request({});
  }

  /** One entry of the access log; `members` differ from those of a fine GET. */
  request(members) {
    this.number += 1;
    const entry = {
      Number: this.number, Time: new Date().toISOString(), LoadBalancerArn: ALB, Type: "https",
      Client: "198.51.100.7:50123", Target: "10.0.1.17:8080", ElbStatusCode: 200, TargetStatusCode: 200,
      RequestProcessingTime: 0.001, TargetProcessingTime: 0.012, ResponseProcessingTime: 0,
      ReceivedBytes: 412, SentBytes: 1893, Request: "GET https://shop.example:443/ HTTP/1.1", UserAgent: "curl/8.5.0",
      TargetGroup: "websocket-tg", MatchedRulePriority: "0", Actions: "forward", ErrorReason: null,
      ConnTraceId: "TID_0123456789abcdef", TraceId: "Root=1-0-0", Line: "https …",
      Meaning: { Title: "Answered by the target", Text: "All went well.", Severity: "ok" },
      ...members,
    };
    entry.Failed = ["error", "warning"].includes(entry.Meaning.Severity);
    this.requests = [entry, ...this.requests].slice(0, 500);
    this.send("request", entry);
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    if (request.method !== "GET") return this.act(request, response, url);
    if (url.pathname === "/events") return this.stream(response);
    const lists = { "/connections": () => this.page(url.searchParams), "/requests": () => ({ Requests: this.requests }), "/findings": () => ({ Findings: [] }) };
    if (lists[url.pathname]) return json(response, 200, lists[url.pathname]());
    return asset(response, url.pathname === "/" ? "index.html" : url.pathname.slice("/dashboard/".length));
  }

  stream(response) {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.streams.add(response);
    response.on("close", () => this.streams.delete(response));
    response.write(`retry: 500\nevent: configuration\ndata: ${JSON.stringify(this.configuration())}\n\n`);
    response.write(`event: tick\ndata: ${JSON.stringify(this.state())}\n\n`);
  }

  page(parameters) {
    const now = Date.now();
    const wanted = parameters.get("Target");
    const all = this.connections.map(it => describe(it, now));
    const chosen = all.filter(it => !wanted || `${it.WebSocketTarget.Id}:${it.WebSocketTarget.Port}` === wanted);
    chosen.sort((one, other) => one.SecondsToIdleTimeout - other.SecondsToIdleTimeout);
    const from = Number(parameters.get("Marker") ?? 0);
    const to = from + Number(parameters.get("PageSize") ?? 400);
    const answer = { Connections: chosen.slice(from, to), TotalCount: chosen.length };
    return to < chosen.length ? { ...answer, NextMarker: String(to) } : answer;
  }

  async act(request, response, url) {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { token } = this.options;
    if (token && request.headers.authorization !== `Bearer ${token}`) {
      return json(response, 401, { Error: { Type: "Sender", Code: "InvalidClientTokenId", Message: "the bearer token is wrong" } });
    }
    this.acted = [...(this.acted ?? []), { method: request.method, path: url.pathname, body: text && JSON.parse(text) }];
    if (this.options.refuse) return json(response, 400, { Error: { Type: "Sender", Code: "ValidationError", Message: this.options.refuse } });
    if (url.pathname === "/attributes") for (const { Key, Value } of JSON.parse(text).Attributes) this.attributes[Key] = Value;
    this.send("configuration", this.configuration());
    return json(response, 200, {});
  }
}

function connection(index, now) {
  const target = TARGETS[index % TARGETS.length];
  return { index, target, opened: now - (index % 7200) * 1000, spoke: now + (index % IDLE_TIMEOUT) * 1000 };
}

function describe({ index, target, opened, spoke }, now) {
  // Who spoke in the future speaks again and again, each a little later than the one before.
  const idle = Math.abs((now - spoke) / 1000) % IDLE_TIMEOUT;
  return {
    ConnectionId: `TID_${String(index).padStart(16, "0")}`,
    Client: `198.51.${100 + (index >> 14)}.${index % 250}:${20_000 + (index % 40_000)}`,
    ListenerArn: LISTENER, Protocol: "websocket", AgeSeconds: (now - opened) / 1000, RequestCount: 1,
    WebSocketTarget: { Id: target, Port: 8080 }, ReceivedBytes: 1000 + index, SentBytes: 5000 + 13 * index,
    IdleSeconds: idle, SecondsToIdleTimeout: IDLE_TIMEOUT - idle, Closing: false,
  };
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function asset(response, name) {
  try {
    const body = await readFile(path.join(ASSETS, path.basename(name)));
    response.writeHead(200, { "content-type": TYPES[path.extname(name)], "content-security-policy": POLICY, "cache-control": "no-cache" });
    response.end(body);
  } catch {
    json(response, 404, { Error: { Type: "Sender", Code: "InvalidAction", Message: "no such path" } });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await Mock.start({ connections: 10_000, traffic: true }, Number(process.argv[2] ?? 0));
  console.log(mock.url);
}
