import { stringify } from "./json";
import type { Options } from "../types";
import { backoff } from "./backoff";
import type { Emitter } from "./emitter";
import type { Listen } from "./listening";
import type { Outbox } from "./outbox";
import { ORPHAN_AFTER } from "./outbox";
import { warn } from "./warn";

/** Browsers let a page have 64 KB of keepalive requests under way; the envelope needs some of it. */
const BATCH_BYTES = 60_000;
const BATCH_EVENTS = 100;
/** The first event leaves at once; those that follow within this time leave together. ms */
const GAP = 60;
const TIMEOUT = 20_000;
/** Done with: the service has them, or says that sending them again cannot help. */
const FINAL = /200|40[0134]|413|422/;

export interface Sender {
  /** There is something to send. */
  wake(): void;
  stop(): void;
}

/** Sends the outbox in order, one request at a time, until the service has confirmed every event with 200. */
export function createSender(options: Options, outbox: Outbox, emit: Emitter["emit"], listen: Listen): Sender {
  const url = options.host + "/v1/batch";
  let timer = 0;
  let scheduled = false;
  let busy = false;
  let stopped = false;
  let left = false;
  let failures = 0;
  let notBefore = 0; // by a clock that nobody sets

  function wake(): void {
    if (left) leave(); // called on the way out
    if (busy || scheduled || stopped) return;
    scheduled = true;
    const wait = notBefore - performance.now();
    // A microtask: what the page calls in one go is one batch, and the first event waits for no timer.
    if (wait <= 0) queueMicrotask(send);
    else timer = setTimeout(send, wait);
  }
  function body(events: string[]): string {
    return `{"writeKey":${stringify(options.writeKey)},"sentAt":"${new Date().toISOString()}","batch":[${events.join()}]}`;
  }
  async function send(): Promise<void> {
    scheduled = false;
    clearTimeout(timer);
    if (busy || stopped) return;
    const events = outbox.take(BATCH_BYTES, BATCH_EVENTS);
    if (!events.length) return;
    busy = true;
    notBefore = performance.now() + GAP;
    const wait = await attempt(events);
    busy = false;
    if (stopped) return;
    outbox.settle(!wait);
    failures = wait ? failures + 1 : 0;
    if (wait) notBefore = performance.now() + wait;
    wake();
  }
  /** ms to wait before the events are sent again; 0 when they are done with. */
  async function attempt(events: string[]): Promise<number> {
    try {
      const reply = await fetch(url, {
        method: "POST", // of text: a simple request, without preflight
        body: body(events),
        credentials: "omit",
        keepalive: !failures, // its quota is shared with the page's own; a retry does without
        signal: AbortSignal.timeout?.(TIMEOUT) as AbortSignal,
      });
      if (FINAL.test(reply.status as never)) {
        report(reply.status, (await reply.json().catch(() => ({}))) as Reply);
        emit("sent", events);
        return 0;
      }
      const after = +reply.headers.get("retry-after")!;
      if (after > 0) return after * 1000;
    } catch {
      // the network: again later
    }
    return backoff(failures);
  }
  function hide(): void {
    // Browsers report "hidden" on the way out too, after pagehide: by then everything is on its way.
    if (document.hidden && !left) void send();
  }
  function leave(): void {
    outbox.leave((left = true));
    // One batch is all a beacon may carry. It is not settled: nobody hears how it fared, and the next page sends again
    // what is still stored.
    const batch = outbox.waiting(BATCH_BYTES, BATCH_EVENTS);
    if (batch.length) navigator.sendBeacon(url, body(batch));
  }
  function come(): void {
    if (!left) return;
    outbox.leave((left = false));
    wake();
  }
  function adopt(): void {
    outbox.adopt();
    wake();
  }

  listen(document, "visibilitychange", hide);
  listen(window, "pagehide", leave);
  listen(window, "pageshow", come);
  listen(window, "online", send);
  adopt();
  const orphans = setTimeout(adopt, ORPHAN_AFTER);

  return {
    wake,
    stop() {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(orphans);
    },
  };
}

interface Refusal {
  message?: string;
}
interface Reply {
  error?: Refusal;
  results?: { status: number; error?: Refusal }[];
}

/** The service keeps the good events of a batch; the others would be refused again. */
function report(status: number, reply: Reply): void {
  const refused = reply.results?.filter((result) => result.status !== 200) ?? [];
  if (status !== 200 && !refused.length) refused.push({ ...reply, status });
  for (const { status, error } of refused) warn(`event refused (${status}): ${error?.message}`);
}
