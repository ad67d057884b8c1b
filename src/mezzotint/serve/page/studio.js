// The studio: the form beside what is drawn, the gallery and the sweeps.

import { html, render, useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { Controls, EMPTY, orderOf, randomSeed } from "./controls.js";
import { Gallery } from "./gallery.js";
import { Queue } from "./queue.js";
import { Sweep } from "./sweep.js";
import { Compare, Viewer } from "./viewer.js";

const TABS = [["drawing", "Drawing"], ["gallery", "Gallery"], ["sweep", "Sweep"]];
const FORM = "mezzotint-form";

function remembered() {
  try { return { ...EMPTY, ...JSON.parse(localStorage.getItem(FORM) ?? "{}") }; } catch { return EMPTY; }
}

// The form that a recipe fills in; what it does not say keeps the model's own.
function formOf(fields, model, form, caps) {
  const served = caps.models.some((one) => one.name === model) ? model : form.model;
  const { begin, steps } = fields;
  return {
    ...EMPTY, model: served, n: 1, lock: true, prompt: fields.prompt ?? "", negative_prompt: fields.negative_prompt ?? "",
    seed: fields.seed ?? form.seed, steps: steps ?? null, sampler: fields.sampler ?? "", spacing: fields.spacing ?? "",
    guidance: fields.guidance === undefined ? "" : String(fields.guidance), encoder: fields.encoder ?? "", eta: fields.eta ?? 0,
    width: fields.width ?? "", height: fields.height ?? "", upscale: fields.upscale ?? 1, init: fields.init ?? "", mask: fields.mask ?? "",
    strength: fields.init && steps ? Math.round(20 * (1 - (begin ?? 0) / steps)) / 20 : EMPTY.strength, lora: fields.lora ?? "",
  };
}

function Studio({ caps }) {
  const [form, setForm] = useState(remembered);
  const [tab, setTab] = useState("drawing");
  const [jobs, setJobs] = useState([]);
  const [titles, setTitles] = useState({});
  const [opened, setOpened] = useState(null);
  const [compared, setCompared] = useState(null);
  const [toast, setToast] = useState("");
  const [busy, setBusy] = useState(false);
  const [version, setVersion] = useState(0);
  const timer = useRef(0);
  const say = useCallback((text) => {
    setToast(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setToast(""), 7000);
  }, []);
  useEffect(() => {
    const { init, mask, ...kept } = form;
    try { localStorage.setItem(FORM, JSON.stringify(kept)); } catch { /* a private window */ }
  }, [form]);
  useEffect(() => { api.jobs(6).then((found) => setJobs(found.jobs), (error) => say(error.message)); }, []);
  const onEnd = useCallback(() => setVersion((old) => old + 1), []);
  const draw = async () => {
    setBusy(true);
    try {
      const order = orderOf(form, caps);
      const job = await api.submit(order);
      setTitles((old) => ({ ...old, [job.id]: order.prompt ?? order.model }));
      setJobs((old) => [job, ...old].slice(0, 20));
      setTab("drawing");
      if (!form.lock) setForm((old) => ({ ...old, seed: randomSeed() }));
    } catch (error) { say(error.message); } finally { setBusy(false); }
  };
  const use = useCallback((fields, model) => setForm((old) => formOf(fields, model, old, caps)), [caps]);
  const recall = async (file) => {
    try {
      const found = await api.recall(file);
      use(found.fields, found.model.split(" ")[0]);
      const notes = [...found.guessed, ...found.unknown];
      say(`Recipe of ${found.tool} recalled${notes.length ? `. Not sure: ${notes.slice(0, 3).join("; ")}` : ""}`);
    } catch (error) {
      try {
        const { digest } = await api.upload(file);
        setForm((old) => ({ ...old, init: digest, mask: "" }));
        say("It carries no recipe, so it is the picture to start from");
      } catch { say(error.message); }
    }
  };
  useEffect(() => {
    const over = (event) => event.preventDefault();
    const drop = (event) => { event.preventDefault(); const [file] = event.dataTransfer.files; if (file) recall(file); };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    return () => { removeEventListener("dragover", over); removeEventListener("drop", drop); };
  }, [form]);
  return html`
    <header class="bar"><img src="/page/icon.svg" alt="" /><h1>Mezzotint</h1>
      <nav role="tablist" aria-label="Views">${TABS.map(([key, name]) => html`<button role="tab" id=${`tab-${key}`} aria-selected=${tab === key}
        aria-controls="stage" onClick=${() => setTab(key)}>${name}</button>`)}
        <label class="inline"><span class="hidden">Recall the recipe of a picture</span>
          <input class="hidden" id="recall" type="file" accept="image/*" onChange=${(e) => e.target.files[0] && recall(e.target.files[0])} />
          <button onClick=${() => document.getElementById("recall").click()}>Recall</button></label></nav></header>
    <main class="house">
      <${Controls} form=${form} set=${setForm} caps=${caps} busy=${busy} onDraw=${draw} say=${say} />
      <div class="stage" id="stage" role="tabpanel" aria-labelledby=${`tab-${tab}`}>
        ${tab === "drawing" && html`<${Queue} jobs=${jobs} titles=${titles} onEnd=${onEnd} open=${setOpened} />`}
        ${tab === "gallery" && html`<${Gallery} open=${setOpened} compare=${setCompared} version=${version} say=${say} />`}
        ${tab === "sweep" && html`<${Sweep} form=${form} caps=${caps} open=${setOpened} say=${say} />`}
      </div></main>
    ${opened && html`<${Viewer} picture=${opened} close=${() => setOpened(null)} use=${use} say=${say} />`}
    ${compared && html`<${Compare} pictures=${compared} close=${() => setCompared(null)} />`}
    <div role="status" aria-live="polite">${toast && html`<div class="toast">${toast}</div>`}</div>`;
}

const root = document.getElementById("studio");
api.capabilities().then((caps) => { root.textContent = ""; render(html`<${Studio} caps=${caps} />`, root); },
  (error) => { root.textContent = error.message; });
