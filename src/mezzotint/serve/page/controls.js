// The form: everything that decides a picture.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { plainScale } from "./recipe.js";

export const EMPTY = {
  model: "", prompt: "a red rose", negative_prompt: "", seed: 7, lock: false, n: 4, steps: null, sampler: "", spacing: "",
  guidance: "", encoder: "", eta: 0, width: "", height: "", upscale: 1, init: "", mask: "", strength: 0.6,
  lora: "", trace: false, attention: false,
};

export const randomSeed = () => Math.floor(Math.random() * 2 ** 32);

// The order that /v1/pictures takes: what is left at the model's own is left out.
export function orderOf(form, caps) {
  const model = caps.models.find((one) => one.name === form.model) ?? caps.models[0];
  const order = { model: model.name, seed: form.seed, n: form.n, preview: 2 };
  if (model.reads_text !== false) {
    order.prompt = form.prompt;
    if (form.negative_prompt) order.negative_prompt = form.negative_prompt;
  }
  if (form.steps) order.steps = form.steps;
  for (const name of ["sampler", "spacing", "guidance", "encoder", "lora"]) if (form[name]) order[name] = form[name];
  if (form.eta && form.sampler === "ddim") order.eta = form.eta;
  if (form.width && form.height) Object.assign(order, { width: Number(form.width), height: Number(form.height) });
  if (form.upscale > 1 && "upscale" in caps.defaults) order.upscale = form.upscale;
  if (form.init) {
    const steps = form.steps ?? defaultOf(model, caps, "steps");
    order.init = form.init;
    if (form.mask) order.mask = form.mask;
    order.begin = Math.min(steps - 1, Math.round(steps * (1 - form.strength)));
  }
  if (form.trace) order.trace = 1;
  if (form.attention) order.attention = true;
  return order;
}

export const defaultOf = (model, caps, name) => model?.defaults?.[name] ?? caps.defaults[name];

const Select = ({ label, value, options, own, set }) => html`
  <label><span>${label}</span>
    <select value=${value} onChange=${(e) => set(e.target.value)}>
      ${own !== undefined && html`<option value="">${own}</option>`}
      ${options.map((one) => html`<option value=${one}>${one}</option>`)}
    </select></label>`;

export function Controls({ form, set, caps, busy, onDraw, say }) {
  const model = caps.models.find((one) => one.name === form.model) ?? caps.models[0];
  const own = (name) => `auto: ${defaultOf(model, caps, name) ?? "the model's own"}`;
  const put = (name) => (value) => set({ ...form, [name]: value });
  const text = (name) => ({ value: form[name], onInput: (e) => put(name)(e.target.value) });
  const steps = form.steps ?? defaultOf(model, caps, "steps");
  const guidance = form.guidance || defaultOf(model, caps, "guidance");
  const scale = plainScale(guidance);
  const submit = (event) => { event.preventDefault(); onDraw(); };
  const onKey = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event); };
  return html`<form class="controls" onSubmit=${submit} onKeyDown=${onKey} aria-label="What to draw">
    ${caps.models.length > 1 && html`<${Select} label="Model" value=${model.name}
      options=${caps.models.map((one) => one.name)} set=${put("model")} />`}
    ${model.reads_text !== false && html`
      <label><span>Prompt</span><textarea id="prompt" rows="3" ...${text("prompt")}></textarea></label>
      <label><span>Negative prompt</span><input ...${text("negative_prompt")} /></label>`}
    <div class="seeds">
      <div><span class="label" id="seed-label">Seed</span><div class="inline">
        <input type="number" min="0" aria-labelledby="seed-label" value=${form.seed}
          onInput=${(e) => put("seed")(Math.max(0, Math.floor(Number(e.target.value) || 0)))} />
        <button type="button" class="icon" aria-label="A random seed" title="A random seed"
          onClick=${() => put("seed")(randomSeed())}>⚄</button>
        <button type="button" class="icon" aria-label="Keep the seed" aria-pressed=${form.lock}
          title="Keep the seed for the next pictures" onClick=${() => put("lock")(!form.lock)}>keep</button>
      </div></div>
      <label><span>Pictures</span><input type="number" min="1" max=${caps.limits.max_count} value=${form.n}
        onInput=${(e) => put("n")(Math.max(1, Math.floor(Number(e.target.value) || 1)))} /></label>
    </div>
    <button class="primary" disabled=${busy}>Draw</button>
    <label><span>Steps: ${steps}</span><input type="range" min="1" max=${Math.min(100, caps.limits.max_steps)} value=${steps}
      onInput=${(e) => put("steps")(Number(e.target.value))} /></label>
    <div class="row">
      <${Select} label="Sampler" value=${form.sampler} options=${caps.samplers} own=${own("sampler")} set=${put("sampler")} />
      <${Select} label="Spacing" value=${form.spacing} options=${caps.spacings} own="auto" set=${put("spacing")} />
    </div>
    ${form.sampler === "ddim" && html`<label><span>Eta: ${form.eta}</span><input type="range" min="0" max="1" step="0.05"
      value=${form.eta} onInput=${(e) => put("eta")(Number(e.target.value))} /></label>`}
    <label><span>Guidance scale: ${scale ?? "by the expression"}</span>
      <input type="range" min="1" max="15" step="0.5" value=${scale ?? 1}
        onInput=${(e) => put("guidance")(`cfg(${e.target.value})`)} /></label>
    <label><span>Guidance, as an expression</span>
      <input value=${form.guidance} placeholder=${defaultOf(model, caps, "guidance")} onInput=${(e) => put("guidance")(e.target.value)}
        list="guidance-terms" spellcheck="false" /></label>
    <datalist id="guidance-terms">${['cfg(3)', 'cfg(5, stop=0.8)', 'cfg(3) + color("#19e680", effect=0.1)',
      'cfg(3) + clip("a red rose", effect=0.1)'].map((one) => html`<option value=${one} />`)}</datalist>
    <details><summary>Size and text</summary><div>
      <div class="row">
        <label><span>Width</span><input type="number" step="8" placeholder=${model.width ?? ""} ...${text("width")} /></label>
        <label><span>Height</span><input type="number" step="8" placeholder=${model.height ?? ""} ...${text("height")} /></label>
      </div>
      ${"upscale" in caps.defaults && html`<${Select} label="Enlarge" value=${form.upscale} options=${[1, 2, 4]}
        set=${(value) => put("upscale")(Number(value))} />`}
      <${Select} label="Text encoder" value=${form.encoder} options=${caps.encoders} own="the model's own" set=${put("encoder")} />
    </div></details>
    <details><summary>Start from a picture</summary><div>
      <${StartPicture} form=${form} set=${set} say=${say} />
    </div></details>
    ${caps.adapters && html`<details><summary>LoRA</summary><div>
      <${Adapters} value=${form.lora} set=${put("lora")} say=${say} /></div></details>`}
    <details><summary>Look inside</summary><div>
      <label class="check"><input type="checkbox" checked=${form.trace}
        onChange=${(e) => put("trace")(e.target.checked)} /><span>Keep each step, to scrub like a film</span></label>
      <label class="check"><input type="checkbox" checked=${form.attention}
        onChange=${(e) => put("attention")(e.target.checked)} /><span>Keep where it looked for each word</span></label>
    </div></details>
  </form>`;
}

function Adapters({ value, set, say }) {
  const [weight, setWeight] = useState(0.8);
  const add = async (file) => {
    try {
      const { digest } = await api.uploadAdapter(file);
      set([value, `${weight}*${digest}`].filter(Boolean).join(" + "));
    } catch (error) { say(error.message); }
  };
  return html`<label><span>Weight: ${weight}</span><input type="range" min="0" max="2" step="0.05" value=${weight}
      onInput=${(e) => setWeight(Number(e.target.value))} /></label>
    <label><span>A LoRA file</span><input type="file" accept=".safetensors"
      onChange=${(e) => e.target.files[0] && add(e.target.files[0])} /></label>
    ${value && html`<pre>${value}</pre><button type="button" onClick=${() => set("")}>Without LoRA</button>`}`;
}

function StartPicture({ form, set, say }) {
  const take = async (file) => {
    try { set({ ...form, init: (await api.upload(file)).digest, mask: "" }); } catch (error) { say(error.message); }
  };
  if (!form.init) {
    return html`<label class="drop"><span>Choose a picture, or drop one on the page</span>
      <input type="file" accept="image/png,image/jpeg,image/webp" onChange=${(e) => e.target.files[0] && take(e.target.files[0])} /></label>`;
  }
  return html`<${Painter} digest=${form.init} mask=${form.mask} setMask=${(mask) => set({ ...form, mask })} say=${say} />
    <label><span>Strength: ${form.strength}</span><input type="range" min="0.05" max="1" step="0.05" value=${form.strength}
      onInput=${(e) => set({ ...form, strength: Number(e.target.value) })} /></label>
    <button type="button" onClick=${() => set({ ...form, init: "", mask: "" })}>Without a start picture</button>`;
}

// The mask is painted over the picture: white is drawn anew.
function Painter({ digest, mask, setMask, say }) {
  const canvas = useRef(null), layer = useRef(null), picture = useRef(null), painting = useRef(false);
  const [brush, setBrush] = useState(16);
  const show = () => {
    const c = canvas.current, pen = c.getContext("2d");
    pen.drawImage(picture.current, 0, 0);
    pen.globalAlpha = 0.6;
    pen.drawImage(layer.current, 0, 0);
    pen.globalAlpha = 1;
  };
  useEffect(() => {
    const image = new Image();
    image.onload = () => {
      picture.current = image;
      layer.current = new OffscreenCanvas(image.width, image.height);
      Object.assign(canvas.current, { width: image.width, height: image.height });
      show();
    };
    image.src = `/v1/uploads/${digest}`;
  }, [digest]);
  const paint = (event) => {
    if (!painting.current || !layer.current) return;
    const box = canvas.current.getBoundingClientRect(), zoom = canvas.current.width / box.width;
    const pen = layer.current.getContext("2d");
    pen.fillStyle = "white";
    pen.beginPath();
    pen.arc((event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom, brush * canvas.current.width / 256, 0, 7);
    pen.fill();
    show();
  };
  const keep = async () => {
    if (!painting.current) return;
    painting.current = false;
    const flat = new OffscreenCanvas(layer.current.width, layer.current.height), pen = flat.getContext("2d");
    pen.fillStyle = "black";
    pen.fillRect(0, 0, flat.width, flat.height);
    pen.drawImage(layer.current, 0, 0);
    try { setMask((await api.upload(await flat.convertToBlob({ type: "image/png" }))).digest); } catch (error) { say(error.message); }
  };
  const clear = () => {
    layer.current.getContext("2d").clearRect(0, 0, layer.current.width, layer.current.height);
    setMask("");
    show();
  };
  return html`<div class="painter">
    <canvas ref=${canvas} aria-label="The start picture; paint what is drawn anew"
      onPointerDown=${(e) => { painting.current = true; e.target.setPointerCapture(e.pointerId); paint(e); }}
      onPointerMove=${paint} onPointerUp=${keep} onPointerCancel=${keep}></canvas>
    <label><span>Brush: ${brush}</span><input type="range" min="3" max="60" value=${brush}
      onInput=${(e) => setBrush(Number(e.target.value))} /></label>
    <p class="note">${mask ? "White is drawn anew, the rest stays." : "Paint over what should be drawn anew, or leave it: all of it changes."}</p>
    <button type="button" onClick=${clear} disabled=${!mask}>Clear the mask</button>
  </div>`;
}
