/** Event listeners that are all taken off by one call. */
export interface Listening {
  to(target: EventTarget, type: string, handler: (event: never) => void): void;
  stop(): void;
}

export function createListening(): Listening {
  const abort = new AbortController();
  return {
    to: (target, type, handler) => target.addEventListener(type, handler as EventListener, { signal: abort.signal }),
    stop: () => abort.abort(),
  };
}
