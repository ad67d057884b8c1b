// X/Y/Z sweeps: a grid that fills in while it is drawn.

import { html, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { orderOf } from "./controls.js";
import { ended, useJob } from "./queue.js";
import { asStudy, download } from "./recipe.js";

const FIELDS = [["", "none"], ["guidance.cfg.scale", "guidance scale"], ["steps", "steps"], ["sampler", "sampler"], ["seed", "seed"],
  ["prompt", "prompt"], ["spacing", "spacing"], ["guidance", "guidance"], ["encoder", "text encoder"], ["eta", "eta"],
  ["begin", "first step"]];
const HINTS = { "guidance.cfg.scale": "1, 2.5, 5, 10", steps: "5..25 step 5", sampler: "ddim, dpmpp-2m, euler", seed: "1..4",
  prompt: "a cat, a dog", guidance: "\"cfg(3)\", \"cfg(3, stop=0.5)\"", eta: "0, 0.5, 1", begin: "5, 10, 15" };

export function Sweep({ form, caps, open, say }) {
  const [axes, setAxes] = useState([
    { field: "guidance.cfg.scale", text: "1, 2.5, 5, 8" }, { field: "steps", text: "4, 8, 16" }, { field: "", text: "" }]);
  const [drawn, setDrawn] = useState(null);
  const [busy, setBusy] = useState(false);
  const put = (i, change) => setAxes(axes.map((axis, j) => j === i ? { ...axis, ...change } : axis));
  const used = axes.map((axis, i) => ({ ...axis, name: "XYZ"[i] })).filter((axis) => axis.field && axis.text.trim());

  // The server crosses axes in order, the last fastest, and seeds last of all.
  const orderedAxes = () => [...used].reverse().sort((a, b) => (a.field === "seed") - (b.field === "seed"));
  const order = () => ({ ...orderOf({ ...form, n: 1 }, caps), preview: 0 });
  const draw = async () => {
    setBusy(true);
    try {
      if (!used.length) throw new Error("give an axis its values");
      if (new Set(used.map((axis) => axis.field)).size < used.length) throw new Error("two axes have the same field");
      const values = await api.parseAxes(Object.fromEntries(used.map((axis) => [axis.field, axis.text])));
      const wanted = order();
      for (const axis of used) delete wanted[axis.field];
      if (values["guidance.cfg.scale"] && !wanted.guidance) wanted.guidance = "cfg(5)";
      const inOrder = orderedAxes();
      const job = await api.submit({ ...wanted, axes: Object.fromEntries(inOrder.map((axis) => [axis.field, values[axis.field]])) });
      setDrawn({ job: await api.jobState(job.id), values, inOrder, used });
    } catch (error) { say(error.message); } finally { setBusy(false); }
  };
  const save = async () => {
    try {
      const values = await api.parseAxes(Object.fromEntries(used.map((axis) => [axis.field, axis.text])));
      download("sweep.yaml", asStudy(order(), values));
    } catch (error) { say(error.message); }
  };
  return html`<div class="axes" role="group" aria-label="Axes">
      ${axes.map((axis, i) => html`<div class="axis" key=${i}><strong>${"XYZ"[i]}</strong>
        <select aria-label=${`Field of axis ${"XYZ"[i]}`} value=${axis.field} onChange=${(e) => put(i, { field: e.target.value, text: HINTS[e.target.value] ?? "" })}>
          ${FIELDS.map(([value, name]) => html`<option value=${value}>${name}</option>`)}</select>
        <input aria-label=${`Values of axis ${"XYZ"[i]}`} value=${axis.text} placeholder="1..20, 1-20 (+1), a, b, c" spellcheck="false"
          onInput=${(e) => put(i, { text: e.target.value })} /></div>`)}
      <div class="words"><button class="primary" onClick=${draw} disabled=${busy}>Draw the sweep</button>
        <button onClick=${save}>Save as a study file</button></div>
      <p class="note">All else is as the form says. Values are typed as in study files or as in A1111.</p>
    </div>
    ${drawn && html`<${Grid} key=${drawn.job.id} drawn=${drawn} open=${open} />`}`;
}

function Grid({ drawn, open }) {
  const [job] = useJob(drawn.job);
  const { values, inOrder, used } = drawn;
  const lengths = inOrder.map((axis) => values[axis.field].length);
  const axis = (name) => used.find((one) => one.name === name);
  const along = (name) => axis(name) ? values[axis(name).field] : [null];
  const label = (name, value) => value === null ? "" : `${FIELDS.find(([field]) => field === axis(name).field)[1]} ${value}`;
  const cell = (at) => {
    const number = inOrder.reduce((sum, one, i) => sum * lengths[i] + at[one.name], 0);
    return job.pictures[number];
  };
  return html`<div class="toolbar"><span class="tag" role="status">${job.finished} of ${job.total}</span>
      ${!ended(job) && html`<button onClick=${() => api.cancel(job.id)}>Cancel</button>`}
      ${job.failed > 0 && html`<span class="bad">${job.pictures.find((one) => one.error)?.error}</span>`}</div>
    ${along("Z").map((z, k) => html`<div class="grid" key=${k} tabindex="0" role="region" aria-label=${label("Z", z) || "The sweep"}>
      ${z !== null && html`<h3>${label("Z", z)}</h3>`}
      <table><thead><tr><td></td>${along("X").map((x) => html`<th scope="col">${label("X", x)}</th>`)}</tr></thead>
        <tbody>${along("Y").map((y, j) => html`<tr><th scope="row">${label("Y", y)}</th>
          ${along("X").map((x, i) => {
            const one = cell({ X: i, Y: j, Z: k });
            return html`<td>${one?.state === "finished"
              ? html`<button onClick=${() => open({ job: job.id, ...one })} aria-label=${`Open: ${label("X", x)} ${label("Y", y)}`}>
                  <img src=${one.url} alt="" /></button>`
              : html`<div class="blank">${one?.state ?? ""}</div>`}</td>`;
          })}</tr>`)}</tbody></table></div>`)}`;
}
