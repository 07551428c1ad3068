import { isDict } from "../core/options";
import { safeLink } from "../markdown/url";
import type { Scene } from "../stage/kind";
import { el, text } from "./dom";
import { visit } from "./visit";

export * from "../shared";

/** The buttons of `content.actions`, the first one in colour. A click is reported, closes the message (`close`), completes
 * it, and then goes where the action says. */
export function actionButtons(scene: Scene, close: () => void): HTMLElement[] {
  const { core, delivery } = scene;
  const { actions } = delivery.content;
  return (Array.isArray(actions) ? actions : []).filter((action) => isDict(action) && text(action.label)).map((action, index) => {
    const label = text(action.label);
    return el("button", { type: "button", class: index ? "quiet" : "main", onclick: () => void act() }, label);

    async function act(): Promise<void> {
      scene.report("Message Clicked", { button: label });
      close();
      scene.end("completed");
      const url = safeLink(action.url);
      if (url) visit(url);
      if (text(action.article)) (await import("../article/panel")).openPanel(core, text(action.article), delivery, scene);
    }
  });
}
