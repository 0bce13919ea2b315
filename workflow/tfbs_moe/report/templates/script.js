"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };

  const draw = (name, attributes = {}, text = null) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    return node;
  };

  const button = (label, action) => {
    const node = make("button", { type: "button", class: "tool" }, label);
    node.addEventListener("click", action);
    return node;
  };

  const save = (blob, name) => {
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  /* Tables: a click on a column's name sorts by it. */

  // A cell's own key sorts it where its text is rounded; empty keys go last whichever way the column is sorted.
  const keyOf = (cell) => cell.dataset.key ?? cell.textContent.trim();
  const compare = (a, b, numeric) => (numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));

  const sort = (table, column, header) => {
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    const numeric = header.classList.contains("number");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [keyOf(row.cells[column]), row]);
    rows.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return ascending ? compare(a, b, numeric) : compare(b, a, numeric);
    });
    body.append(...rows.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  };

  for (const table of all("table")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const node = make("button", { type: "button" }, header.textContent);
      node.addEventListener("click", () => sort(table, column, header));
      header.replaceChildren(node);
    });
  }

  /* Search: rows of tables and figures that do not hold the words are put away. */

  const finder = document.getElementById("find");
  const field = document.getElementById("find-text");
  const counter = document.getElementById("find-count");
  const searched = [
    ...all("tbody tr").map((row) => [row, row.textContent.toLowerCase()]),
    ...all("figure").filter((figure) => figure.dataset.topics)
      .map((figure) => [figure, `${figure.dataset.topics} ${figure.querySelector("strong").textContent}`.toLowerCase()]),
  ];

  const find = () => {
    const words = field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let rows = 0;
    for (const [node, text] of searched) {
      // A figure of the whole study holds every factor; only those of one test set answer to a search.
      const named = node.tagName === "TR" || node.id.startsWith("figure-logos-");
      const holds = !named || words.every((word) => text.includes(word));
      node.classList.toggle("found-not", !holds);
      if (holds && node.tagName === "TR") rows += 1;
    }
    counter.value = words.length ? `${rows} table row${rows === 1 ? "" : "s"} hold${rows === 1 ? "s" : ""} it` : "";
  };

  finder.hidden = false;
  finder.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", find);

  /* Figures: open large, and save as SVG and PNG. */

  const dialog = make("dialog", { "aria-label": "Figure, enlarged" });
  document.body.append(dialog);

  const enlarge = (picture) => {
    const large = make("img", { src: picture.src, alt: picture.alt });
    dialog.replaceChildren(button("Close", () => dialog.close()), large);
    dialog.showModal();
  };

  const unpack = async (packed, type) => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Blob([await new Response(stream).arrayBuffer()], { type });
  };

  const rasterise = (picture) => new Promise((resolve) => {
    const canvas = make("canvas", { width: 3 * picture.width, height: 3 * picture.height });
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(resolve, "image/png");
  });

  for (const packed of all("a[data-packed]")) {
    packed.addEventListener("click", async (event) => {
      event.preventDefault();
      save(await unpack(packed.href.split(",")[1], packed.dataset.packed), packed.download.replace(/\.gz$/, ""));
    });
  }

  for (const figure of all("figure")) {
    const picture = figure.querySelector("img");
    const title = figure.querySelector("strong").textContent.replace(/\.$/, "");
    const downloads = figure.querySelector(".downloads");
    const name = downloads.querySelector("a").download.replace(/\.[a-z]+$/, "");
    const isVector = picture.src.startsWith("data:image/svg");
    const link = (label, attributes) => {
      downloads.append(make("a", { "aria-label": `Download ${title} as ${label}`, ...attributes }, label));
      return downloads.lastElementChild;
    };
    if (isVector) link("SVG", { href: picture.src, download: `${name}.svg` });
    if (isVector) {
      link("PNG", { href: `#${figure.id}` }).addEventListener("click", async (event) => {
        event.preventDefault();
        save(await rasterise(picture), `${name}.png`);
      });
    } else {
      link("PNG", { href: picture.src, download: `${name}.png` });
    }
    const opener = button("Enlarge", () => enlarge(picture));
    opener.setAttribute("aria-label", `Enlarge ${title}`);
    downloads.append(opener);
  }

  /* Logos: one at a time, with a picker. */

  const logos = all("figure[id^='figure-logos-']");
  if (logos.length > 1) {
    const picker = make("select", { id: "logo-picker" }, make("option", { value: "" }, `All ${logos.length}`));
    for (const figure of logos) picker.append(make("option", { value: figure.id }, figure.querySelector("strong").textContent));
    const show = () => {
      for (const figure of logos) figure.hidden = Boolean(picker.value) && figure.id !== picker.value;
    };
    picker.addEventListener("change", show);
    picker.value = logos[0].id;
    show();
    logos[0].before(make("p", { class: "tools" }, make("label", { for: "logo-picker" }, "Logos of "), picker));
    addEventListener("beforeprint", () => logos.forEach((figure) => { figure.hidden = false; }));
    addEventListener("afterprint", show);
  }

  /* Charts to explore. */

  const rowsOf = ([columns, ...rows]) => rows.map((row) => Object.fromEntries(columns.map((name, place) => [name, row[place]])));
  const fixed = (value) => (value === null ? "–" : value.toFixed(3).replace("-", "−"));

  const axis = (svg, left, top, width, height, ticks, place) => {
    for (const tick of ticks) {
      const x = place(tick);
      svg.append(draw("line", { class: "grid", x1: x, x2: x, y1: top, y2: top + height }));
      svg.append(draw("text", { x, y: top + height + 16, "text-anchor": "middle" }, String(tick)));
    }
    svg.append(draw("line", { class: "grid", x1: left, x2: left + width, y1: top + height, y2: top + height }));
  };

  const mark = (node, words, say) => {
    node.classList.add("mark");
    node.append(draw("title", {}, words));
    for (const event of ["mouseenter", "click"]) node.addEventListener(event, () => say(words));
    return node;
  };

  const charts = {
    dots: (data, chosen, shown, say) => {
      const points = rowsOf(data.points).filter((point) => point.protocol === chosen.protocol && point.rows === chosen.rows);
      const labels = [...new Set(points.map((point) => point.label))];
      const models = data.models.filter((model) => shown.has(model.name));
      const step = Math.max(18, 9 * models.length);
      const height = step * labels.length;
      const lowest = Math.min(0.5, ...points.map((point) => point.lower ?? point.value)) - 0.02;
      const place = (value) => 130 + ((value - lowest) / (1 - lowest)) * 550;
      const svg = draw("svg", { viewBox: `0 0 700 ${height + 40}` });
      axis(svg, 130, 10, 550, height, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].filter((tick) => tick >= lowest), place);
      labels.forEach((label, row) => {
        const middle = 10 + step * (row + 0.5);
        svg.append(draw("text", { x: 122, y: middle + 4, "text-anchor": "end" }, label));
        models.forEach((model, order) => {
          const y = middle + (order - (models.length - 1) / 2) * (step / (models.length + 1));
          for (const point of points.filter((one) => one.label === label && one.model === model.name)) {
            const words = `${label}, ${model.label}: AUROC ${fixed(point.value)} [${fixed(point.lower)}, ${fixed(point.upper)}], ${point.n} rows, ${point.seeds} seed(s)`;
            if (point.lower !== null) svg.append(draw("line", { x1: place(point.lower), x2: place(point.upper), y1: y, y2: y, stroke: model.colour, "stroke-width": 1.5 }));
            svg.append(mark(draw("circle", { cx: place(point.value), cy: y, r: 4.5, fill: model.colour }), words, say));
          }
        });
      });
      return svg;
    },
    curves: (data, chosen, shown, say) => {
      const svg = draw("svg", { viewBox: "0 0 480 460" });
      const [x, y] = [(value) => 60 + 400 * value, (value) => 410 - 400 * value];
      axis(svg, 60, 10, 400, 400, [0, 0.25, 0.5, 0.75, 1], x);
      for (const tick of [0, 0.5, 1]) svg.append(draw("text", { x: 52, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
      svg.append(draw("text", { x: 260, y: 448, "text-anchor": "middle" }, "false-positive rate"));
      svg.append(draw("text", { x: 16, y: 210, "text-anchor": "middle", transform: "rotate(-90 16 210)" }, "true-positive rate"));
      svg.append(draw("line", { class: "grid", x1: x(0), y1: y(0), x2: x(1), y2: y(1), "stroke-dasharray": "3 4" }));
      for (const model of data.models.filter((one) => shown.has(one.name))) {
        for (const line of data.lines.filter((one) => one.protocol === chosen.protocol && one.label === chosen.label && one.model === model.name)) {
          const points = line.points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ");
          const node = draw("polyline", { points, fill: "none", stroke: model.colour, "stroke-width": 2 });
          mark(node, `${chosen.label}, ${model.label}`, say);
          node.addEventListener("mousemove", (event) => {
            const box = svg.getBoundingClientRect();
            const at = Math.min(1, Math.max(0, (((event.clientX - box.left) / box.width) * 480 - 60) / 400));
            const near = line.points.reduce((best, one) => (Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best));
            say(`${chosen.label}, ${model.label}: true-positive rate ${fixed(near[1])} at a false-positive rate of ${fixed(near[0])}`);
          });
          svg.append(node);
        }
      }
      return svg;
    },
    bars: (data, chosen, shown, say) => {
      const points = rowsOf(data.points).filter((point) => Object.keys(data.panels).every((name) => point[name] === chosen[name]));
      const labels = [...new Set(points.map((point) => point.label))];
      const svg = draw("svg", { viewBox: `0 0 700 ${26 * labels.length + 40}` });
      const place = (value) => 130 + 550 * value;
      axis(svg, 130, 10, 550, 26 * labels.length, [0, 0.25, 0.5, 0.75, 1], place);
      labels.forEach((label, row) => {
        svg.append(draw("text", { x: 122, y: 27 + 26 * row, "text-anchor": "end" }, label));
        let start = 0;
        for (const model of data.models) {
          const point = points.find((one) => one.label === label && one.expert === model.name);
          if (!point) continue;
          if (shown.has(model.name)) {
            const bar = draw("rect", { x: place(start), y: 13 + 26 * row, width: 550 * point.value, height: 20, fill: model.colour });
            svg.append(mark(bar, `${label}: the gate gives ${model.label} ${fixed(point.value)}`, say));
          }
          start += point.value;
        }
      });
      return svg;
    },
  };

  for (const explorer of all(".explorer")) {
    const data = JSON.parse(explorer.querySelector("script").textContent);
    const form = make("form");
    const chosen = {};
    const shown = new Set(data.models.map((model) => model.name));
    const picture = make("div", { class: "chart" });
    const said = make("output", { "aria-live": "polite" });
    const title = explorer.querySelector("h3").textContent;
    const redraw = () => {
      const svg = charts[explorer.dataset.chart](data, chosen, shown, (words) => { said.value = words; });
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `${title}: ${Object.values(chosen).join(", ")}. The tables have the same numbers.`);
      picture.replaceChildren(svg);
      said.value = "";
    };
    for (const [name, values] of Object.entries(data.panels)) {
      const select = make("select", {}, ...values.map((value) => make("option", { value }, value.replaceAll("_", " "))));
      chosen[name] = values[values.length > 1 && name === "protocol" ? values.length - 1 : 0];
      select.value = chosen[name];
      select.addEventListener("change", () => { chosen[name] = select.value; redraw(); });
      const words = { label: "test set", labelled: "rows", rows: "rows" }[name] ?? name;
      if (values.length > 1) form.append(make("label", {}, `${words} `, select));
    }
    const legend = make("fieldset", {}, make("legend", {}, "Shown"));
    for (const model of data.models) {
      const box = make("input", { type: "checkbox" });
      box.checked = true;
      box.addEventListener("change", () => { shown[box.checked ? "add" : "delete"](model.name); redraw(); });
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = model.colour;
      legend.append(make("label", {}, box, " ", swatch, model.label));
    }
    form.append(legend);
    form.addEventListener("submit", (event) => event.preventDefault());
    explorer.append(form, picture, said);
    explorer.hidden = false;
    redraw();
  }

  // What is wider than the screen is reached by the keyboard, and what is not is no stop on its way.
  const reach = (frame) => {
    const name = frame.closest("figure, .explorer").querySelector("strong, h3").textContent;
    const wide = frame.scrollWidth > frame.clientWidth;
    for (const [key, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": name })) {
      if (wide) frame.setAttribute(key, value);
      else frame.removeAttribute(key);
    }
  };
  const watcher = new ResizeObserver((entries) => entries.forEach((entry) => reach(entry.target)));
  for (const frame of all(".picture, .explorer .chart")) watcher.observe(frame);

  // What is folded on the screen is read on paper.
  addEventListener("beforeprint", () => {
    for (const fold of all("details")) fold.open = true;
  });
})();
