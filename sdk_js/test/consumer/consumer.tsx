// What a TypeScript application may write with the package, and what its compiler has to refuse: `npm run typecheck` fails when
// either is otherwise. It is never run.
import { createEngage } from "@engage/sdk";
import type { Engage, Message } from "@engage/sdk";
import { EngageProvider, useEngage, useEngageEvent } from "@engage/sdk/react";
import { engagePlugin, useEngage as useEngageInVue } from "@engage/sdk/vue";
import { createApp } from "vue";

const engage: Engage = createEngage({ writeKey: "wk", host: "https://engage.example.com", consent: "required" });
engage.identify("ann", { plan: "trial" }, { userHash: "00" });
engage.identify({ plan: "team" });
engage.page("Docs", "Pricing", { from: "mail" });
engage.on("answered", ({ question, answer, delivery_id }) => console.log(question, answer, delivery_id?.length));
engage.on("message", (message: Message) => engage.show(message));
engage.off("answered");
void engage.ready.then(() => engage.anonymousId?.length);

// @ts-expect-error a host is needed
createEngage({ writeKey: "wk" });
// @ts-expect-error no such storage
createEngage({ writeKey: "wk", host: "https://engage.example.com", storage: "session" });
// @ts-expect-error an event has a name
engage.track();
// @ts-expect-error properties are an object
engage.track("Opened", "no");
// @ts-expect-error no such event
engage.on("shwon", () => {});
// @ts-expect-error a click has no answer
engage.on("clicked", ({ answer }) => answer);
// @ts-expect-error no such kind
engage.show({ kind: "tuor", content: {} });

export function App() {
  return (
    <EngageProvider writeKey="wk" host="https://engage.example.com" locale="ja">
      <Button />
    </EngageProvider>
  );
}

function Button() {
  const client = useEngage();
  useEngageEvent("completed", ({ rule_id, step }) => client.track("Learnt", { rule_id, step }));
  // @ts-expect-error no such event
  useEngageEvent("done", () => {});
  return <button onClick={() => client.track("Pressed", { where: "here" })}>Press</button>;
}

createApp({ setup: () => ({ engage: useEngageInVue() }) }).use(engagePlugin, { writeKey: "wk", host: "https://engage.example.com" });
// @ts-expect-error options are needed
createApp({}).use(engagePlugin);
