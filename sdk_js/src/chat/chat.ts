import type { Panel } from "../article/panel";
import { safeLink } from "../markdown/url";
import type { Kind, Scene, Showing } from "../stage/kind";
import { el, icon, CROSS, appear, settled, text } from "../ui/dom";
import { labelsFor, languageOf } from "../ui/labels";
import { enterRoot } from "../ui/root";
import { visit } from "../ui/visit";
import css from "./chat.css";
import { repliesOf } from "./content";
import type { Reply } from "./content";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import { createTranscript } from "./transcript";

export * from "../shared";

const BUBBLE = "M21 12a8 8 0 0 1-8 8H4l1.8-2.9A8 8 0 1 1 21 12z";

export const kind: Kind = {
  interrupts: true,
  problem: ({ content }) => (text(content.text) ? undefined : "expected content.text to be text"),
  ready: () => true,
  show: showChat,
};

/** A prompt in the corner that can be answered with one click. */
function showChat(scene: Scene): Showing {
  const { core, delivery } = scene;
  const labels = labelsFor<Labels>(delivery, LABELS);
  const root = enterRoot(css, () => (close(), scene.end(answered ? "closed" : "parked")));
  const transcript = createTranscript(labels);
  const choices = el("div", { class: "choices" });
  let panel: Panel | undefined;
  let answered = 0;

  for (const reply of repliesOf(delivery)) {
    const button: HTMLButtonElement = el("button", { type: "button", onclick: () => void choose(reply, button) }, reply.label);
    choices.append(button);
  }
  const card = el(
    "section",
    { class: "card chat", role: "dialog", "aria-label": labels.assistant, lang: languageOf(delivery), dir: "auto", tabindex: "-1", onkeydown: key },
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: finish }, icon(CROSS)),
    el("div", { class: "face" }, icon(BUBBLE)),
    transcript.log,
    choices,
  );

  async function choose(reply: Reply, button: HTMLButtonElement): Promise<void> {
    button.remove();
    answered++;
    transcript.answer(reply.label);
    card.focus({ preventScroll: true }); // the button that had it is gone
    scene.report("Message Clicked", { reply: reply.label, step: answered });
    if (answered === 1) scene.report("Message Completed");
    if (reply.handoff) scene.report("Handoff Requested", { reply: reply.label, step: answered });
    if (text(reply.text) || reply.handoff) await transcript.type(text(reply.text) || labels.handoff);
    if (!card.isConnected) return;
    if (text(reply.article)) {
      const { openPanel } = await import("../article/panel");
      if (!card.isConnected) return;
      panel?.close();
      panel = openPanel(core, text(reply.article), delivery, { report: scene.report, closed: () => (panel = undefined) });
    }
    const url = safeLink(reply.url);
    if (url) visit(url);
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") finish();
  }
  function finish(): void {
    close();
    scene.end(answered ? "closed" : "dismissed");
  }
  function close(): void {
    const focused = card.contains(root.shadow.activeElement);
    card.remove();
    panel?.close();
    root.leave();
    if (focused && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  }

  // A prompt takes no focus: it waits to be turned to, and is read out by its live region.
  const before = document.activeElement;
  root.dock.append(card);
  appear(card);
  transcript.say(text(delivery.content.text));
  // Read out as well: by a live region, which has to be there before it speaks.
  const spoken = el("div", { class: "hidden", role: "status" });
  card.append(spoken);
  void settled().then(() => (spoken.textContent = transcript.log.textContent));
  setTimeout(() => spoken.remove(), 2000);
  return { box: card, close };
}
