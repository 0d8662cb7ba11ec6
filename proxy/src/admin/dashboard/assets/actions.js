// Actions of the admin API, with the token if one is needed. docs/admin.md describes them.

import { askToken, note } from "./dialogs.js";

const KEPT = "albeit-admin-token";

let tokenRequired = false;

/** Whether actions need a token, as the configuration in force says. */
export function configure(configuration) {
  tokenRequired = configuration.TokenRequired;
  document.body.classList.toggle("read-only", !configuration.ActionsAllowed);
}

/** What the API answered instead of doing it, in its own words. */
class Refused extends Error {
  constructor(status, body) {
    const { Code: code = `HTTP ${status}`, Message: message = "", Mistakes: mistakes = [] } = body?.Error ?? {};
    const places = mistakes.map(it => `\n${it.Line ? `line ${it.Line}: ` : ""}${it.Path ? `${it.Path}: ` : ""}${it.Message}`);
    super(`${code}: ${message}${places.join("")}`);
    this.status = status;
  }
}

async function call(method, path, body, token) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Error("The load balancer does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

/** Does an action; asks for the token as long as it is wrong. */
export async function act(method, path, body) {
  let token = sessionStorage.getItem(KEPT);
  if (tokenRequired && !token) token = await ask();
  for (;;) {
    try {
      const answer = await call(method, path, body, token);
      if (token) sessionStorage.setItem(KEPT, token);
      return answer;
    } catch (error) {
      if (error.status !== 401) throw error;
      sessionStorage.removeItem(KEPT);
      token = await ask(error.message);
    }
  }
}

async function ask(error) {
  const token = await askToken(error);
  if (!token) throw new Error("Nothing was done: no token was given.");
  return token;
}

/** Does an action from a button that stands in the page: what comes of it is a note. */
export async function actFromPage(method, path, body, done) {
  try {
    await act(method, path, body);
    note(done);
  } catch (error) {
    note(error.message, "error");
  }
}

/** Reads a list. */
export async function read(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined));
  return call("GET", `${path}?${query}`);
}

/** Sets attributes of the resource that `owner` (`{ TargetGroupArn }` …) names. */
export function setAttributes(owner, attributes) {
  const pairs = Object.entries(attributes).map(([Key, Value]) => ({ Key, Value: String(Value) }));
  return act("PUT", "/attributes", { ...owner, Attributes: pairs });
}
