import type { Listener } from "../types";

export interface Emitter {
  on(event: string, listener: Listener): void;
  off(event: string, listener?: Listener): void;
  emit(event: string, payload: unknown): void;
}

export function createEmitter(): Emitter {
  const listeners = new Map<string, Set<Listener>>();
  return {
    on(event, listener) {
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener));
    },
    off(event, listener) {
      if (listener) listeners.get(event)?.delete(listener);
      else listeners.delete(event);
    },
    emit(event, payload) {
      for (const listener of [...(listeners.get(event) ?? [])]) {
        try {
          listener(payload);
        } catch (error) {
          // The page's mistake stays the page's: reported as uncaught, without breaking what we are doing.
          setTimeout(() => {
            throw error;
          });
        }
      }
    },
  };
}
