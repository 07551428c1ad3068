import type { Store } from "../types";
import { uuid } from "./uuid";

export interface Identity {
  anonymousId(): string;
  userId(): string | undefined;
  /** Takes a user. True when this is another person than before: the browser changed hands. */
  become(userId: string, userHash?: string): boolean;
  reset(): void;
  /** The person, with their proof, as events, the query of the stream and the body of a claim name them. */
  named(): Record<string, string>;
}

/** Who is here, kept over page loads. */
export function createIdentity(store: Store, initialHash?: string): Identity {
  let anonymous = store.get("id.anonymous") ?? fresh();
  let user = store.get("id.user");
  let hash = initialHash ?? store.get("id.hash");

  function fresh(): string {
    const id = uuid();
    store.set("id.anonymous", id);
    return id;
  }
  function forget(): void {
    user = hash = undefined;
    store.remove("id.user");
    store.remove("id.hash");
    anonymous = fresh();
  }
  return {
    anonymousId: () => anonymous,
    userId: () => user,
    become(userId, userHash) {
      const changed = user !== undefined && user !== userId;
      if (changed) forget();
      user = userId;
      store.set("id.user", userId);
      if (userHash) store.set("id.hash", (hash = userHash));
      return changed;
    },
    reset: forget,
    named: () => ({ anonymousId: anonymous, ...(user && { userId: user }), ...(user && hash && { userHash: hash }) }),
  };
}
