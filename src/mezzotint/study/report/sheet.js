"use strict";
// The contact sheet: as many lines as are seen, whatever the number of pictures.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sheet = document.getElementById("sheet"), frame = sheet.parentElement, bar = document.querySelector(".bar"), count = bar.querySelector("output");
  const dialog = document.querySelector("dialog"), gap = 6, label = 20, below = 12, side = data.side;
  const height = label + side + 2 + below, shown = new Map();
  let order = [], lines = [], across = 1, open = -1;

  const make = (tag, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  };
  const source = i => `${data.folder}/${data.key[i].slice(0, 2)}/${data.key[i]}.webp`;
  const said = value => value === null ? "none" : typeof value === "number" ? String(+value.toPrecision(5)) : String(value);
  const cellName = cell => data.axes.map((axis, a) => `${axis} ${said(data.cells[cell][a])}`).join(" · ") || data.title;

  function chooser(name, options, changed) {
    const select = make("select", { onchange: () => { changed(select.value); rebuild(); } });
    options.forEach(([value, text]) => select.append(make("option", { value, textContent: text })));
    bar.insertBefore(make("label", {}, name + " ", select), count);
  }

  const wanted = data.axes.map(() => "");
  let by = "";
  data.axes.forEach((axis, a) => {
    const values = [...new Set(data.cells.map(cell => said(cell[a])))];
    if (values.length > 1) chooser(axis, [["", "all"], ...values.map(v => [v, v.length > 60 ? v.slice(0, 59) + "…" : v])], v => { wanted[a] = v; });
  });
  const names = Object.keys(data.metrics);
  if (names.length) chooser("order", [["", "as asked"], ...names.flatMap(n => [["-" + n, n + ", highest first"], ["+" + n, n + ", lowest first"]])], v => { by = v; });

  function rebuild() {
    across = Math.max(1, Math.floor((sheet.clientWidth + gap) / (side + 2 + gap)));
    const fits = data.cells.map(cell => wanted.every((w, a) => !w || said(cell[a]) === w));
    order = data.cell.map((_, i) => i).filter(i => fits[data.cell[i]]);
    lines = [];
    if (by) {
      const values = data.metrics[by.slice(1)], sign = by[0] === "-" ? -1 : 1;
      const known = order.filter(i => values[i] !== null).sort((p, q) => sign * (values[p] - values[q]) || p - q);
      order = known.concat(order.filter(i => values[i] === null));
      for (let start = 0; start < order.length; start += across) lines.push([start, Math.min(start + across, order.length), true]);
    } else {
      for (let start = 0; start < order.length;) {
        const cell = data.cell[order[start]], first = start;
        let end = start;
        while (end < order.length && data.cell[order[end]] === cell) end++;
        for (; start < end; start += across) lines.push([start, Math.min(start + across, end), start === first]);
        start = end;
      }
    }
    sheet.style.height = lines.length * height + "px";
    count.textContent = `${order.length.toLocaleString("en")} of ${data.cell.length.toLocaleString("en")} pictures`;
    shown.forEach(element => element.remove());
    shown.clear();
    frame.scrollTop = 0;
    draw();
  }

  function head(start, first) {
    if (!first) return make("p");
    const i = order[start];
    if (!by) return make("p", { title: cellName(data.cell[i]) }, make("b", { textContent: cellName(data.cell[i]) }));
    const value = data.metrics[by.slice(1)][i];
    return make("p", { textContent: `${by.slice(1)} from ${value === null ? "none" : said(value)}` });
  }

  function line(index) {
    const [start, end, first] = lines[index];
    const tiles = make("div", { className: "tiles" });
    for (let at = start; at < end; at++) {
      const i = order[at], text = `${cellName(data.cell[i])}, seed ${data.seed[i]}`;
      const image = make("img", { width: side, height: side, decoding: "async", alt: text, src: source(i) });
      tiles.append(make("button", { className: "tile", title: text, onclick: () => recipe(at) }, image));
    }
    const element = make("div", { className: "line" }, head(start, first), tiles);
    element.style.top = index * height + "px";
    return element;
  }

  function draw() {
    const top = frame.scrollTop, room = frame.clientHeight;
    const from = Math.max(0, Math.floor((top - room) / height)), to = Math.min(lines.length, Math.ceil((top + 2 * room) / height));
    shown.forEach((element, index) => { if (index < from || index >= to) { element.remove(); shown.delete(index); } });
    for (let index = from; index < to; index++) if (!shown.has(index)) {
      const element = line(index);
      shown.set(index, element);
      sheet.append(element);
    }
  }

  function request(i) {
    const found = { ...data.base };
    for (const [field, { values, at }] of Object.entries(data.varied)) if (at[i] >= 0) found[field] = values[at[i]];
    return Object.fromEntries(Object.entries(found).sort(([a], [b]) => a < b ? -1 : 1));
  }

  function recipe(at) {
    open = at;
    const i = order[at], table = make("table"), asked = JSON.stringify(request(i), null, 1);
    const row = (name, value) => table.append(make("tr", {}, make("th", { textContent: name }), make("td", { textContent: said(value) })));
    data.axes.forEach((axis, a) => row(axis, data.cells[data.cell[i]][a]));
    row("seed", data.seed[i]);
    row("model", data.models[data.model[i]]);
    names.forEach(name => { if (data.metrics[name][i] !== null) row(name, data.metrics[name][i]); });
    row("evaluations", data.evaluations[i]);
    row("seconds", data.seconds[i]);
    row("key", data.key[i]);
    const button = (text, onclick) => make("button", { textContent: text, onclick });
    dialog.replaceChildren(make("div", { className: "recipe" },
      make("div", {}, make("img", { src: source(i), alt: "" }),
        make("div", { className: "keys" }, button("←", () => step(-1)), button("→", () => step(1)), button("close", () => dialog.close()))),
      make("div", {}, make("h3", { textContent: cellName(data.cell[i]) }), table, make("pre", { textContent: asked }))));
    if (!dialog.open) dialog.showModal();
  }

  const step = by => { if (open + by >= 0 && open + by < order.length) recipe(open + by); };
  dialog.addEventListener("keydown", event => { if (event.key === "ArrowLeft") step(-1); if (event.key === "ArrowRight") step(1); });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });

  let waiting = false, width = sheet.clientWidth;
  const soon = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } };
  frame.addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", () => { if (sheet.clientWidth !== width) { width = sheet.clientWidth; rebuild(); } else soon(); });
  rebuild();
})();
