// What all demos share: elements, lists, and who we are.

const LIST_LIMIT = 200;

export const element = id => document.getElementById(id);

/** The name under which this page speaks, unless it is authenticated. */
export const me = "guest-" + Math.random().toString(36).slice(2, 6);

/** Puts text on top of a list, never as markup. */
export function add(list, text, detail) {
  const item = document.createElement("li");
  const small = document.createElement("small");
  small.textContent = detail;
  item.append(text, small);
  element(list).prepend(item);
  while (element(list).children.length > LIST_LIMIT) element(list).lastChild.remove();
}

/** Shows a state with the colour of its light. */
export function showState(id, state) {
  element(id).textContent = state;
  element(id).dataset.state = state;
}

/** Shows an error, or hides the last one. */
export function showError(id, text) {
  element(id).textContent = text ?? "";
  element(id).hidden = !text;
}

/** Calls back on submit instead of leaving the page. */
export function onSubmit(form, callback) {
  element(form).addEventListener("submit", event => {
    event.preventDefault();
    callback();
  });
}

/** Publishes over STOMP and shows the time from the SEND to its receipt: through the balancer and back. */
export function sendTimed(client, destination, body, latency) {
  const receipt = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const start = performance.now();
  client.watchForReceipt(receipt, () => {
    element(latency).textContent = (performance.now() - start).toFixed(1) + " ms";
  });
  client.publish({ destination, body: JSON.stringify(body), headers: { receipt } });
}

/** "server" is name/version and then the instance that serves this session. */
export const instanceOf = frame => (frame.headers.server ?? "").split(" ")[1] ?? "unknown";
