// The last minutes of a figure as a line.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 28;
/** The highest value does not touch the top. */
const HEADROOM = 1.25;

/** Seconds that are kept and shown. */
export const SPAN = 120;

/** The last values of a figure, one a second; null where it was unknown. */
export class Series {
  values = [];

  push(value) {
    this.values.push(value ?? null);
    if (this.values.length > SPAN) this.values.shift();
  }

  clear() {
    this.values = [];
  }
}

/** An SVG that shows a series; `draw` brings it up to date. It says nothing that the figure beside it does not. */
export class Sparkline {
  constructor() {
    this.node = document.createElementNS(SVG, "svg");
    this.area = document.createElementNS(SVG, "path");
    this.line = document.createElementNS(SVG, "path");
    this.node.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.node.setAttribute("preserveAspectRatio", "none");
    this.node.setAttribute("aria-hidden", "true");
    this.node.setAttribute("class", "sparkline");
    this.area.setAttribute("class", "area");
    this.line.setAttribute("class", "line");
    this.node.append(this.area, this.line);
  }

  /** `least` is the smallest value that reaches the top. */
  draw(series, least = 1) {
    const top = Math.max(least, HEADROOM * Math.max(0, ...series.values));
    const step = WIDTH / (SPAN - 1);
    const begin = SPAN - series.values.length;
    const points = series.values.map((value, index) => {
      const height = HEIGHT - 1 - ((value ?? 0) / top) * (HEIGHT - 3);
      return `${((begin + index) * step).toFixed(1)} ${height.toFixed(1)}`;
    });
    const path = points.length > 1 ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", path);
    this.area.setAttribute("d", path && `${path}L${WIDTH} ${HEIGHT}L${(begin * step).toFixed(1)} ${HEIGHT}Z`);
  }
}
