import type { Core, Dict } from "../types";
import { text } from "../ui/dom";
import type { Advance } from "./content";

/** Someone who still types is not done. ms */
const PAUSE = 700;

/** Calls `done` when the person does what the step asks for; the result ends the waiting. Arriving at a page is told by the
 * address itself. */
export function awaitDoing(core: Core, { click, input, event }: Advance, target: () => Element | undefined, done: (by: string) => void): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  const inside = target()?.ownerDocument ?? document;
  let timer = 0;
  const hit = (happened: Event): boolean => happened.composedPath().includes(target()!);
  if (click) inside.addEventListener("click", (happened) => hit(happened) && done("click"), { signal, capture: true });
  if (text(input)) {
    const typed = (happened: Event): void => {
      clearTimeout(timer);
      if (!hit(happened) || !fits(input!, valueOf(happened.composedPath()[0]!))) return;
      timer = setTimeout(() => done("input"), happened.type === "change" ? 0 : PAUSE);
    };
    inside.addEventListener("input", typed, { signal, capture: true });
    inside.addEventListener("change", typed, { signal, capture: true });
  }
  const told = (sent: unknown): void => {
    if ((sent as Dict).event === event) done("event");
  };
  if (text(event)) core.on("event", told);
  return () => {
    ending.abort();
    clearTimeout(timer);
    core.off("event", told);
  };
}

function valueOf(field: EventTarget): string {
  return "value" in field ? String(field.value) : ((field as Element).textContent ?? "");
}

function fits(pattern: string, value: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(value);
  } catch {
    return false; // no regular expression: it waits for what cannot come
  }
}
