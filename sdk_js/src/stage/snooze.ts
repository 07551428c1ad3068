import { el } from "../ui/dom";
import { languageOf } from "../ui/labels";
import { release } from "./claim";
import type { Delivery } from "../types";
import type { Scene, Showing } from "./kind";

export * from "../shared";

const LABELS = { en: "Remind me later", ja: "あとで通知" };

/** Puts *remind me later* into what is on the screen, until it is completed: thanks are not put off, nor is a conversation. */
export function offer(scene: Scene, { box, close }: Showing): void {
  const { core, delivery } = scene;
  const label = LABELS[languageOf(delivery).startsWith("ja") ? "ja" : "en"];
  const button = el("button", { type: "button", class: "quiet later", onclick: snooze }, label);
  button.style.order = "1"; // behind buttons that are loaded after it
  box.append(button);
  core.on("completed", completed);

  function completed(about: unknown): void {
    const ours = (about as Delivery).delivery_id === delivery.delivery_id;
    if (!ours && button.isConnected) return;
    button.remove();
    core.off("completed", completed);
  }
  function snooze(): void {
    const { step } = scene;
    close();
    scene.end("snoozed");
    void release(core, delivery.delivery_id!, { snooze: true, step });
  }
}
