import { createContext, createElement, useContext, useEffect, useRef } from "react";
import type { ReactElement, ReactNode } from "react";
import { createEngage } from "./index.js";
import type { Engage, EngageEvents, EngageListener, EngageOptions } from "./index.js";

const Context = createContext<Engage | undefined>(undefined);

/** Gives the client to all that is within. */
export function EngageProvider({ children, ...options }: EngageOptions & { readonly children?: ReactNode }): ReactElement {
  return createElement(Context.Provider, { value: createEngage(options) }, children);
}

/** The client. Throws outside of an `EngageProvider`. */
export function useEngage(): Engage {
  const engage = useContext(Context);
  if (!engage) throw new Error("useEngage: expected an <EngageProvider writeKey host> around this component, got none");
  return engage;
}

/** Calls the listener, always its latest one, while the component is there. */
export function useEngageEvent<Name extends keyof EngageEvents>(event: Name, listener: EngageListener<Name>): void {
  const engage = useEngage();
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    const heard: EngageListener<Name> = (payload) => latest.current(payload);
    engage.on(event, heard);
    return () => engage.off(event, heard);
  }, [engage, event]);
}
