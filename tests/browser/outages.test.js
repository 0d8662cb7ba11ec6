// Real clients at two instances with Redis between them, through the balancer, while something is
// killed, drained, cut off or paused. Each message has its number, and who heard it is compared with
// what docs/backend.md promises: order and no duplicates always, nothing lost at one's own instance,
// and across instances nothing lost that is not counted.

import assert from "node:assert/strict";
import path from "node:path";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import { after, afterEach, before, describe, test } from "node:test";

import { Site, eventually } from "./harness.js";
import { Redis, noRedis } from "./redis.js";
import { allConnected, settle, talk, talkers } from "./talkers.js";

const STOMP = ["stompjs", "sockjs"];
const SOCKET_IO = ["socketio", "polling"];
const INSTANCES = ["b1", "b2"];

let redis;
let site;
let directory;
let room;
const open = [];

async function start(mode, buffer) {
  redis = await Redis.start();
  directory = mkdtempSync(path.join(os.tmpdir(), "albeit-outages-"));
  site = await Site.start({
    backend: {
      relay: {
        mode,
        "message-size-limit": "64KiB",
        "buffer-size-limit": buffer,
        redis: { host: "127.0.0.1", port: redis.port, timeout: "1s", "ping-interval": "200ms" },
      },
      // One file for both, so that each can replay what the other one was told.
      store: { url: `sqlite:${path.join(directory, "messages.db")}` },
      // Its announcements are messages, too, and would be counted when they are missed.
      presence: { enabled: false },
    },
  });
}

async function stop() {
  await site?.stop();
  await redis?.stop();
  if (directory) rmSync(directory, { recursive: true, force: true });
}

async function enter(libraries, options) {
  const entered = await talkers(site, libraries, room, options);
  open.push(...entered);
  return entered;
}

/** A room of STOMP's clients and one of Socket.IO's, all warmed up: gaps are counted from here. */
async function bothRooms(options) {
  const rooms = [await enter(STOMP, options), await enter(SOCKET_IO)];
  for (const room of rooms) await settle(room);
  return rooms;
}

const at = (talkers, instance) => talkers.filter(talker => talker.home === instance);

/** Who is in a talker's room at the same instance, itself included. */
const neighbours = (rooms, talker) => at(rooms.find(room => room.includes(talker)), talker.home);

/** Numbers that the sender knows to have arrived at the server, and that the listener never heard. */
function lost(listener, sender) {
  const heard = listener.heard(sender);
  return sender.confirmed.filter(number => !heard.has(number));
}

/** In each connection every number of a sender comes once, and after the ones before. */
function assertOrder(talkers) {
  for (const listener of talkers) {
    for (const connection of listener.connections) {
      for (const sender of talkers) {
        const numbers = connection.filter(message => message.from === sender.name).map(message => message.number);
        const ascending = numbers.every((number, index) => index === 0 || number > numbers[index - 1]);
        assert.ok(ascending, `${listener.name} heard of ${sender.name}: ${numbers}`);
      }
    }
  }
}

function assertNothingLost(listeners, senders) {
  for (const listener of listeners) {
    for (const sender of senders) {
      assert.deepEqual(lost(listener, sender), [], `${listener.name} misses numbers of ${sender.name}`);
    }
  }
}

/** No client was disconnected. */
function assertUndisturbed(talkers) {
  for (const talker of talkers) assert.ok(!talker.events.includes("close"), `${talker.name}: ${talker.events}`);
}

/** All texts of the room in the message store, which is read page by page. */
async function kept() {
  const texts = [];
  let before = "";
  for (;;) {
    const { status, body } = await site.get(`/rooms/${room}/messages?limit=500${before}`);
    assert.equal(status, 200, body);
    const page = JSON.parse(body);
    if (page.length === 0) return texts;
    texts.unshift(...page.map(({ payload }) => payload.text));
    before = `&before=${page[0].id}`;
  }
}

/** The values of metrics of both instances now, to be compared with later ones. */
async function counters(...names) {
  const values = {};
  for (const instance of INSTANCES) {
    values[instance] = {};
    for (const name of names) values[instance][name] = await site.metric(instance, name);
  }
  return values;
}

/** What each room's listeners at the other instance did not hear, and what their instance counted. */
async function assertLossIsCounted(rooms, before) {
  const now = await counters("relay_missed_total");
  for (const instance of INSTANCES) {
    const counted = now[instance].relay_missed_total - before[instance].relay_missed_total;
    let unheard = 0;
    for (const talkers of rooms) {
      const listeners = at(talkers, instance);
      const senders = talkers.filter(talker => talker.home !== instance);
      const missing = listeners.map(listener => senders.reduce((sum, sender) => sum + lost(listener, sender).length, 0));
      assert.equal(new Set(missing).size, 1, `listeners of one instance miss different numbers: ${missing}`);
      unheard += missing[0];
    }
    assert.equal(unheard, counted, `${instance}: not heard, counted as missed`);
  }
}

afterEach(async () => {
  await Promise.all(open.splice(0).map(talker => talker.close()));
});

describe("Pub/Sub", { skip: noRedis }, () => {
  // A buffer for about 200 of the messages here, so that it overflows.
  before(() => start("redis", "64KiB"));
  afterEach(() => site?.restartEnded());
  after(stop);

  test("nothing happens: everybody hears everything", async () => {
    room = "quiet";
    const rooms = await bothRooms();
    const before = await counters("relay_missed_total");
    await talk(rooms.flat(), () => new Promise(resolve => setTimeout(resolve, 500)));
    for (const talkers of rooms) {
      await settle(talkers);
      assertOrder(talkers);
      assertNothingLost(talkers, talkers);
      assertUndisturbed(talkers);
    }
    await assertLossIsCounted(rooms, before);
  });

  test("an instance is killed: the other one's clients lose nothing, its own come back and read what they missed", async () => {
    room = "killed";
    const rooms = await bothRooms({ history: true });
    const all = rooms.flat();
    await talk(all, async () => {
      await site.killBackend("b1");
      await eventually("the closes", () => at(all, "b1").every(talker => talker.events.includes("close")));
      await allConnected(all);
    });
    for (const talkers of rooms) {
      await settle(talkers);
      assertOrder(talkers);
      assertUndisturbed(at(talkers, "b2"));
      assertNothingLost(at(talkers, "b2"), at(talkers, "b2"));
    }
    const [stomp] = rooms;
    assertNothingLost(stomp, at(stomp, "b2"));
    for (const talker of at(stomp, "b1")) assert.equal(talker.instance, "b2");
  });

  test("an instance is drained: its clients hear so before, and nobody loses a word", async () => {
    room = "drained";
    const rooms = await bothRooms({ history: true });
    const all = rooms.flat();
    const { process: leaving, ended } = site.backends.b1;
    await talk(all, async () => {
      leaving.kill("SIGTERM");
      await ended;
      await eventually("the closes", () => at(all, "b1").every(talker => talker.events.includes("close")));
      await allConnected(all);
    });
    assert.deepEqual(await ended, { code: 0, signal: null });
    for (const talkers of rooms) {
      await settle(talkers);
      assertOrder(talkers);
      for (const talker of at(talkers, "b1")) assert.deepEqual(talker.events, ["open", "notice", "close", "open"]);
      assertUndisturbed(at(talkers, "b2"));
      assertNothingLost(at(talkers, "b2"), talkers);
    }
    const [stomp] = rooms;
    assertNothingLost(stomp, at(stomp, "b2"));
    // Who came to the other instance before the last words were written there finds them now.
    const texts = await kept();
    assert.equal(new Set(texts).size, texts.length, "something is kept twice");
    for (const { name, confirmed } of stomp) {
      assert.deepEqual(confirmed.filter(number => !texts.includes(`${name} ${number}`)), [], `${name} is not kept`);
    }
  });

  const CUTS = {
    "killed and started again": [() => redis.kill(), () => redis.launch()],
    "paused and woken": [() => redis.pause(), () => redis.resume()],
  };

  for (const [what, [cut, mend]] of Object.entries(CUTS)) {
    test(`Redis is ${what}: instances go on by themselves, and what they lose of each other is counted`, async () => {
      room = what.replaceAll(" ", "-");
      const rooms = await bothRooms();
      const all = rooms.flat();
      const before = await counters("relay_missed_total");
      const alone = [];
      await talk(all, async () => {
        await cut();
        try {
          await site.relayConnected(0);
          // Said while Redis is away, and heard at home before it comes back.
          for (const talker of all) alone.push([talker, talker.say()]);
          const heard = ([talker, said]) => neighbours(rooms, talker).every(listener => listener.heard(talker).has(said));
          await eventually("local delivery", () => alone.every(heard));
        } finally {
          await mend();
        }
        await site.relayConnected(1);
      });
      for (const talkers of rooms) {
        await settle(talkers);
        assertOrder(talkers);
        assertUndisturbed(talkers);
        for (const instance of INSTANCES) assertNothingLost(at(talkers, instance), at(talkers, instance));
      }
      await assertLossIsCounted(rooms, before);
      for (const talker of rooms[0]) {
        await eventually(`${talker.name} told to ask again`, () => talker.events.includes("resync"));
      }
    });
  }

  test("Redis is away for long: the oldest messages are dropped, and sender and receiver count the same", async () => {
    room = "long";
    const talkers = await enter(["stompjs"]);
    await settle(talkers);
    const [sender, listener] = talkers;
    const before = await counters("relay_missed_total", "relay_dropped_total");
    await redis.kill();
    try {
      await site.relayConnected(0);
      for (let round = 0; round < 600; round++) sender.say();
      await eventually("receipts", () => sender.confirmed.length === sender.said.length);
    } finally {
      await redis.launch();
    }
    await site.relayConnected(1);
    await settle(talkers);
    const missing = lost(listener, sender);
    assert.ok(missing.length > 0 && missing.length < 600, `${missing.length} missing`);
    const run = missing.every((number, index) => number === missing[0] + index);
    assert.ok(run, `not the oldest: ${missing}`);
    const now = await counters("relay_missed_total", "relay_dropped_total");
    assert.equal(now.b1.relay_dropped_total - before.b1.relay_dropped_total, missing.length);
    assert.equal(now.b2.relay_missed_total - before.b2.relay_missed_total, missing.length);
    assertNothingLost([sender], [sender]);
    assertOrder(talkers);
    assertUndisturbed(talkers);
  });
});

describe("streams", { skip: noRedis }, () => {
  before(() => start("streams", "8MiB"));
  after(stop);

  test("Redis is paused and woken: nobody loses a word", async () => {
    room = "streams";
    const rooms = await bothRooms();
    await talk(rooms.flat(), async () => {
      redis.pause();
      try {
        await site.relayConnected(0);
      } finally {
        redis.resume();
      }
      await site.relayConnected(1);
    });
    for (const talkers of rooms) {
      await settle(talkers);
      assertOrder(talkers);
      assertUndisturbed(talkers);
      assertNothingLost(talkers, talkers);
    }
  });
});
