// Runs after the code of docs/migrating.md, which makes `analytics`: does the calls of argv[1], tells each request that leaves.
const tell = (said) => process.stdout.write(JSON.stringify(said) + "\n");

analytics.on("http_request", ({ body, headers }) => tell({ request: JSON.parse(body), headers }));
analytics.on("error", (error) => tell({ failed: String(error.reason ?? error.code) }));
for (const [name, message] of JSON.parse(process.argv[1])) {
  if (message.timestamp) message.timestamp = new Date(message.timestamp);
  analytics[name](message);
}
await analytics.closeAndFlush();
