import type { Store } from "../types";
import { uuid } from "./uuid";

export const ANONYMOUS = "id.anonymous";
const USER = "id.user";
const HASH = "id.hash";

export interface Identity {
  /** Takes a user; another one than before is another person, who gets another anonymousId: the browser changed hands. */
  become(userId: string, userHash?: string): void;
  reset(): void;
  /** The person, with their proof, as events, the query of the stream and the body of a claim name them. */
  named(): { readonly anonymousId: string; readonly userId?: string; readonly userHash?: string };
}

/** Who is here, kept over page loads. It is always what is stored: another tab may have changed it. */
export function createIdentity(store: Store, initialHash?: string): Identity {
  if (initialHash) store.set(HASH, initialHash);

  function reset(): void {
    [ANONYMOUS, USER, HASH].forEach(store.remove);
  }
  return {
    become(user, userHash) {
      const before = store.get(USER);
      if (before && before !== user) reset();
      store.set(USER, user);
      if (userHash) store.set(HASH, userHash);
    },
    reset,
    named() {
      const user = store.get(USER);
      const userHash = user && store.get(HASH);
      const anonymousId = store.get(ANONYMOUS) || uuid();
      store.set(ANONYMOUS, anonymousId);
      return { anonymousId, ...(user && { userId: user }), ...(userHash && { userHash }) };
    },
  };
}
