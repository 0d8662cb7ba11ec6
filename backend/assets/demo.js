// The page: each demo in a tab of its own.

import * as history from "/assets/demo-history.js";
import * as presence from "/assets/demo-presence.js";
import * as socketio from "/assets/demo-socketio.js";
import * as sockjs from "/assets/demo-sockjs.js";
import * as stomp from "/assets/demo-stomp.js";
import * as tabs from "/assets/demo-tabs.js";

for (const demo of [stomp, presence, history, sockjs, socketio, tabs]) demo.start();
