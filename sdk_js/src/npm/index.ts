/** The snippet as a package: types, and a client that may be called before the script is there. The script itself comes from
 * the service, so that the two can never be of different releases. */

/** What `init` takes; see the README. */
export interface EngageOptions {
  readonly writeKey: string;
  /** The service, like `https://engage.example.com`. */
  readonly host: string;
  readonly userHash?: string;
  readonly locale?: string;
  readonly autoPage?: boolean;
  readonly stream?: boolean;
  readonly storage?: "local" | "cookie" | "memory";
  /** Its hosts have their visitors in common. */
  readonly cookieDomain?: string;
  readonly consent?: boolean | "required";
}

export type Kind = "tour" | "chat" | "article" | "banner" | "modal" | "tooltip" | "survey" | "checklist";
export type Traits = Readonly<Record<string, unknown>>;

/** One message for this person. */
export interface Message {
  readonly delivery_id?: string;
  readonly rule_id?: string;
  readonly message_id?: string;
  readonly kind: Kind;
  readonly variant?: string | null;
  readonly content: Readonly<Record<string, unknown>>;
}

/** What happened to a message. */
export interface Happened {
  readonly delivery_id?: string;
  readonly rule_id?: string;
  readonly message_id?: string;
  readonly kind: Kind;
  readonly variant: string | null;
  /** From 1. */
  readonly step: number;
}

export interface Clicked extends Happened {
  readonly button?: string;
  /** Of a form: the field's name and what was written. */
  readonly field?: string;
  readonly value?: string;
}

export interface Answered extends Happened {
  readonly question: string;
  readonly type: "nps" | "csat" | "ces" | "choice" | "choices" | "text";
  readonly answer: number | string | readonly string[];
}

/** What `on` may name, and what its listener is given. */
export interface EngageEvents {
  ready: undefined;
  message: Message;
  shown: Happened;
  clicked: Clicked;
  answered: Answered;
  snoozed: Happened;
  dismissed: Happened;
  completed: Happened;
  error: unknown;
}

export type EngageListener<Name extends keyof EngageEvents> = (payload: EngageEvents[Name]) => void;

/** Nothing here throws, whatever it is given: a wrong call is told on the console. */
export interface Engage {
  identify(userId: string | number, traits?: Traits, options?: { userHash?: string }): void;
  identify(traits: Traits): void;
  track(event: string, properties?: Traits): void;
  page(name?: string, properties?: Traits): void;
  page(category: string, name: string, properties?: Traits): void;
  group(groupId: string | number, traits?: Traits): void;
  alias(userId: string | number, previousId?: string | number): void;
  reset(): void;
  show(message: Message): void;
  on<Name extends keyof EngageEvents>(event: Name, listener: EngageListener<Name>): void;
  off<Name extends keyof EngageEvents>(event: Name, listener?: EngageListener<Name>): void;
  optIn(): void;
  optOut(out?: boolean): void;
  debug(on?: boolean): void;
  shutdown(): void;
  /** Known once the script is there. */
  readonly anonymousId: string | undefined;
  readonly userId: string | undefined;
  /** When the script is there and the person agrees; it never rejects. */
  readonly ready: Promise<void>;
}

type Call = [name: string, ...args: unknown[]];
type Queue = { push(call: Call): unknown; anonymousId?: string; userId?: string };

const CALLS = ["identify", "track", "page", "group", "alias", "reset", "show", "on", "off", "optIn", "optOut", "debug", "shutdown"] as const;
const clients = new Map<string, Engage>();

/** The client of a service and a project: the same one however often it is asked for. On a server its calls do nothing. */
export function createEngage(options: EngageOptions): Engage {
  const host = String(options.host).replace(/\/+$/, "");
  const name = `${host} ${options.writeKey}`;
  const client = clients.get(name) ?? create({ ...options, host });
  clients.set(name, client);
  return client;
}

function create(options: EngageOptions): Engage {
  const page = typeof window === "undefined" ? undefined : (window as unknown as { engage?: Queue });
  const queue = (): Queue | undefined => page && (page.engage ??= [] as unknown as Queue);
  const call = (...made: Call): void => void queue()?.push(made);
  call("init", options);
  if (page) {
    const script = options.host + "/sdk/engage.js";
    // Bundlers must leave it alone: it is an address.
    import(/* @vite-ignore */ /* webpackIgnore: true */ script).catch((error: unknown) => console.warn(`[engage] no script: expected ${script}, got ${String(error)}`));
  }
  const calls = Object.fromEntries(CALLS.map((name) => [name, (...args: unknown[]) => call(name, ...args)]));
  return Object.defineProperties(calls, {
    anonymousId: { get: () => queue()?.anonymousId },
    userId: { get: () => queue()?.userId },
    ready: { value: new Promise<void>((done) => call("on", "ready", () => done())) },
  }) as unknown as Engage;
}
