// A spike: FROM_RATE requests/s for FROM_SECONDS, then at once TO_RATE for TO_SECONDS. The spike's first request is logged as
// one line of JSON, {"event":"spike","at":MILLISECONDS since 1970}, so that a benchmark can measure from it.
import exec from 'k6/execution';
import { one } from './lib/flows.js';
import { decimal, duration, options as common, scaled, whole } from './lib/settings.js';

const before = decimal('FROM_SECONDS', 30);
const after = decimal('TO_SECONDS', 60);

function steady(rate, seconds, startTime) {
  return {
    executor: 'constant-arrival-rate',
    rate: scaled(rate),
    timeUnit: '1s',
    startTime: duration(startTime),
    duration: duration(seconds),
    preAllocatedVUs: whole('VUS', 200),
    maxVUs: whole('VUS', 200),
    gracefulStop: '3s',
  };
}

const scenarios = { spike: steady(decimal('TO_RATE', 780), after, before) };
if (before > 0) {
  scenarios.before = steady(decimal('FROM_RATE', 80), before, 0);
}

export const options = common({
  scenarios,
  thresholds: { http_req_failed: [`rate<=${decimal('MAX_FAILED', 1, 1)}`] },
});

export default function () {
  if (exec.scenario.name === 'spike' && exec.scenario.iterationInTest === 0) {
    console.log(JSON.stringify({ event: 'spike', at: Date.now() }));
  }
  one(exec.scenario.iterationInTest);
}
