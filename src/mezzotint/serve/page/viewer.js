// One picture with its recipe and its inside; two pictures with a slider between them.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { asCommand, asCurl, asPython, copy, known } from "./recipe.js";

function Dialog({ close, label, children }) {
  const node = useRef(null);
  useEffect(() => { node.current.showModal(); }, []);
  return html`<dialog ref=${node} aria-label=${label} onClose=${close}
    onClick=${(e) => { if (e.target === node.current) node.current.close(); }}>
    ${children}<p><button onClick=${() => node.current.close()}>Close</button></p></dialog>`;
}

function useInside(picture, part) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    setFound(null);
    api.inside(picture.job, picture.number, part).then(setFound, () => setFound(null));
  }, [picture.job, picture.number, part]);
  return found;
}

export function Viewer({ picture, close, use, say }) {
  const [recipe, setRecipe] = useState(null);
  const [shown, setShown] = useState("");
  const [frame, setFrame] = useState(null);
  const trace = useInside(picture, "trace"), attention = useInside(picture, "attention"), ledger = useInside(picture, "ledger");
  useEffect(() => { api.recipeOf(picture.job, picture.number).then(setRecipe, (error) => say(error.message)); }, [picture]);
  const request = recipe?.request;
  const put = async (what, text) => say(await copy(text) ? `${what} copied` : text);
  const base = `/v1/pictures/${picture.job}/images/${picture.number}`;
  return html`<${Dialog} close=${close} label="A picture and its recipe"><div class="viewer">
    <div class="shown">
      <img src=${shown || picture.url} alt=${request?.prompt || "the picture"} />
      ${trace?.frames > 1 && html`<label><span>On the way: ${frame === null ? "finished" : `after ${trace.evaluations[frame]} evaluations`}</span>
        <input type="range" min="0" max=${trace.frames} value=${frame ?? trace.frames} onInput=${(e) => {
          const at = Number(e.target.value);
          setFrame(at === trace.frames ? null : at);
          setShown(at === trace.frames ? "" : `${base}/trace/${at}`);
        }} /></label>
        <div class="words" role="group" aria-label="Channels of the latents">${[...Array(trace.channels).keys()].map((channel) => html`
          <button onClick=${() => setShown(`${base}/trace/${frame ?? trace.frames - 1}/channels/${channel}`)}>channel ${channel + 1}</button>`)}</div>`}
      ${attention && html`<div><span class="label">Where it looked for each word</span>
        <div class="words">${attention.words.map((word, i) => html`<button title=${`${Math.round(100 * attention.shares[i])} % of all attention`}
          onMouseEnter=${() => setShown(`${base}/attention/${i}`)} onMouseLeave=${() => setShown("")}
          onFocus=${() => setShown(`${base}/attention/${i}`)} onBlur=${() => setShown("")}>${word}</button>`)}</div></div>`}
      ${ledger?.length > 0 && html`<${Ledger} entries=${ledger} />`}
    </div>
    <aside>
      <h2>Recipe</h2>
      ${request && html`<dl>
        <dt>model</dt><dd>${recipe.provenance.model}</dd>
        ${Object.entries(known(request)).map(([name, value]) => html`<dt>${name}</dt><dd>${String(value)}</dd>`)}
        <dt>made in</dt><dd>${recipe.provenance.seconds.toFixed(2)} s, ${recipe.provenance.evaluations} evaluations,
          ${" "}${recipe.provenance.runtime} ${recipe.provenance.dtype}</dd></dl>
        <div class="words">
          <button class="primary" onClick=${() => { use(request, recipe.provenance.model); close(); }}>Use this recipe</button>
          <a href=${picture.url} download><button tabindex="-1">Save the PNG</button></a>
        </div>
        <div class="words">
          <button onClick=${() => put("The command", asCommand(request, recipe.provenance.model))}>Copy as command</button>
          <button onClick=${() => put("The Python", asPython(request, recipe.provenance.model))}>Copy as Python</button>
          <button onClick=${() => put("The curl line", asCurl(request, recipe.provenance.model))}>Copy as curl</button>
        </div>`}
    </aside></div></${Dialog}>`;
}

// How far each guidance term moved the picture, step by step.
function Ledger({ entries }) {
  const terms = [...new Set(entries.map((one) => one.term))];
  const most = Math.max(...entries.map((one) => one.moved), 1e-9), last = Math.max(...entries.map((one) => one.evaluation), 1);
  const points = (term) => entries.filter((one) => one.term === term)
    .map((one) => `${(300 * one.evaluation / last).toFixed(1)},${(80 - 76 * one.moved / most).toFixed(1)}`).join(" ");
  return html`<figure><svg viewBox="0 0 300 84" role="img" aria-label="How far each term moved the picture">
    ${terms.map((term, i) => html`<polyline points=${points(term)} fill="none" stroke=${["#e0642c", "#2f7ed8", "#3a9d5d", "#8a4fbf"][i % 4]} stroke-width="2" />`)}
  </svg><figcaption class="note">${terms.join(", ")}: movement by evaluation</figcaption></figure>`;
}

export function Compare({ pictures, close }) {
  const [at, setAt] = useState(50);
  const [left, right] = pictures;
  return html`<${Dialog} close=${close} label="Two pictures">
    <div class="compare"><img src=${right.url} alt=${`Right: ${right.prompt}, seed ${right.seed}`} />
      <div class="top" style=${{ clipPath: `inset(0 ${100 - at}% 0 0)` }}>
        <img src=${left.url} alt=${`Left: ${left.prompt}, seed ${left.seed}`} /></div></div>
    <label><span>Left: ${left.prompt}, seed ${left.seed}. Right: ${right.prompt}, seed ${right.seed}.</span>
      <input type="range" min="0" max="100" value=${at} onInput=${(e) => setAt(Number(e.target.value))} /></label>
  </${Dialog}>`;
}
