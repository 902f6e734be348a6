// The story guide's load test: 10 arrivals/s for 60 s, 50 for 300 s, 100 for 120 s; 3.2 requests per arrival, so
// 32, 160 and 320 requests/s.
import exec from 'k6/execution';
import { arrive } from './lib/flows.js';
import { decimal, duration, options as common, scaled, whole } from './lib/settings.js';

const phases = [
  ['warm_up', 10, 60],
  ['sustained', 50, 300],
  ['peak', 100, 120],
];

let start = 0;
const scenarios = {};
for (const [name, rate, seconds] of phases) {
  scenarios[name] = {
    executor: 'constant-arrival-rate',
    rate: scaled(rate),
    timeUnit: '1s',
    startTime: duration(start),
    duration: duration(seconds),
    preAllocatedVUs: whole('VUS', 60),
    maxVUs: whole('MAX_VUS', 300),
    gracefulStop: '5s',
  };
  start += seconds;
}

export const options = common({
  scenarios,
  thresholds: { http_req_failed: [`rate<=${decimal('MAX_FAILED', 0.01, 1)}`] },
});

export default function () {
  arrive(exec.scenario.iterationInTest);
}
