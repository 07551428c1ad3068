import type { Dict } from "../types";
import type { Identity } from "./identity";
import { uuid } from "./uuid";

declare const VERSION: string;

export interface Page {
  path: string;
  url: string;
  title: string;
  referrer: string;
  search: string;
}

/** TypeScript's DOM library may not know it. The first use of `Intl` costs a page some 20 ms, this nothing. */
type Timed = { Temporal?: { Now: { timeZoneId(): string } } };

/** Where the person came from; in a single-page app the address before this one. */
let referrer = document.referrer;

export function setReferrer(url: string): void {
  referrer = url;
}

export function currentPage(): Page {
  const { pathname, search, href } = location;
  return { path: pathname, url: href, title: document.title, referrer, search };
}

/** One call in the form of the Segment Spec (Common Fields). */
export function createEvent(type: string, fields: Dict, identity: Identity, locale: string): Dict {
  return {
    type,
    messageId: uuid(),
    timestamp: new Date().toISOString(),
    ...identity.named(),
    ...fields,
    context: {
      page: currentPage(),
      locale,
      timezone: (self as Timed).Temporal?.Now.timeZoneId() ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
      userAgent: navigator.userAgent,
      screen: { width: screen.width, height: screen.height, density: devicePixelRatio },
      library: { name: "engage.js", version: VERSION },
    },
  };
}

