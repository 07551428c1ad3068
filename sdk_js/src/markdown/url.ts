const LINK = /^(https|mailto):$/;

/** An address a link may go to: https, mailto, or within the site. Undefined for everything else. */
export function safeLink(value: unknown): string | undefined {
  const url = parse(value);
  return url && (LINK.test(url.protocol) || (url.protocol === "http:" && url.origin === location.origin)) ? url.href : undefined;
}

/** An address a picture may come from: https, or within the site. */
export function safeImage(value: unknown): string | undefined {
  const href = safeLink(value);
  return href?.startsWith("mailto:") ? undefined : href;
}

export function sameOrigin(href: string): boolean {
  return parse(href)?.origin === location.origin;
}

/** The browser's own parser decides, so that no spelling of a scheme slips through. */
function parse(value: unknown): URL | undefined {
  try {
    return typeof value === "string" && value ? new URL(value, location.href) : undefined;
  } catch {
    return undefined;
  }
}
