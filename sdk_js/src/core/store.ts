import type { StorageMode, Store } from "../types";

/** Only these go into cookies where localStorage is missing: short, and worth a header. */
const COOKIE = /^id\./;
const YEAR = 31536000;

/** localStorage, else cookies for the ids, else memory. Never throws: pages forbid storage, and storage fills up. */
export function createStore(writeKey: string, mode: StorageMode): Store {
  const prefix = `engage.${writeKey}.`;
  const memory = new Map<string, string>();
  const area = mode === "local" ? usable(prefix) : undefined;

  /** Where the key lives beyond this page. */
  function kept(key: string, value?: string, age = YEAR): string | null | undefined {
    if (area) {
      if (value === undefined) return area.getItem(prefix + key);
      area.setItem(prefix + key, value);
    } else if (mode !== "memory" && COOKIE.test(key)) {
      const name = encodeURIComponent(prefix + key) + "=";
      const found = document.cookie.split("; ").find((pair) => pair.startsWith(name));
      if (value === undefined) return found && decodeURIComponent(found.slice(name.length));
      document.cookie = `${name}${encodeURIComponent(value)};path=/;samesite=lax;max-age=${age}`;
    } else return undefined;
    return value;
  }
  return {
    get: (key) => memory.get(key) ?? quietly(() => kept(key)) ?? undefined,
    set(key, value) {
      memory.set(key, value);
      const done = quietly(() => kept(key, value)) !== undefined;
      if (done && area) memory.delete(key);
      return done;
    },
    remove(key) {
      memory.delete(key);
      quietly(() => (area ? area.removeItem(prefix + key) : kept(key, "", 0)));
    },
    keys(start) {
      const stored = quietly(() => Object.keys(area ?? {})) ?? [];
      const own = stored.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
      return [...memory.keys(), ...own].filter((key) => key.startsWith(start));
    },
  };
}

function usable(name: string): Storage | undefined {
  return quietly(() => {
    localStorage.setItem(name, "");
    localStorage.removeItem(name);
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
