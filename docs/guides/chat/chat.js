/* global io */

// The gateway: @WebSocketGateway({ namespace: '/chat' }).
const SERVICE_URL = new URLSearchParams(window.location.search).get('url') ?? 'https://chat.example.com';

const ROOM = 'support';
const ACK_TIMEOUT_MS = 10000;
const TOKEN_KEY = 'chat.token';

const $ = (id) => document.getElementById(id);

const socket = io(`${SERVICE_URL}/chat`, {
  autoConnect: false,
  transports: ['websocket', 'polling'],
  tryAllTransports: true,
  rememberUpgrade: true,
  withCredentials: true,
  reconnection: true,
  reconnectionAttempts: Infinity,
  reconnectionDelay: 500,
  reconnectionDelayMax: 30000,
  randomizationFactor: 0.5,
});

socket.on('connect', async () => {
  try {
    await request('joinRoom', { room: ROOM });
    setOnline(true, 'connected');
    $('banner').hidden = true;
  } catch (error) {
    showBanner(error.message);
  }
});

socket.on('disconnect', (reason) => {
  setOnline(false, socket.active ? 'reconnecting' : 'signed out');
  // The server put us out, as when the token has expired: the library does not come back by itself.
  if (reason === 'io server disconnect') signOut();
});

socket.on('connect_error', (error) => {
  showBanner(error.message);
  // active: the library tries again. Otherwise the server refused the token.
  if (!socket.active) signOut();
});

socket.on('heartbeat', () => {
  socket.emit('heartbeat', { timestamp: Date.now() });
  $('heartbeats').textContent = Number($('heartbeats').textContent) + 1;
});

socket.on('message', ({ from, text }) => addLine(`${from}: ${text}`));
socket.on('file', ({ from, name, data }) => addLine(`${from} sent ${name} (${data.byteLength} bytes)`));
socket.on('userJoined', ({ user }) => addLine(`${user} joined`, 'note'));
socket.on('userLeft', ({ user }) => addLine(`${user} left`, 'note'));
socket.on('server.events', ({ message }) => message && showBanner(message));
socket.on('exception', ({ message }) => showBanner(message));

socket.io.on('open', () => {
  const { engine } = socket.io;
  $('transport').textContent = engine.transport.name;
  engine.on('upgrade', (transport) => ($('transport').textContent = transport.name));
});

/** Emits an event and resolves with what the gateway's handler returned. */
async function request(event, data) {
  const answer = await socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, data);
  if (answer.status !== 'ok') throw new Error(`${event}: ${answer.status}`);
  return answer;
}

function signIn(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
  socket.auth = { token };
  socket.connect();
  setOnline(false, 'connecting');
}

function signOut() {
  sessionStorage.removeItem(TOKEN_KEY);
  setOnline(false, 'signed out');
}

function addLine(text, className = '') {
  const item = document.createElement('li');
  item.textContent = text;
  item.className = className;
  $('messages').append(item);
}

function setOnline(online, label) {
  $('status').textContent = label;
  $('status').className = online ? 'online' : 'offline';
  $('login').hidden = label !== 'signed out';
  document.querySelectorAll('#message-form button, #file').forEach((control) => (control.disabled = !online));
}

function showBanner(text) {
  $('banner').textContent = text;
  $('banner').hidden = false;
}

$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  signIn($('token').value.trim());
  event.target.reset();
});

$('message-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('text').value;
  event.target.reset();
  try {
    await request('message', { room: ROOM, text });
  } catch (error) {
    showBanner(`not sent: ${error.message}`);
  }
});

$('file').addEventListener('change', async (event) => {
  const [file] = event.target.files;
  try {
    await request('file', { room: ROOM, name: file.name, data: await file.arrayBuffer() });
    addLine(`you sent ${file.name}`, 'note');
  } catch (error) {
    showBanner(`not sent: ${error.message}`);
  }
});

const token = sessionStorage.getItem(TOKEN_KEY);
if (token) signIn(token);
