import { parse } from "./json";
import type { Delivery, Options } from "../types";
import { backoff } from "./backoff";
import type { Listen } from "./listening";
import { warn } from "./warn";

export interface Stream {
  /** Connects, or connects again as the person who is here now. */
  open(): void;
  close(): void;
}

/**
 * One person's deliveries by Server-Sent Events; by polling the inbox where the stream cannot be had (a proxy that
 * buffers, a service that is away). Browsers give an HTTP/1.1 host six connections, so one page of a browser holds one:
 * of those that can be seen the one that had the focus last. It holds a Web Lock, which the browser hands to the next
 * page when this one closes or crashes; a page that gets the focus steals it. Where there are no locks (pages without
 * https) every page that can be seen listens.
 */
export function createStream(
  options: Options,
  named: () => Record<string, string>,
  receive: (d: Delivery) => void,
  on: Listen,
): Stream {
  let source: EventSource | undefined;
  let timer = 0;
  let failures = 0;
  let wanted = false;
  /** Gives the lock back, or ends the waiting for it. */
  let leave: (() => void) | undefined;

  const url = (path: string): string => {
    return `${options.host}/v1/${path}?${new URLSearchParams({ writeKey: options.writeKey, ...named() })}`;
  };
  function connect(steal?: boolean): void {
    disconnect();
    if (!wanted || document.hidden) return;
    if (!navigator.locks) return listen();
    const waiting = new AbortController();
    const mine = (leave = () => waiting.abort());
    const hold = (): Promise<void> | void => {
      if (leave === mine) return new Promise((done) => (listen(), (leave = done)));
    };
    navigator.locks.request("engage." + url("stream"), steal ? { steal } : { signal: waiting.signal }, hold).catch((error: Error) => {
      // Another page took it, or this page may have no locks (a sandboxed frame).
      if (!waiting.signal.aborted) error.name === "AbortError" ? connect() : listen();
    });
  }
  function listen(): void {
    const opened = (source = new EventSource(url("stream")));
    opened.onopen = () => (failures = 0);
    opened.onmessage = (event: MessageEvent<string>) => receive(parse(event.data) as Delivery);
    opened.onerror = () => {
      // A lost connection the browser mends itself; a refusal it does not.
      if (opened.readyState === 2 && opened === source) void poll();
    };
  }
  function disconnect(): void {
    clearTimeout(timer);
    leave?.();
    source?.close();
    leave = source = undefined;
  }
  async function poll(): Promise<void> {
    source = undefined;
    const inbox = url("inbox");
    try {
      const reply = await fetch(inbox, { credentials: "omit" });
      if (!wanted || source || inbox !== url("inbox")) return;
      if (reply.ok) {
        const found = (await reply.json()) as { deliveries: Delivery[] };
        found.deliveries.forEach(receive);
      } else if (reply.status < 429) {
        return warn(`no messages (${reply.status}): check writeKey and userHash`);
      }
    } catch {
      // away: again later
    }
    if (wanted && !source) {
      clearTimeout(timer);
      timer = setTimeout(connect, backoff(++failures));
    }
  }
  function seen(): void {
    // Every page is shown once it has loaded: by then it listens, or waits for its turn.
    if (document.hidden || !(source || leave)) connect();
  }
  return {
    open() {
      if (!wanted) {
        on(document, "visibilitychange", seen);
        on(window, "pageshow", seen);
        on(window, "pagehide", disconnect);
        on(window, "focus", () => source || connect(true));
      }
      wanted = true;
      failures = 0;
      connect(document.hasFocus());
    },
    close() {
      wanted = false;
      disconnect();
    },
  };
}
