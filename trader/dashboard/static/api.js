// Talking to the daemon: same origin only, JSON both ways.

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, options) {
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? response.statusText);
  return body;
}

export const get = (path) => ask(path, {});

export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// The link's secret sits in the fragment; it is spent at once and taken out of the address.
export async function logInByLink() {
  const link = new URLSearchParams(location.hash.slice(1)).get("t");
  if (!link) return;
  history.replaceState(null, "", location.pathname);
  await post("/api/v1/login", { link });
}

// Server-sent events; the browser reconnects by itself. `heard` is called for every sign of life.
export function listen({ view, heard }) {
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("view", (event) => {
    heard();
    view(JSON.parse(event.data));
  });
  source.addEventListener("pulse", heard);
  return source;
}
