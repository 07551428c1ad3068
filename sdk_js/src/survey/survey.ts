import type { Kind, Scene, Showing } from "../stage/kind";
import { el, icon, CROSS, appear, text } from "../ui/dom";
import { labelsFor, languageOf } from "../ui/labels";
import { prose } from "../ui/prose";
import { enterRoot } from "../ui/root";
import { nameOf, nextQuestion, questionsOf } from "./content";
import type { Answer } from "./content";
import { fieldFor } from "./field";
import { LABELS } from "./labels";
import type { Labels } from "./labels";
import css from "./survey.css";

export * from "../shared";

export const kind: Kind = {
  interrupts: true,
  problem: (delivery) => (questionsOf(delivery).length ? undefined : "expected content.questions to be a list of at least one question"),
  ready: () => true,
  show: showSurvey,
};

/** One question after the other, in a card in the corner. Every answer is reported as it is given. */
function showSurvey(scene: Scene): Showing {
  const { delivery } = scene;
  const labels = labelsFor<Labels>(delivery, LABELS);
  const questions = questionsOf(delivery);
  const answers = new Map<string, Answer>();
  const root = enterRoot(css, () => (close(), scene.end(over ? "closed" : "parked")));
  const before = document.activeElement;
  const body = el("div", { class: "body" });
  const bar = el("i");
  const box = el("div", { class: "foot" });
  const card = el(
    "section",
    { class: "card survey", role: "dialog", "aria-labelledby": "question", lang: languageOf(delivery), dir: "auto", tabindex: "-1", onkeydown: key },
    el("button", { type: "button", class: "close", "aria-label": labels.close, onclick: finish }, icon(CROSS)),
    body,
    box,
    el("div", { class: "bar", "aria-hidden": "true" }, bar),
  );
  let over = false;

  function ask(index: number): void {
    bar.style.width = `${(index / questions.length) * 100}%`;
    const question = questions[index];
    if (!question) return thank();
    body.replaceChildren(
      el("div", { class: "question", id: "question", role: "status" }, prose(question.text)),
      fieldFor(question, labels, (answer) => {
        if (answer !== undefined) {
          const name = nameOf(question, index);
          answers.set(name, answer);
          scene.report("Survey Answered", { question: name, type: question.type, answer, step: index + 1 });
        }
        ask(nextQuestion(questions, index + 1, answers));
        card.focus({ preventScroll: true }); // what had it is gone
      }),
    );
  }
  function thank(): void {
    over = true;
    scene.report("Message Completed");
    body.replaceChildren(el("div", { class: "question thanks", role: "status" }, prose(text(delivery.content.thanks) || labels.thanks)));
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") finish();
  }
  function finish(): void {
    close();
    scene.end(over ? "closed" : "dismissed");
  }
  function close(): void {
    const focused = card.contains(root.shadow.activeElement);
    card.remove();
    root.leave();
    if (focused && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  }

  root.dock.append(card);
  ask(nextQuestion(questions, 0, answers));
  appear(card);
  return { box, close };
}
