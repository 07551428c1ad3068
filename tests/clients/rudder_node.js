// Runs after the code of docs/migrating.md, which makes `analytics`: does the calls of argv[1], tells each request that leaves.
const { gunzipSync } = await import("node:zlib");
const tell = (said) => process.stdout.write(JSON.stringify(said) + "\n");

analytics.axiosInstance.interceptors.request.use((request) => {
  tell({ request: JSON.parse(gunzipSync(request.data)) });
  return request;
});
analytics.axiosInstance.interceptors.response.use((response) => {
  tell({ headers: response.config.headers });
  return response;
});
const calls = JSON.parse(process.argv[1]);
let left = calls.length;
const done = (error) => {
  left -= 1;
  if (error) tell({ failed: String(error) });
};
for (const [name, message] of calls) {
  if (message.timestamp) message.timestamp = new Date(message.timestamp);
  analytics[name](message, done);
}
while (left > 0) {
  await analytics.flush().catch(() => undefined);
  await new Promise(setImmediate); // its callbacks come then
}
