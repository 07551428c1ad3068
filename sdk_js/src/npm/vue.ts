import { inject, onScopeDispose } from "vue";
import type { InjectionKey, Plugin } from "vue";
import { createEngage } from "./index.js";
import type { Engage, EngageEvents, EngageListener, EngageOptions } from "./index.js";

const KEY: InjectionKey<Engage> = Symbol("engage");

/** `app.use(engagePlugin, { writeKey, host })` */
export const engagePlugin: Plugin<[EngageOptions]> = {
  install: (app, options) => void app.provide(KEY, createEngage(options)),
};

/** The client. Throws where the plugin is not used. */
export function useEngage(): Engage {
  const engage = inject(KEY, undefined);
  if (!engage) throw new Error("useEngage: expected app.use(engagePlugin, { writeKey, host }), got none");
  return engage;
}

/** Calls the listener until the component, or the effect scope, ends. */
export function useEngageEvent<Name extends keyof EngageEvents>(event: Name, listener: EngageListener<Name>): void {
  const engage = useEngage();
  engage.on(event, listener);
  onScopeDispose(() => engage.off(event, listener));
}
