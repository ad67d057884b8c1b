// A request as text: to copy as a command, as Python, as curl, and as a study file.

const SHOWN = ["negative_prompt", "seed", "steps", "sampler", "spacing", "guidance", "eta", "encoder", "upscale"];

export const known = (request) =>
  Object.fromEntries(Object.entries(request).filter(([, v]) => v !== null && v !== "" && v !== undefined));

const shell = (value) => `'${String(value).replaceAll("'", "'\\''")}'`;
const OPTIONS = { negative_prompt: "negative", words: "word" };

export function asCommand(request, model) {
  const given = known(request);
  const parts = ["mezzotint generate", shell(given.prompt ?? "")];
  if (model && model !== "emoji") parts.push(`--model ${shell(model)}`);
  for (const name of SHOWN) {
    if (name in given && !(name === "eta" && !given.eta) && !(name === "upscale" && given.upscale === 1)) {
      parts.push(`--${OPTIONS[name] ?? name} ${typeof given[name] === "number" ? given[name] : shell(given[name])}`);
    }
  }
  if (given.width && given.height) parts.push(`--size ${given.width}x${given.height}`);
  if (given.init) parts.push(`--init PICTURE --start ${given.begin ?? 0}/${given.steps}`);
  return parts.join(" ");
}

export function asPython(request, model) {
  const given = Object.entries(known(request)).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(", ");
  return `import mezzotint\nfrom mezzotint import Request\n\n` +
    `[picture] = mezzotint.generate(Request(${given}), ${JSON.stringify(model)})\npicture.save("picture.png")`;
}

export function asCurl(request, model) {
  const body = JSON.stringify({ ...known(request), model });
  return `curl -s '${location.origin}/v1/pictures?wait=1' -H 'Content-Type: application/json' \\\n  -d ${shell(body)} -o picture.png`;
}

export function asStudy(order, axes) {
  const { model, n, preview, axes: _, ...base } = order;
  const line = (name, value) => `  ${name}: ${JSON.stringify(value)}`;
  return [`model: ${JSON.stringify(model)}`, "base:", ...Object.entries(known(base)).map(([k, v]) => line(k, v)),
    "axes:", ...Object.entries(axes).map(([k, v]) => line(k, v))].join("\n") + "\n";
}

// `cfg(5)` and `5` are a plain scale; anything else is an expression of its own.
export function plainScale(guidance) {
  const found = /^\s*(?:cfg\(\s*)?(-?\d+(?:\.\d+)?)\s*\)?\s*$/.exec(String(guidance ?? ""));
  return found ? Number(found[1]) : null;
}

export async function copy(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { return false; }
}

export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
