import type { Dict, Options, StorageMode } from "../types";

const STORAGE: readonly StorageMode[] = ["local", "cookie", "memory"];

/** What a browser may say for its person: Global Privacy Control, Do Not Track. TypeScript's DOM library may know neither. */
type Signals = { globalPrivacyControl?: boolean; doNotTrack?: string | null };

/** The options of `init`, or what is wrong with them. */
export function readOptions(given: unknown, scriptHost: string | false): Options | string {
  const { globalPrivacyControl, doNotTrack } = navigator as Signals;
  if (!isDict(given)) return expected("{writeKey, host}", given);
  const { writeKey, host = scriptHost, userHash, locale, autoPage = true, stream = true, storage = "local", cookieDomain = "", consent = globalPrivacyControl || doNotTrack === "1" } = given;
  if (!isText(writeKey)) return expected("a writeKey", writeKey);
  if (!isText(host) || !/^https?:\/\/[^/]/.test(host)) return expected("a host like https://example.com", host);
  if (!STORAGE.includes(storage as StorageMode)) return expected("storage to be one of " + STORAGE, storage);
  if (!("." + location.hostname).endsWith((cookieDomain && "." + cookieDomain) as string)) return expected("a cookieDomain of this host", cookieDomain);
  return {
    writeKey,
    host: host.replace(/\/+$/, ""),
    ...(isText(userHash) && { userHash }),
    ...(isText(locale) && { locale }),
    autoPage: autoPage !== false,
    stream: stream !== false,
    storage: storage as StorageMode,
    cookieDomain: cookieDomain as string,
    consent: !!consent, // whatever a page may have meant: then it is asked for
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
