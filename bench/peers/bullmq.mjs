// bullmq on the Redis of the URL: node bullmq.mjs URL JOBS. Prints one JSON line: jobs queued and carried out a second.
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

const [url, count] = [process.argv[2], Number(process.argv[3])];
const batch = 1000;
const inFlight = 4;
const connect = () => new Redis(url, { maxRetriesPerRequest: null });

const queue = new Queue("bench", { connection: connect() });
let next = 0;
const submitBegun = performance.now();
await Promise.all(Array.from({ length: inFlight }, async () => {
  while (next < count) {
    const first = next;
    next += batch;
    const jobs = Array.from({ length: Math.min(batch, count - first) }, (_, i) => ({
      name: "noop", data: { number: first + i, body: "q".repeat(280) }, opts: { removeOnComplete: true } }));
    await queue.addBulk(jobs);
  }
}));
const submitSeconds = (performance.now() - submitBegun) / 1e3;

let done = 0;
let finished;
const all = new Promise((resolve) => (finished = resolve));
const workBegun = performance.now();
const worker = new Worker("bench", async () => {}, { connection: connect(), concurrency: 200 });
worker.on("completed", () => void (++done === count && finished()));
await all;
const workSeconds = (performance.now() - workBegun) / 1e3;
console.log(JSON.stringify({ peer: "bullmq", jobs: count, submits_per_s: Math.round(count / submitSeconds), jobs_per_s: Math.round(count / workSeconds) }));
process.exit(0);
