import { sameOrigin } from "../markdown/url";
import { el } from "./dom";

/** Goes to an address that `safeLink` has let through: within the site in this tab, elsewhere in a new one. */
export function visit(url: string): void {
  if (sameOrigin(url) || url.startsWith("mailto:")) location.assign(url);
  else el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }).click();
}
