// Dialogs that ask or show, and the notes at the edge of the page.

import { byId, element, shown, text } from "./dom.js";

const NOTE_TIME = 6000;
const NOTES = 4;

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", event => {
    // The dialog itself is hit only beside its content.
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
}

/** Shows an error in a node, or none. */
export function tellError(node, error) {
  text(node, error ?? "");
  shown(node, Boolean(error));
}

/** A note that goes by itself; errors stay until they are closed. */
export function note(words, tone = "good") {
  const close = element("button", { type: "button", class: "quiet", "aria-label": "Close note" }, "×");
  const node = element("p", { class: "toast", "data-tone": tone }, element("span", {}, words), close);
  close.addEventListener("click", () => node.remove());
  const notes = byId("toasts");
  notes.append(node);
  while (notes.children.length > NOTES) notes.firstElementChild.remove();
  if (tone !== "error") setTimeout(() => node.remove(), NOTE_TIME);
}

/** Asks before `action` is done; a refusal is shown where it was asked. */
export function confirm({ title, words, yes, action }) {
  const dialog = byId("confirm");
  const button = byId("confirm-yes");
  text(byId("confirm-title"), title);
  text(byId("confirm-text"), words);
  text(button, yes);
  tellError(byId("confirm-error"), null);
  dialog.querySelector("form").onsubmit = async event => {
    event.preventDefault();
    button.disabled = true;
    try {
      await action();
      dialog.close();
    } catch (error) {
      tellError(byId("confirm-error"), error.message);
    } finally {
      button.disabled = false;
    }
  };
  dialog.showModal();
}

/** Asks for the token; `error` is why the one before was refused. Null if nobody gives one. */
export function askToken(error) {
  const dialog = byId("token");
  const input = byId("token-value");
  tellError(byId("token-error"), error);
  input.value = "";
  return new Promise(resolve => {
    let given = null;
    dialog.querySelector("form").onsubmit = event => {
      event.preventDefault();
      given = input.value.trim();
      dialog.close();
    };
    dialog.onclose = () => resolve(given || null);
    dialog.showModal();
  });
}

let drawn;

/** Opens the sheet at the side: `draw(body)` fills it, and returns what to call as its subject changes. */
export function openSheet(title, draw) {
  text(byId("sheet-title"), title);
  tellError(byId("sheet-error"), null);
  const body = byId("sheet-body");
  body.replaceChildren();
  drawn = draw(body);
  byId("sheet").onclose = () => (drawn = undefined);
  byId("sheet").showModal();
  byId("sheet").scrollTop = 0;
}

/** The configuration has changed: an open sheet shows it. */
export const updateSheet = () => drawn?.();

/** Shows an error at the head of the sheet. */
export function sheetError(error) {
  tellError(byId("sheet-error"), error);
  if (error) byId("sheet-error").scrollIntoView({ block: "nearest" });
}

/** Closes the sheet. */
export const closeSheet = () => byId("sheet").close();
