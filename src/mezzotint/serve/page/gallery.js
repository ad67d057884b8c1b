// All finished pictures: only the rows in sight are in the page.

import { html, useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";

const PAGE = 200, CARD = 172, ROW = 216;

export function Gallery({ open, compare, version, say }) {
  const [search, setSearch] = useState("");
  const [starred, setStarred] = useState(false);
  const [total, setTotal] = useState(null);
  const [pages, setPages] = useState({});
  const [view, setView] = useState({ top: 0, height: 800, width: 800 });
  const [chosen, setChosen] = useState([]);
  const box = useRef(null), asked = useRef(new Set()), query = useRef("");

  const load = useCallback(async (page) => {
    const key = query.current;
    if (asked.current.has(page)) return;
    asked.current.add(page);
    try {
      const found = await api.gallery({ search, starred, limit: PAGE, offset: page * PAGE });
      if (key !== query.current) return;
      setTotal(found.pagination.total);
      setPages((old) => ({ ...old, [page]: found.pictures }));
    } catch (error) { asked.current.delete(page); say(error.message); }
  }, [search, starred]);

  useEffect(() => {
    query.current = `${search} ${starred} ${version}`;
    asked.current = new Set();
    setPages({});
    const later = setTimeout(() => load(0), search ? 200 : 0);
    return () => clearTimeout(later);
  }, [search, starred, version]);

  useEffect(() => {
    let due = 0;
    const look = () => {
      due = 0;
      if (!box.current) return;
      const at = box.current.getBoundingClientRect();
      setView({ top: Math.max(0, -at.top), height: innerHeight, width: at.width });
    };
    const later = () => { due ||= requestAnimationFrame(look); };
    look();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => { removeEventListener("scroll", later); removeEventListener("resize", later); cancelAnimationFrame(due); };
  }, []);

  const across = Math.max(1, Math.floor((view.width + 10) / CARD));
  const width = (view.width - 10 * (across - 1)) / across, height = width + (ROW - CARD);
  const first = Math.max(0, Math.floor(view.top / (height + 10)) - 1) * across;
  const last = Math.min(total ?? 0, (Math.ceil((view.top + view.height) / (height + 10)) + 1) * across);
  const rows = [];
  for (let i = first; i < last; i++) {
    const page = Math.floor(i / PAGE);
    if (!pages[page]) load(page);
    rows.push([i, pages[page]?.[i % PAGE]]);
  }
  const star = async (one) => {
    try {
      await api.setStar(one.job, one.number, !one.starred);
      setPages((old) => Object.fromEntries(Object.entries(old).map(([page, list]) =>
        [page, list.map((other) => other === one ? { ...one, starred: !one.starred } : other)])));
    } catch (error) { say(error.message); }
  };
  const same = (a, b) => a.job === b.job && a.number === b.number;
  const choose = (one) => setChosen((old) =>
    old.some((other) => same(other, one)) ? old.filter((other) => !same(other, one)) : [...old.slice(-1), one]);
  return html`<div class="toolbar">
      <label class="hidden" for="search">Search the recipes</label>
      <input id="search" type="search" placeholder="Search the recipes" value=${search} onInput=${(e) => setSearch(e.target.value)} />
      <button aria-pressed=${starred} onClick=${() => setStarred(!starred)}>★ Starred</button>
      <button disabled=${chosen.length !== 2} onClick=${() => compare(chosen)}>Compare two</button>
      <span class="note" role="status">${total === null ? "" : `${total.toLocaleString()} picture${total === 1 ? "" : "s"}`}</span>
    </div>
    ${total === 0 && html`<p class="empty">Nothing here yet.</p>`}
    <div class="window" ref=${box} style=${{ height: `${Math.ceil((total ?? 0) / across) * (height + 10)}px` }}>
      ${rows.map(([i, one]) => html`<div class="card" key=${i} style=${{ width: `${width}px`, left: `${(i % across) * (width + 10)}px`,
          top: `${Math.floor(i / across) * (height + 10)}px` }}>
        ${one ? html`<button class="open" onClick=${() => open(one)} aria-label=${`Open: ${one.prompt || one.model}, seed ${one.seed}`}>
            <img src=${`${one.url}?format=webp&quality=80`} alt=${one.prompt} decoding="async" /></button>
          <div class="foot"><span title=${one.prompt}>${one.prompt || one.model}</span>
            <button class="icon" aria-label="Star" aria-pressed=${one.starred} onClick=${() => star(one)}>${one.starred ? "★" : "☆"}</button>
            <input type="checkbox" aria-label="Choose to compare" checked=${chosen.some((other) => same(other, one))}
              onChange=${() => choose(one)} /></div>` : html`<div class="blank">…</div>`}
      </div>`)}
    </div>`;
}
