import type { Core, Dict } from "../types";

/** POST with the write key and the person in the body; of text: a simple request, without preflight. */
export function post(core: Core, path: string, more?: Dict): Promise<Response> {
  const { host, writeKey } = core.options;
  return fetch(host + path, {
    method: "POST",
    body: JSON.stringify({ writeKey, ...core.person(), ...more }),
    credentials: "omit",
    keepalive: true,
  });
}
