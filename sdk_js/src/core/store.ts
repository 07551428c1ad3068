import type { Options, Store } from "../types";
import { ANONYMOUS } from "./identity";

/** s */
const YEAR = 3e7;

/** localStorage, else cookies for the ids, else memory; for all pages of `domain` the ids are what its cookies say, as long as
 * there are any. Never throws: pages forbid storage, and storage fills up. */
export function createStore({ writeKey, storage: mode, cookieDomain: domain }: Options): Store {
  const prefix = `engage.${writeKey}.`;
  const memory: Record<string, string> = {};
  const area = mode === "local" ? usable(prefix) : undefined;

  /** What the key's cookie says, if it has one; sets it first, where there is a value. Of the ids only: short, and worth a header. */
  function cookie(key: string, value?: string, age = YEAR): string | undefined {
    if (!key.startsWith("id.") || mode === "memory" || (area && !domain)) return;
    const name = encodeURIComponent(prefix + key + domain) + "=";
    if (value != null) document.cookie = `${name}${encodeURIComponent(value)};path=/;samesite=lax;domain=${domain};max-age=${age}`;
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(name));
    return found && decodeURIComponent(found.slice(name.length));
  }
  return {
    get: (key) =>
      memory[prefix + key] ??
      quietly(() => cookie(key) ?? (key.startsWith("id.") && cookie(ANONYMOUS) ? undefined : (cookie(key, area![prefix + key]) ?? area![prefix + key]))),
    set(key, value) {
      memory[prefix + key] = value;
      return quietly(() => {
        if (cookie(key, value) === value) delete memory[prefix + key];
        area![prefix + key] = value;
        return delete memory[prefix + key];
      });
    },
    remove(key) {
      delete memory[prefix + key];
      quietly(() => {
        cookie(key, "", 0);
        delete area![prefix + key];
      });
    },
    keys(start) {
      const all = [memory, area ?? {}].flatMap(Object.keys) as string[];
      return all.filter((key) => key.startsWith(prefix + start)).map((key) => key.slice(prefix.length));
    },
  };
}

function usable(name: string): Storage | undefined {
  return quietly(() => {
    localStorage[name] = "";
    delete localStorage[name];
    return localStorage;
  });
}

function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
