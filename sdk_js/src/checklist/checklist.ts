import { claim } from "../stage/claim";
import type { Kind, Waiting } from "../stage/kind";
import { pathMatches } from "../stage/match";
import type { Core, Delivery } from "../types";
import { text } from "../ui/dom";
import { itemsOf } from "./content";
import { createView } from "./view";
import type { View } from "./view";

export * from "../shared";

/** Checklists that stand, by delivery. */
const standing = new Map<string | undefined, List>();

/** A checklist is not claimed when it is shown: it stands on every page and device, and its inbox entry says what is done. The
 * claim is its end. */
interface List {
  delivery: Delivery;
  readonly view: View;
}

export const kind: Kind = {
  interrupts: false,
  problem: (delivery) => (text(delivery.content.title) && itemsOf(delivery).length ? undefined : "expected content.title and content.items"),
  ready: () => true,
  show: () => {
    throw new Error("a checklist shows itself");
  },
  own(core, entry, begin) {
    take(core, entry, begin);
    return true;
  },
  moved() {
    for (const { delivery, view } of standing.values()) view.away(!pathMatches(delivery.show_on?.path));
  },
  clear() {
    standing.forEach(({ view }) => view.close());
  },
};

/** Every tab of the browser hears when one of them ends a checklist. */
const others = self.BroadcastChannel && new BroadcastChannel("engage.checklist");
if (others) others.onmessage = ({ data }) => standing.get(data as string)?.view.close();

function take(core: Core, entry: Waiting, begin: (delivery: Delivery) => void): void {
  const { delivery, report } = entry;
  const id = delivery.delivery_id;
  const problem = kind.problem(delivery);
  if (problem) return core.emit("error", new Error(`message ${delivery.message_id ?? ""}: ${problem}`));
  const known = standing.get(id);
  if (known) {
    known.delivery = delivery;
    return known.view.update(delivery.done ?? []);
  }
  // Whether it is open, in this browser; nothing: it was not here before.
  const key = "list." + id;
  const kept = core.store.get(key);
  const view = createView(core, delivery, kept !== "closed", {
    opened: (open) => core.store.set(key, open ? "open" : "closed"),
    begin,
    report,
    gone: () => standing.delete(id),
    ended(how) {
      core.store.remove(key);
      report("Message " + how, {});
      if (!id) return;
      others?.postMessage(id);
      void claim(core, id);
    },
  });
  standing.set(id, { delivery, view });
  if (!kept) {
    core.store.set(key, "open");
    report("Message Shown", {});
  }
  view.update(delivery.done ?? []);
}
