/** Takes part in an event until the client ends: one signal takes all listeners off. */
export type Listen = (target: EventTarget, type: string, handler: (event: never) => void) => void;

export function listenUntil(signal: AbortSignal): Listen {
  return (target, type, handler) => target.addEventListener(type, handler as EventListener, { signal });
}
