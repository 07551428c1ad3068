import { isDict } from "../core/options";
import type { Delivery } from "../types";
import { text } from "../ui/dom";

export type Answer = number | string | string[];

/** When a question is asked: what an earlier one was answered. */
export interface When {
  readonly question?: string;
  readonly is?: number | string | readonly (number | string)[];
  readonly at_least?: number;
  readonly at_most?: number;
}

export interface Question {
  readonly id?: string;
  readonly type: string;
  readonly text: string;
  readonly options?: readonly string[];
  readonly low?: string;
  readonly high?: string;
  readonly placeholder?: string;
  readonly optional?: boolean;
  readonly when?: When;
}

/** The steps of each scale: first and last number. NPS asks 0 to 10 (Reichheld 2003), CSAT 1 to 5, CES 1 to 7 (CES 2.0). */
export const SCALES: Readonly<Record<string, readonly [number, number]>> = { nps: [0, 10], csat: [1, 5], ces: [1, 7] };

/** The questions that can be asked: with words, and a type that is known. */
export function questionsOf(delivery: Delivery): Question[] {
  const { questions } = delivery.content;
  const all = (Array.isArray(questions) ? questions : []).filter(isDict) as unknown as Question[];
  return all.filter((one) => text(one.text) && (SCALES[one.type] || /^(text|choices?)$/.test(one.type)));
}

/** How answers name a question: its id, else its number from 1. */
export function nameOf(question: Question, index: number): string {
  return text(question.id) || String(index + 1);
}

/** The first question from `from` on that is to be asked after these answers; the number of questions when there is none. */
export function nextQuestion(questions: readonly Question[], from: number, answers: ReadonlyMap<string, Answer>): number {
  let at = from;
  while (at < questions.length && !applies(questions[at]!.when, answers)) at++;
  return at;
}

/** A question that was not answered meets no condition. */
function applies(when: When | undefined, answers: ReadonlyMap<string, Answer>): boolean {
  if (!isDict(when)) return true;
  const { question, is, at_least: low, at_most: high } = when as When;
  const answer = answers.get(String(question));
  if (answer === undefined) return false;
  const given = [answer].flat();
  if (is !== undefined && !given.some((one) => [is].flat().includes(one))) return false;
  return (low === undefined || Number(answer) >= low) && (high === undefined || Number(answer) <= high);
}
