// Tabs as the ARIA Authoring Practices have them: arrows, Home and End move, one
// tab is in the tab order, and the address names the one that is open.

const tabs = [...document.querySelectorAll("[role=tab]")];
const panel = tab => document.getElementById(tab.getAttribute("aria-controls"));
const opened = new Map();

/** Calls `callback` when the panel of this id is opened. */
export function onOpen(id, callback) {
  opened.set(id, callback);
}

function select(tab) {
  for (const other of tabs) {
    const selected = other === tab;
    other.setAttribute("aria-selected", String(selected));
    other.tabIndex = selected ? 0 : -1;
    panel(other).hidden = !selected;
  }
  opened.get(panel(tab).id)?.();
}

function step(event) {
  const at = tabs.indexOf(event.currentTarget);
  const target = {
    ArrowRight: tabs[(at + 1) % tabs.length],
    ArrowLeft: tabs.at(at - 1),
    Home: tabs[0],
    End: tabs.at(-1),
  }[event.key];
  if (!target) return;
  event.preventDefault();
  target.focus();
  target.click();
}

const named = () => tabs.find(tab => panel(tab).id === location.hash.slice(1)) ?? tabs[0];

/** Opens the tab that the address names, else the first. */
export function start() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      history.replaceState(null, "", "#" + panel(tab).id);
      select(tab);
    });
    tab.addEventListener("keydown", step);
  }
  window.addEventListener("hashchange", () => select(named()));
  select(named());
}
