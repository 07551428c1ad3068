import type { Dict, Options, StorageMode } from "../types";

const STORAGE: readonly StorageMode[] = ["local", "cookie", "memory"];

/** The options of `init`, or what is wrong with them. */
export function readOptions(given: unknown, scriptHost: string): Options | string {
  if (!isDict(given)) return expected("an object like {writeKey, host}", given);
  const { writeKey, host = scriptHost, userHash, locale, autoPage = true, stream = true, storage = "local" } = given;
  if (!isText(writeKey)) return expected("a writeKey", writeKey);
  if (!isText(host) || !/^https?:\/\/[^/]/.test(host)) return expected("a host like https://engage.example.com", host);
  if (!STORAGE.includes(storage as StorageMode)) return expected("storage to be one of " + STORAGE.join(), storage);
  return {
    writeKey,
    host: host.replace(/\/+$/, ""),
    ...(isText(userHash) && { userHash }),
    ...(isText(locale) && { locale }),
    autoPage: autoPage !== false,
    stream: stream !== false,
    storage: storage as StorageMode,
  };
}

export function isDict(value: unknown): value is Dict {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** One sentence for the console: what was expected, and what came. */
export function expected(what: string, got: unknown): string {
  return `expected ${what}, got ${typeof got} "${got}"`;
}
