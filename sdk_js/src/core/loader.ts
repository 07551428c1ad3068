import type { Options, Store } from "../types";
import { startClient } from "./client";
import type { Client } from "./client";
import { COMMANDS, listen } from "./commands";
import { createEmitter } from "./emitter";
import { expected, readOptions } from "./options";
import { debug, scriptHost } from "./parts";
import { createStore } from "./store";
import { warn } from "./warn";

type Call = [name: string, ...args: unknown[]];
type Api = { push(...calls: Call[]): number; readonly anonymousId: string | undefined; readonly userId: string | undefined } & Record<
  string,
  unknown
>;
declare global {
  interface Window {
    engage?: Call[] | Api;
  }
}

/** TypeScript's DOM library may not know it. */
type Prerendering = Document & { readonly prerendering?: boolean };

/** Under it the person's wish is stored. Once that is OUT nothing else is, and nothing is sent. IN is empty: snippets from
 * before there was consent take whatever else stands there for an objection, and people may go back to one. */
const WISH = "id.out";
const IN = "";
const OUT = "1";
/** Calls that come before `init`, or before consent, wait for it in memory; a page that never starts must not collect them for ever. */
const MAX_WAITING = 1000;

/** The object behind `window.engage`. Whatever happens in it, nothing is thrown into the page. */
function createApi(): Api {
  const emitter = createEmitter();
  const waiting: Call[] = [];
  let options: Options | undefined;
  let store: Store | undefined;
  let client: Client | undefined;
  let wish: string | undefined;

  /** Does as the person wishes; without a wish, as the page says. */
  function obey(): void {
    if (!store) return;
    // Nobody looks at it yet, and nobody may ever.
    if ((document as Prerendering).prerendering) return document.addEventListener("prerenderingchange", obey);
    wish ??= store.get(WISH);
    if (wish === OUT) {
      client?.stop(true);
      store.keys("").forEach((key) => key === WISH || store!.remove(key)); // the objection may be of another host
      client = undefined;
      waiting.length = 0;
    }
    if (wish != null) store.set(WISH, wish);
    if (client || (wish ?? (options!.consent && OUT)) === OUT) return;
    client = startClient(options!, store, emitter);
    waiting.splice(0).forEach(run);
    emitter.emit("ready", undefined);
  }
  function init(given: unknown): string | void {
    const read = readOptions(given, scriptHost);
    if (typeof read === "string") return read;
    if (store) return "already called";
    options = read;
    store = createStore(read);
    obey();
  }
  /** Another tab signed in or out, or was told the person's wish; what a page of another host did, and what was done while
   * this one lay in the back/forward cache, is looked at when it is seen again. */
  function noticed({ key }: Partial<StorageEvent>): void {
    if (!store || !(key ?? ".id.").includes(".id.")) return;
    wish = undefined;
    obey();
    client?.look();
  }
  function choose(chosen: string): void {
    wish = chosen;
    obey();
  }
  function shutdown(): void {
    client?.stop();
    client = options = store = undefined;
  }
  function on(event: unknown, listener: unknown): string | void {
    // Who asks late whether it is ready is told so.
    if (client && event === "ready") queueMicrotask(listener as () => void);
    return listen(emitter, "on", event, listener);
  }
  const own: Record<string, (...args: unknown[]) => string | void> = {
    init,
    on,
    off: (event, listener) => listen(emitter, "off", event, listener),
    debug: (on) => void debug(emitter, on !== false, options?.host).catch(warn),
    optIn: () => choose(IN),
    optOut: (out) => choose(out === false ? IN : OUT),
    shutdown,
  };
  const names = [COMMANDS, own].flatMap(Object.keys);
  function perform([name, ...args]: Call): string | void {
    if (!names.includes(name)) return expected("one of " + names, name);
    if (own[name]) return own[name](...args);
    if (client) return COMMANDS[name]!(client, ...args);
    if (wish !== OUT && waiting.length < MAX_WAITING) waiting.push([name, ...args]);
  }
  function run(call: Call): void {
    let wrong: unknown;
    try {
      wrong = Array.isArray(call) ? perform(call) : expected("an array", call);
    } catch (error) {
      emitter.emit("error", (wrong = error));
    }
    if (wrong) warn(`${String(call?.[0])}: ${wrong}`);
  }
  const api: Record<string, unknown> = {
    push: (...calls: Call[]) => (calls.forEach(run), calls.length),
    get anonymousId() {
      return client?.identity.named().anonymousId;
    },
    get userId() {
      return client?.identity.named().userId;
    },
  };
  addEventListener("storage", noticed);
  addEventListener("pageshow", noticed);
  addEventListener("visibilitychange", noticed);
  for (const name of names) api[name] = (...args: unknown[]) => run([name, ...args]);
  return api as Api;
}

const early = window.engage;
if (!early || Array.isArray(early)) {
  const api = (window.engage = createApi());
  if (early) api.push(...early);
}
