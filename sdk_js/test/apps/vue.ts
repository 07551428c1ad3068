// The same as a Vue application.
import { engagePlugin, useEngage, useEngageEvent } from "@engage/sdk/vue";
import { createApp, defineComponent, h, onUnmounted, ref } from "vue";

declare const HOST: string;

const Board = defineComponent(() => {
  const engage = useEngage();
  const turn = ref(0);
  const heard = ref<string[]>([]);
  const timer = setInterval(() => turn.value++, 40);
  onUnmounted(() => clearInterval(timer));
  useEngageEvent("completed", ({ kind }) => heard.value.push(`${kind} at ${turn.value > 0}`));
  return () =>
    h("main", [
      h("h1", `Turn ${turn.value}`),
      h("div", { key: turn.value, style: { paddingLeft: `${(turn.value % 5) * 10}px` } }, [
        h("button", { id: "create", onClick: () => engage.track("Project Created", { turn: turn.value }) }, "New project"),
      ]),
      h("output", heard.value.join()),
    ]);
});

const App = defineComponent(() => {
  const engage = useEngage();
  const shown = ref(true);
  return () => [
    shown.value ? h(Board) : undefined,
    h("button", { onClick: () => (shown.value = !shown.value) }, "Toggle"),
    h("button", { onClick: () => engage.identify("ann", { plan: "trial" }) }, "Sign in"),
  ];
});

createApp(App).use(engagePlugin, { writeKey: "wk", host: HOST }).mount("#root");
