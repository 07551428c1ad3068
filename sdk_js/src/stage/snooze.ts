import { el } from "../ui/dom";
import { languageOf } from "../ui/labels";
import { release } from "./claim";
import type { Scene, Showing } from "./kind";

export * from "../shared";

const LABELS = { en: "Remind me later", ja: "あとで通知" };

/** Puts *remind me later* into what is on the screen. */
export function offer(scene: Scene, { box, close }: Showing): void {
  const { core, delivery } = scene;
  const label = LABELS[languageOf(delivery).startsWith("ja") ? "ja" : "en"];
  const button = el("button", { type: "button", class: "quiet later", onclick: snooze }, label);
  button.style.order = "1"; // behind buttons that are loaded after it
  box.append(button);

  function snooze(): void {
    const { step } = scene;
    close();
    scene.end("snoozed");
    void release(core, delivery.delivery_id!, { snooze: true, step });
  }
}
