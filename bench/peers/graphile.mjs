// graphile-worker on the PostgreSQL of the URL: node graphile.mjs URL JOBS. Prints one JSON line: jobs queued and carried out a second.
// Settings are those that its own benchmark calls fastest on one machine: bulk inserts, a local queue and batched completion.
import { makeWorkerUtils, run, Logger } from "graphile-worker";

const [url, count] = [process.argv[2], Number(process.argv[3])];
const batch = 1000;
const inFlight = 4;
const silent = new Logger(() => () => {});
const payload = (number) => ({ number, body: "q".repeat(280) });

const utils = await makeWorkerUtils({ connectionString: url, logger: silent, maxPoolSize: inFlight });
await utils.migrate();
let next = 0;
const submitBegun = performance.now();
await Promise.all(Array.from({ length: inFlight }, async () => {
  while (next < count) {
    const first = next;
    next += batch;
    const jobs = Array.from({ length: Math.min(batch, count - first) }, (_, i) => ({ identifier: "noop", payload: payload(first + i) }));
    await utils.addJobs(jobs);
  }
}));
const submitSeconds = (performance.now() - submitBegun) / 1e3;
await utils.release();

let done = 0;
let finished;
const all = new Promise((resolve) => (finished = resolve));
const workBegun = performance.now();
const runner = await run({
  connectionString: url,
  logger: silent,
  concurrency: 24,
  maxPoolSize: 8,
  noHandleSignals: true,
  preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
  taskList: { noop: () => void (++done === count && finished()) },
});
await all;
await runner.stop(); // Returns when every completion is written.
const workSeconds = (performance.now() - workBegun) / 1e3;
console.log(JSON.stringify({ peer: "graphile-worker", jobs: count, submits_per_s: Math.round(count / submitSeconds), jobs_per_s: Math.round(count / workSeconds) }));
process.exit(0);
