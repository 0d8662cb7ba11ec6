// Elements and lists of them. Whatever comes from the network is set as text, never as markup.

/** The element with this id. */
export const byId = id => document.getElementById(id);

/** An element with attributes and children; strings become text, and what is null or false is left out. */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

/** Sets the text of a node if it differs, so that an unchanged page is not laid out again. */
export function text(node, value) {
  const words = String(value);
  if (node.textContent !== words) node.textContent = words;
}

/** Sets or, for null, removes an attribute if it differs. */
export function attribute(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** Shows a node, or hides it. */
export function shown(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

const views = new WeakMap();

/**
 * Makes the children of `parent` those of `items`, in their order. Views (`{ node, update(item) }`) are
 * reused by key, so that focus, selection and open parts stay as they are.
 */
export function list(parent, items, keyOf, create) {
  const before = views.get(parent) ?? new Map();
  const wanted = new Map(items.map(item => [keyOf(item), item]));
  for (const [key, view] of before) {
    if (!wanted.has(key)) {
      view.node.remove();
      before.delete(key);
    }
  }
  const after = new Map();
  let place = parent.firstElementChild;
  for (const [key, item] of wanted) {
    const view = before.get(key) ?? create(item);
    after.set(key, view);
    view.update(item);
    if (view.node === place) place = place.nextElementSibling;
    else parent.insertBefore(view.node, place);
  }
  views.set(parent, after);
}

/** A state as shape, colour and word; `state` chooses the first two. */
export function stateMark(node, state, words) {
  attribute(node, "data-state", state);
  text(node, words ?? state);
}
