import { pathMatches } from "../stage/match";
import type { Waiting } from "../stage/kind";
import { arrived, follows, patience, stepsOf } from "./content";

/** What to do about a step that cannot be shown: it waits for its target so long, then does as its `missing` says. A step
 * that is missing before anything was shown ends nothing: the tour was given back, and waits. */
export function late(entry: Waiting): void {
  const steps = stepsOf(entry.delivery);
  const step = steps[entry.step];
  if (!step) return;
  const go = (to: number): void => {
    if (to >= steps.length) return entry.end();
    entry.step = to;
    delete entry.since;
    entry.again(0);
  };
  if (entry.from !== location.href && arrived(step)) return go(follows(steps, entry.step));
  if (!pathMatches(step.path)) return void delete entry.since;
  const timeout = patience(step);
  if (entry.since === undefined) {
    entry.since = Date.now();
    return entry.again(timeout);
  }
  if (Date.now() - entry.since < timeout) return;
  entry.since = Infinity; // said once
  const { missing = "wait", target } = step;
  // Where neither the tour nor the step names its page, it may be another.
  if (entry.shown || step.path || entry.delivery.show_on) entry.report("Tour Target Missing", { target, missing, ...release() });
  if (missing === "center") {
    entry.bare = true;
    entry.again(0);
  } else if (missing === "skip") go(follows(steps, entry.step));
  else if (missing === "end" && entry.shown) entry.end();
}

/** The release of the page, as it says itself: `<meta name="engage-release" content="2026.11.2">`. */
export function release(): { release: string | undefined } {
  return { release: document.querySelector<HTMLMetaElement>("meta[name='engage-release']")?.content || undefined };
}
