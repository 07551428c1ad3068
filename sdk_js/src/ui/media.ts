import { safeImage } from "../markdown/url";
import type { Dict } from "../types";
import { el, text } from "./dom";

export * from "../shared";

/** The picture or the video of a message, if its address is one that may be loaded. */
export function media({ image, video, alt }: Dict, title: string): HTMLElement | undefined {
  const [film, picture] = [safeImage(video), safeImage(image)];
  if (film) return el("video", { src: film, controls: true, playsinline: true, preload: "metadata", "aria-label": text(alt) || title });
  return picture ? el("img", { src: picture, alt: text(alt), referrerpolicy: "no-referrer" }) : undefined;
}
