"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Tables: a click on a column's name sorts by it. Group headings disappear while a table is sorted.
  const sortKey = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return null;
    const number = cell.dataset.value;
    return number === undefined ? cell.textContent.trim().toLowerCase() : number === "" ? null : Number(number);
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  };
  const sortBy = (table, header) => {
    const descending = header.getAttribute("aria-sort") !== "descending";
    all("thead th[aria-sort]", table).forEach((other) => other.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const column = header.cellIndex;
    all("tr.group", table).forEach((row) => row.remove());
    for (const body of table.tBodies) {
      const rows = [...body.rows].map((row) => [sortKey(row, column), row]);
      rows.sort(([a], [b]) => compare(a, b, descending ? -1 : 1));
      body.append(...rows.map(([, row]) => row));
    }
  };
  for (const table of all("table.sortable")) {
    for (const header of all("thead th", table)) {
      if (header.classList.contains("plot")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortBy(table, header));
    }
  }

  // Legends: a click hides a scorer in the charts beside it.
  for (const button of all("button[data-toggle]")) {
    button.title = "click to hide or show";
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", String(show));
      for (const series of all("[data-series]", button.closest(".linked"))) {
        if (series.dataset.series === button.dataset.toggle) series.classList.toggle("off", !show);
      }
    });
  }

  // Charts: the point of a curve that is nearest to the pointer, with its scorer and both values.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const valueAt = (pixel, from, to, low, high, log) => {
    const share = (pixel - from) / (to - from);
    return log ? low * Math.pow(high / low, share) : low + (high - low) * share;
  };
  const nearest = (svg, x, y) => {
    let best = null;
    for (const line of all(".series[data-series]:not(.off) polyline", svg)) {
      for (const point of line.points) {
        const far = Math.hypot(point.x - x, point.y - y);
        if (!best || far < best.far) best = { far, point, line };
      }
    }
    return best && best.far < 30 ? best : null;
  };
  for (const svg of all("svg.hover")) {
    const [x0, x1, xLow, xHigh, xLog, y0, y1, yLow, yHigh, yLog] = svg.dataset.frame.split(" ").map(Number);
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    cursor.setAttribute("r", "4");
    cursor.setAttribute("class", "cursor");
    const hide = () => { tip.hidden = true; cursor.remove(); };
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const found = nearest(svg, at.x, at.y);
      if (!found) return hide();
      cursor.setAttribute("cx", found.point.x);
      cursor.setAttribute("cy", found.point.y);
      cursor.setAttribute("stroke", found.line.getAttribute("stroke"));
      svg.append(cursor);
      const x = valueAt(found.point.x, x0, x1, xLow, xHigh, xLog);
      const y = valueAt(found.point.y, y0, y1, yLow, yHigh, yLog);
      const name = found.line.parentNode.dataset.series;
      tip.textContent = `${name}: ${svg.dataset.x} ${x.toPrecision(3)}, ${svg.dataset.y} ${y.toPrecision(3)}`;
      tip.hidden = false;
      const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
      tip.style.left = `${Math.max(8, left)}px`;
      tip.style.top = `${event.clientY + 16}px`;
    });
  }

  // Classes of variants: the selected scorer's rows only.
  for (const select of all("select[data-rows]")) {
    const bodies = all("tbody[data-scorer]", document.getElementById(select.dataset.rows));
    const show = () => bodies.forEach((body) => { body.hidden = body.dataset.scorer !== select.value; });
    select.addEventListener("change", show);
    show();
  }
})();
