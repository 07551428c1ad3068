// A small React application, drawn anew all the time: tests/sdk/test_bindings.py runs it in a browser.
import { EngageProvider, useEngage, useEngageEvent } from "@engage/sdk/react";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

declare const HOST: string;

function Board() {
  const engage = useEngage();
  const [turn, setTurn] = useState(0);
  const [heard, setHeard] = useState<string[]>([]);
  useEffect(() => {
    const timer = setInterval(() => setTurn((before) => before + 1), 40);
    return () => clearInterval(timer);
  }, []);
  useEngageEvent("completed", ({ kind }) => setHeard([...heard, `${kind} at ${turn > 0}`]));
  return (
    <main>
      <h1>Turn {turn}</h1>
      <div key={turn} style={{ paddingLeft: `${(turn % 5) * 10}px` }}>
        <button id="create" onClick={() => engage.track("Project Created", { turn })}>
          New project
        </button>
      </div>
      <output>{heard.join()}</output>
    </main>
  );
}

function App() {
  const [shown, setShown] = useState(true);
  return (
    <EngageProvider writeKey="wk" host={HOST}>
      {shown && <Board />}
      <button onClick={() => setShown(!shown)}>Toggle</button>
      <Who />
    </EngageProvider>
  );
}

function Who() {
  const engage = useEngage();
  return <button onClick={() => engage.identify("ann", { plan: "trial" })}>Sign in</button>;
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
