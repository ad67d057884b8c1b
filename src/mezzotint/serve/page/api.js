// The server's own API. Errors become one line of text.

export class ApiError extends Error {}

export async function call(path, options = {}) {
  const answer = await fetch(path, options);
  if (answer.status === 401) { location.href = "/login"; }
  if (!answer.ok) {
    let message = `the server answered ${answer.status}`;
    try { message = (await answer.json()).error.message; } catch { /* it was no JSON */ }
    throw new ApiError(message);
  }
  return answer.json();
}

const json = (method, body) =>
  ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const capabilities = () => call("/v1/capabilities");
export const submit = (order) => call("/v1/pictures", json("POST", order));
export const jobs = (limit, offset = 0) => call(`/v1/pictures?limit=${limit}&offset=${offset}`);
export const jobState = (id, limit = 10000) => call(`/v1/pictures/${id}?limit=${limit}`);
export const cancel = (id) => call(`/v1/pictures/${id}/cancel`, { method: "POST" });
export const setPriority = (id, priority) => call(`/v1/pictures/${id}`, json("PATCH", { priority }));
export const recipeOf = (job, number) => call(`/v1/pictures/${job}/images/${number}/recipe`);
export const recall = (file) => call("/v1/recall", { method: "POST", body: file });
export const upload = (file) => call("/v1/uploads", { method: "POST", body: file });
export const uploadAdapter = (file) => call("/v1/adapters", { method: "POST", body: file });
export const parseAxes = (axes) => call("/v1/axes", json("POST", axes));
export const gallery = ({ search = "", starred = false, limit, offset }) =>
  call(`/v1/gallery?${new URLSearchParams({ search, starred, limit, offset })}`);
export const setStar = (job, number, on) =>
  call(`/v1/gallery/${job}/${number}/star`, { method: on ? "PUT" : "DELETE" });
export const inside = (job, number, part) => call(`/v1/pictures/${job}/images/${number}/${part}`);

// News of a job. State is the truth: when the stream breaks for good, `lost` is called.
export function follow(id, listeners, lost) {
  const source = new EventSource(`/v1/pictures/${id}/events`);
  for (const [kind, listener] of Object.entries(listeners)) {
    source.addEventListener(kind, (event) => listener(JSON.parse(event.data)));
  }
  source.addEventListener("done", () => source.close());
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) lost?.(); };
  return () => source.close();
}
