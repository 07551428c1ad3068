import type { StorageMode, Store } from "../types";

/** Only these go into cookies where localStorage is missing: short, and worth a header. */
const COOKIE = /^id\./;
const YEAR = 31536000;

/** localStorage, else cookies for the ids, else memory. Never throws: pages forbid storage, and storage fills up. */
export function createStore(writeKey: string, mode: StorageMode): Store {
  const prefix = `engage.${writeKey}.`;
  const memory = new Map<string, string>();
  const area = mode === "local" ? usable(prefix) : undefined;
  const cookie = (key: string): boolean => !area && mode !== "memory" && COOKIE.test(key);

  return {
    get(key) {
      try {
        if (area) return area.getItem(prefix + key) ?? memory.get(key);
      } catch {
        // forbidden since: what memory knows
      }
      return memory.get(key) ?? (cookie(key) ? readCookie(prefix + key) : undefined);
    },
    set(key, value) {
      memory.set(key, value);
      try {
        if (area) {
          area.setItem(prefix + key, value);
          memory.delete(key);
          return true;
        }
      } catch {
        return false;
      }
      return cookie(key) && writeCookie(prefix + key, value, YEAR);
    },
    remove(key) {
      memory.delete(key);
      try {
        area?.removeItem(prefix + key);
      } catch {
        // nothing to remove then
      }
      if (cookie(key)) writeCookie(prefix + key, "", 0);
    },
    keys(start) {
      const found = [...memory.keys()];
      try {
        for (const key of Object.keys(area ?? {})) if (key.startsWith(prefix)) found.push(key.slice(prefix.length));
      } catch {
        // memory only
      }
      return found.filter((key) => key.startsWith(start));
    },
  };
}

function usable(prefix: string): Storage | undefined {
  try {
    const area = localStorage;
    area.setItem(prefix, "1");
    area.removeItem(prefix);
    return area;
  } catch {
    return undefined;
  }
}

function readCookie(name: string): string | undefined {
  try {
    const start = encodeURIComponent(name) + "=";
    const found = document.cookie.split("; ").find((pair) => pair.startsWith(start));
    return found && decodeURIComponent(found.slice(start.length));
  } catch {
    return undefined;
  }
}

function writeCookie(name: string, value: string, age: number): boolean {
  try {
    document.cookie = `${encodeURIComponent(name)}=${encodeURIComponent(value)};path=/;max-age=${age};samesite=lax`;
    return true;
  } catch {
    return false;
  }
}
