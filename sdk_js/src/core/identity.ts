import type { Store } from "../types";
import { uuid } from "./uuid";

export const ANONYMOUS = "id.anonymous";
const USER = "id.user";
const HASH = "id.hash";

export interface Identity {
  anonymousId(): string;
  userId(): string | undefined;
  /** Takes a user; another one than before is another person, who gets another anonymousId: the browser changed hands. */
  become(userId: string, userHash?: string): void;
  reset(): void;
  /** The person, with their proof, as events, the query of the stream and the body of a claim name them. */
  named(): Record<string, string>;
}

/** Who is here, kept over page loads. It is always what is stored: another tab may have changed it. */
export function createIdentity(store: Store, initialHash?: string): Identity {
  if (initialHash) store.set(HASH, initialHash);

  const userId = (): string | undefined => store.get(USER);
  function anonymousId(): string {
    const known = store.get(ANONYMOUS) || uuid();
    store.set(ANONYMOUS, known);
    return known;
  }
  function reset(): void {
    [ANONYMOUS, USER, HASH].forEach(store.remove);
  }
  return {
    anonymousId,
    userId,
    become(user, userHash) {
      const before = userId();
      if (before && before !== user) reset();
      store.set(USER, user);
      if (userHash) store.set(HASH, userHash);
    },
    reset,
    named() {
      const user = userId();
      const userHash = user && store.get(HASH);
      return { anonymousId: anonymousId(), ...(user && { userId: user }), ...(userHash && { userHash }) };
    },
  };
}
