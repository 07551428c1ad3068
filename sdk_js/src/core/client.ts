import { articleOf } from "../article/link";
import { stringify } from "./json";
import type { Core, Delivery, Dict, KindName, Options, PartModule, Stage, Store } from "../types";
import type { Emitter } from "./emitter";
import { createEvent, setReferrer } from "./event";
import { createIdentity } from "./identity";
import type { Identity } from "./identity";
import { listenUntil } from "./listening";
import { createOutbox, byteLength } from "./outbox";
import { watchAddress } from "./pages";
import { isKind, loadPart } from "./parts";
import { createSender } from "./sender";
import { createStream } from "./stream";
import { warn } from "./warn";

/** The service's limit for one event. */
const MAX_EVENT = 32 * 1024;

export interface Client {
  readonly identity: Identity;
  send(type: string, fields: Dict): void;
  identify(userId: string | undefined, traits: Dict, userHash: string | undefined): void;
  reset(): void;
  /** Who is here may have changed, in another tab. */
  look(): void;
  show(delivery: Delivery): void;
  /** Ends everything; what was not sent yet stays stored, unless `erase`. */
  stop(erase?: boolean): void;
}

/** Starts one client: queue, stream and, once there is something to show, the stage. */
export function startClient(options: Options, store: Store, emitter: Emitter): Client {
  const identity = createIdentity(store, options.userHash);
  const outbox = createOutbox(store);
  const ended = new AbortController();
  const listen = listenUntil(ended.signal);
  const sender = createSender(options, outbox, emitter.emit, listen);
  const stream = createStream(options, identity.named, receive, listen);
  let stage: Promise<Stage> | undefined;
  let stopped = false;

  const locale = (): string => options.locale ?? navigator.language;
  const core: Core = {
    ...emitter,
    options,
    store,
    locale,
    track: (event, properties) => send("track", { event, properties }),
    person: identity.named,
    load: (kind) => loadPart(core, kind),
  };

  function send(type: string, fields: Dict): void {
    const event = createEvent(type, fields, identity, locale());
    const text = stringify(event);
    if (byteLength(text) > MAX_EVENT) return warn(type + ": expected at most 32 KB");
    outbox.add(text);
    sender.wake();
    emitter.emit("event", event);
  }
  /** Loads the stage, which comes with every part, on the first occasion. */
  function onStage(kind: KindName, use: (stage: Stage) => void): void {
    stage ??= core.load(kind).then(({ createStage }: PartModule) => createStage(core));
    stage.then(
      (ready) => stopped || use(ready),
      (error: unknown) => {
        stage = undefined; // the next occasion tries again
        warn("no messages: " + error);
        emitter.emit("error", error);
      },
    );
  }
  function onScreen(use: (stage: Stage) => void): void {
    stage?.then(use, () => {});
  }
  function receive(delivery: Delivery): void {
    if (isKind(delivery.kind)) onStage(delivery.kind, (ready) => ready.add(delivery));
  }
  function openStream(): void {
    if (options.stream) stream.open();
  }
  const unwatch = watchAddress((before) => {
    setReferrer(before);
    onScreen((ready) => ready.moved());
    // After the router's own work, which sets the title.
    if (options.autoPage) setTimeout(() => stopped || send("page", {}));
  }, follow, listen);

  /** Where tours and chats are stored that were under way on the page before. */
  function begun(): string[] {
    return ["tour.", "chat."].flatMap(store.keys);
  }
  let here = identity.named();
  /** Another person than before gets an empty screen; any change, another stream. */
  function look(): void {
    const before = here;
    here = identity.named();
    if (before.anonymousId !== here.anonymousId) {
      begun().forEach(store.remove);
      onScreen((ready) => ready.clear());
    }
    if (stringify(before) !== stringify(here)) openStream();
  }

  function show(delivery: Delivery): void {
    onStage(delivery.kind, (ready) => ready.show(delivery));
  }
  function resume(kind: KindName): void {
    onStage(kind, (ready) => ready.resume(kind));
  }
  /** A link to a help article opens it. */
  function follow(): void {
    const article = articleOf(location.hash);
    if (article) show({ kind: "article", content: { article } });
  }
  follow();
  begun().forEach((key) => resume(key.slice(0, 4) as KindName));
  openStream();

  return {
    identity,
    send,
    identify(userId, traits, userHash) {
      if (userId) identity.become(userId, userHash);
      send("identify", { traits });
      look();
    },
    reset() {
      identity.reset();
      look();
    },
    look,
    show,
    stop(erase) {
      stopped = true;
      ended.abort();
      unwatch();
      stream.close();
      sender.stop();
      onScreen((ready) => ready.stop());
      if (erase) {
        outbox.erase();
        identity.reset(); // cookies list no keys, by which the loader erases the rest
      }
    },
  };
}
