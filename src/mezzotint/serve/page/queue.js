// Jobs as they are drawn: previews step by step, place in the queue, cancel.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";

const ENDED = ["finished", "failed", "cancelled"];
export const ended = (job) => ENDED.includes(job.state);

// The state of a job with news applied, kept up to date until it ends.
export function useJob(first, onEnd) {
  const [job, setJob] = useState(first);
  const [previews, setPreviews] = useState({});
  const live = useRef(true);
  useEffect(() => {
    live.current = true;
    if (ended(first)) return undefined;
    const refresh = async () => {
      try {
        const now = await api.jobState(first.id);
        if (live.current) { setJob(now); if (ended(now)) onEnd?.(now); }
      } catch { /* the next news asks again */ }
    };
    let due = 0;
    const soon = () => { if (!due) due = setTimeout(() => { due = 0; refresh(); }, 250); };
    const step = (news) => {
      if (news.preview) setPreviews((old) => ({ ...old, [news.number]: news.preview }));
      setJob((old) => ({ ...old, pictures: old.pictures.map((one) =>
        one.number === news.number ? { ...one, state: "running", done: news.step, evaluations: news.of } : one) }));
    };
    const stop = api.follow(first.id, { queued: (news) => setJob((old) => ({ ...old, place: news.place, eta_seconds: news.eta_seconds })),
      step, finished: soon, failed: soon, cancelled: soon, done: refresh }, refresh);
    return () => { live.current = false; clearTimeout(due); stop(); };
  }, [first.id]);
  return [job, previews];
}

const seconds = (value) => value === null || value === undefined ? "" :
  value < 90 ? `about ${Math.max(1, Math.round(value))} s` : `about ${Math.round(value / 60)} min`;

export function Picture({ one, preview, onOpen, foot }) {
  const alt = `Seed ${one.seed}`;
  if (one.state === "finished") {
    return html`<div class="card"><button class="open" onClick=${onOpen} aria-label=${`Open picture, seed ${one.seed}`}>
      <img src=${one.url} alt=${alt} loading="lazy" /></button>
      <div class="foot"><span>${foot ?? `seed ${one.seed}`}</span></div></div>`;
  }
  const share = one.evaluations ? one.done / one.evaluations : 0;
  return html`<div class="card preview">
    ${preview ? html`<img src=${preview} alt=${`${alt}, on its way`} />` : html`<div class="blank">${one.state}</div>`}
    <progress value=${share} max="1" aria-label=${`${alt}: ${one.done} of ${one.evaluations} steps`}></progress>
    <div class="foot"><span class=${one.error ? "bad" : ""}>${one.error || `step ${one.done} of ${one.evaluations || "…"}`}</span></div></div>`;
}

function Job({ first, onEnd, open, title }) {
  const [job, previews] = useJob(first, onEnd);
  const waiting = job.state === "queued" && job.place ? `${job.place} before it` : "";
  const change = (by) => api.setPriority(job.id, Math.max(-10, Math.min(10, job.priority + by))).catch(() => {});
  return html`<section class="job" aria-label=${title ?? job.id}>
    <header><strong>${title ?? `${job.total} picture${job.total > 1 ? "s" : ""}`}</strong>
      <span class="tag" role="status">${job.state}${waiting && `, ${waiting}`}</span>
      ${!ended(job) && html`<span class="note">${seconds(job.eta_seconds)}</span>
        ${job.state === "queued" && html`<button class="icon" onClick=${() => change(1)} aria-label="Sooner" title="Sooner">↑</button>
          <button class="icon" onClick=${() => change(-1)} aria-label="Later" title="Later">↓</button>`}
        <button onClick=${() => api.cancel(job.id)}>Cancel</button>`}
    </header>
    ${job.failed > 0 && html`<p class="bad" role="alert">${job.pictures.find((one) => one.error)?.error}</p>`}
    <div class="cards">${job.pictures.slice(0, 64).map((one) => html`<${Picture} key=${one.number} one=${one}
      preview=${previews[one.number]} onOpen=${() => open({ job: job.id, number: one.number, model: one.model, seed: one.seed, url: one.url })} />`)}</div>
    ${job.total > 64 && html`<p class="note">${job.total - 64} more are in the gallery.</p>`}
  </section>`;
}

export function Queue({ jobs, titles, onEnd, open }) {
  if (!jobs.length) return html`<p class="empty">Write a prompt and press Draw. Drop a picture here to recall its recipe.</p>`;
  return jobs.map((job) => html`<${Job} key=${job.id} first=${job} onEnd=${onEnd} open=${open} title=${titles[job.id]} />`);
}
