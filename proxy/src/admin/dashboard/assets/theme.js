// Light, dark or as the system has it. In the head and no module, so that nothing is painted in the wrong colours.

(() => {
  const KEY = "albeit-theme";
  const NAMES = { system: "System", light: "Light", dark: "Dark" };
  const ORDER = ["system", "light", "dark"];

  const kept = () => {
    try {
      const theme = localStorage.getItem(KEY);
      return ORDER.includes(theme) ? theme : "system";
    } catch {
      return "system";
    }
  };

  let theme = kept();
  const show = () => (document.documentElement.dataset.theme = theme);
  show();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = document.getElementById("theme-name");
    const tell = () => {
      name.textContent = NAMES[theme];
      button.setAttribute("aria-label", `Theme: ${NAMES[theme]}`);
    };
    tell();
    button.addEventListener("click", () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // Storage is off: the choice lasts as long as the page.
      }
      show();
      tell();
    });
  });
})();
