// Clients that number what they say in a room and keep what they hear, message by message: each of
// them a library as people use it, through the balancer and bound to an instance at first.

import https from "node:https";

import { Client } from "@stomp/stompjs";
import { io } from "socket.io-client";
import SockJS from "sockjs-client";
import WebSocket from "ws";

import { eventually } from "./harness.js";

const RECONNECT_DELAY = 200;
const PAUSE = 10;

/** Replayed at each SUBSCRIBE: all that a test says. */
const HISTORY = 1000;

/** What all clients have in common; `home` is their first instance. Subclasses have `connected`, `send(text)` and `close()`. */
class Talker {
  constructor(name) {
    this.name = name;
    /** Numbers that were sent, and those of them that the server confirmed. */
    this.said = [];
    this.confirmed = [];
    /** For each connection what it heard: `{ from, number, replayed }`. */
    this.connections = [];
    /** `open`, `notice`, `resync` and `close`, in their order. */
    this.events = [];
  }

  opened(instance) {
    this.instance = instance;
    this.connections.push([]);
    this.events.push("open");
  }

  closed() {
    if (this.events.at(-1) !== "close") this.events.push("close");
  }

  hears(text, replayed = false) {
    const [from, number] = text.split(" ");
    this.connections.at(-1).push({ from, number: Number(number), replayed });
  }

  /** Says the next number, and returns it. */
  say() {
    const number = this.said.length + 1;
    this.said.push(number);
    this.send(`${this.name} ${number}`, () => this.confirmed.push(number));
    return number;
  }

  /** Numbers of a talker that were heard in any connection. */
  heard(from) {
    const heard = this.connections.flat().filter(message => message.from === from.name);
    return new Set(heard.map(message => message.number));
  }
}

/** `@stomp/stompjs` over whatever `socket` opens; with `history` missed messages are asked for. */
class StompTalker extends Talker {
  constructor(name, room, socket, { history = false } = {}) {
    super(name);
    this.destination = `room.${room}`;
    this.client = new Client({
      webSocketFactory: socket,
      reconnectDelay: RECONNECT_DELAY,
      onConnect: frame => {
        this.opened(frame.headers.server.split(" ")[1]);
        const headers = history ? { history: String(HISTORY) } : {};
        this.client.subscribe(`/topic/${this.destination}`, message => this.message(message), headers);
        this.client.subscribe("/topic/server.events", () => this.events.push("notice"));
        this.client.subscribe("/topic/server.resync", () => this.events.push("resync"));
      },
      onWebSocketClose: () => this.closed(),
    });
    this.client.activate();
  }

  get connected() {
    return this.client.connected;
  }

  message({ body, headers }) {
    this.hears(JSON.parse(body).text, headers.history === "true");
  }

  send(text, confirmed) {
    const receipt = text;
    this.client.watchForReceipt(receipt, confirmed);
    this.client.publish({ destination: `/app/${this.destination}`, body: JSON.stringify({ text }), headers: { receipt } });
  }

  close() {
    return this.client.deactivate({ force: true });
  }
}

/** `socket.io-client`, which joins its room at each connection. */
class SocketIoTalker extends Talker {
  constructor(name, room, url, options) {
    super(name);
    this.room = room;
    this.joined = false;
    this.socket = io(`${url}/chat`, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300, ...options });
    this.socket.on("connect", () => {
      this.opened();
      this.socket.emit("joinRoom", { room }, () => (this.joined = true));
    });
    this.socket.on("disconnect", () => {
      this.joined = false;
      this.closed();
    });
    this.socket.on("message", ({ text, instance, id }) => {
      if (id === this.socket.id) this.instance = instance;
      this.hears(text);
    });
    this.socket.on("heartbeat", () => this.socket.emit("heartbeat", { timestamp: Date.now() }));
    this.socket.on("server.events", () => this.events.push("notice"));
  }

  get connected() {
    return this.joined;
  }

  send(text, confirmed) {
    this.socket.emit("message", { room: this.room, text }, confirmed);
  }

  close() {
    this.socket.close();
  }
}

const LIBRARIES = {
  stompjs: (site, name, room, headers, options) =>
    new StompTalker(name, room, () => new WebSocket(`wss://${site.host}/ws`, ["v12.stomp"], { ca: site.ca, headers }), options),

  sockjs: (site, name, room, headers, options) => {
    // For /info, which takes no options.
    https.globalAgent.options.ca = site.ca;
    const settings = { transports: ["websocket"], transportOptions: { websocket: { headers, tls: { ca: site.ca } } } };
    return new StompTalker(name, room, () => new SockJS(`https://${site.host}/ws`, null, settings), options);
  },

  socketio: (site, name, room, headers) =>
    new SocketIoTalker(name, room, `https://${site.host}`, { ca: site.ca, extraHeaders: headers, transports: ["websocket"] }),

  polling: (site, name, room, headers) =>
    new SocketIoTalker(name, room, `https://${site.host}`, { ca: site.ca, extraHeaders: headers, transports: ["polling"] }),
};

/** A connected client of each of the libraries at each instance, named as `stompjs-b1`. */
export async function talkers(site, libraries, room, options = {}) {
  const all = [];
  for (const instance of ["b1", "b2"]) {
    const headers = { Cookie: await site.cookieOf(instance) };
    for (const library of libraries) {
      const talker = LIBRARIES[library](site, `${library}-${instance}`, room, headers, options);
      all.push(Object.assign(talker, { home: instance }));
    }
  }
  await allConnected(all);
  return all;
}

export const allConnected = talkers =>
  eventually("every client connected", () => talkers.every(talker => talker.connected));

/** Lets all talk who are connected, until `during` is done. */
export async function talk(talkers, during) {
  let over = false;
  const done = during().finally(() => (over = true));
  while (!over) {
    for (const talker of talkers) if (talker.connected) talker.say();
    await new Promise(resolve => setTimeout(resolve, PAUSE));
  }
  return done;
}

/** Each says one more number, again and again until all of its room have heard one. */
export async function settle(talkers) {
  for (const talker of talkers) {
    const last = [];
    let asked = 0;
    await eventually(`${talker.name} heard by everyone`, () => {
      // Rarely enough that those on their way arrive.
      if (talker.connected && asked++ % 10 === 0) last.push(talker.say());
      return last.some(number => talkers.every(listener => listener.heard(talker).has(number)));
    });
  }
  await eventually("the confirmations", () => talkers.every(({ said, confirmed }) => confirmed.includes(said.at(-1))));
}
