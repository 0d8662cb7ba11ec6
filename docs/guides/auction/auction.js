/* global StompJs, SockJS */

// The endpoint registered with registry.addEndpoint("/ws").withSockJS().
const SERVICE_URL = new URLSearchParams(window.location.search).get('url') ?? 'https://auction.example.com/ws';

const AUCTION_ID = '42';
const ROOM_ID = 'auction-42';
const HEARTBEAT_MS = 25000;
const RECONNECT_DELAY_MS = 1000;
const MAX_RECONNECT_DELAY_MS = 30000;
const TOKEN_KEY = 'auction.token';

const $ = (id) => document.getElementById(id);

let highestBid = 0;
let comeBack;

const client = new StompJs.Client({
  webSocketFactory: () => new SockJS(SERVICE_URL),
  beforeConnect: (self) => {
    // Read every time: the token may have been renewed since the last connection.
    self.connectHeaders = { Authorization: `Bearer ${sessionStorage.getItem(TOKEN_KEY)}` };
  },
  heartbeatIncoming: HEARTBEAT_MS,
  heartbeatOutgoing: HEARTBEAT_MS,
  reconnectDelay: RECONNECT_DELAY_MS,
  maxReconnectDelay: MAX_RECONNECT_DELAY_MS,
  reconnectTimeMode: StompJs.ReconnectionTimeMode.EXPONENTIAL,
  onConnect,
  onStompError,
  onWebSocketClose: () => setOnline(false, client.active ? 'reconnecting' : 'signed out'),
});

function onConnect() {
  setOnline(true, 'connected');
  hideBanner();
  subscribe(`/topic/auction.${AUCTION_ID}`, showBid);
  subscribe(`/topic/room.${ROOM_ID}`, ({ from, text }) => addLine('chat', `${from}: ${text}`));
  subscribe('/user/queue/private', ({ from, text }) => addLine('private', `${from}: ${text}`));
  subscribe('/user/queue/errors', ({ error }) => ($('bid-error').textContent = error));
  subscribe('/topic/server.events', onServerEvent);
}

function onStompError(frame) {
  showBanner(frame.headers.message);
  // Trying again with a token that the server does not take leads nowhere.
  if (/token/.test(frame.headers.message)) {
    sessionStorage.removeItem(TOKEN_KEY);
    client.deactivate();
  }
}

/** The instance is about to go away: leave now, and do not come back at the same moment as everyone else. */
async function onServerEvent({ message, reconnectInSeconds }) {
  showBanner(message);
  await client.deactivate();
  setOnline(false, 'reconnecting');
  clearTimeout(comeBack);
  comeBack = setTimeout(() => client.activate(), Math.random() * reconnectInSeconds * 1000);
}

function subscribe(destination, handler) {
  client.subscribe(destination, (message) => handler(JSON.parse(message.body)));
}

function send(destination, payload) {
  client.publish({
    destination,
    body: JSON.stringify(payload),
    headers: { 'content-type': 'application/json' },
  });
}

function showBid({ bidder, amount }) {
  if (amount > highestBid) {
    highestBid = amount;
    $('highest').textContent = `${amount} by ${bidder}`;
  }
  addLine('bids', `${bidder}: ${amount}`);
}

function addLine(list, text) {
  const item = document.createElement('li');
  item.textContent = text;
  $(list).prepend(item);
}

function setOnline(online, label) {
  $('status').textContent = label;
  $('status').className = online ? 'online' : 'offline';
  $('login').hidden = label !== 'signed out';
  document.querySelectorAll('section button').forEach((button) => (button.disabled = !online));
}

function showBanner(text) {
  $('banner').textContent = text;
  $('banner').hidden = false;
}

function hideBanner() {
  $('banner').hidden = true;
}

function onSubmit(form, handler) {
  $(form).addEventListener('submit', (event) => {
    event.preventDefault();
    handler();
    event.target.reset();
  });
}

onSubmit('login', () => {
  sessionStorage.setItem(TOKEN_KEY, $('token').value.trim());
  client.activate();
});

onSubmit('bid-form', () => {
  $('bid-error').textContent = '';
  send(`/app/bid.${AUCTION_ID}`, { amount: Number($('amount').value) });
});

onSubmit('chat-form', () => send(`/app/room.${ROOM_ID}`, { text: $('chat-text').value }));

onSubmit('private-form', () => send(`/app/private.${$('private-to').value}`, { text: $('private-text').value }));

if (sessionStorage.getItem(TOKEN_KEY)) client.activate();
