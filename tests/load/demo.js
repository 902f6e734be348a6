// The demonstration: a quiet start, a ramp to 780 requests/s (8 pods at 100 each), a plateau, a ramp down and a long quiet
// time in which the pods go away step by step. Every number is an environment variable.
import exec from 'k6/execution';
import { one } from './lib/flows.js';
import { decimal, duration, options as common, scaled, whole } from './lib/settings.js';

const low = scaled(decimal('LOW_RATE', 50));
const peak = scaled(decimal('PEAK_RATE', 780));
const seconds = {
  quiet: decimal('QUIET_SECONDS', 15),
  up: decimal('UP_SECONDS', 45),
  hold: decimal('HOLD_SECONDS', 60),
  down: decimal('DOWN_SECONDS', 15),
  after: decimal('AFTER_SECONDS', 420),
};

function constant(rate, length) {
  return { executor: 'constant-arrival-rate', rate, duration: duration(length) };
}

function ramp(from, to, length) {
  return {
    executor: 'ramping-arrival-rate',
    startRate: from,
    stages: [{ target: to, duration: duration(length) }],
  };
}

const phases = {
  quiet: constant(low, seconds.quiet),
  up: ramp(low, peak, seconds.up),
  hold: constant(peak, seconds.hold),
  down: ramp(peak, low, seconds.down),
  after: constant(low, seconds.after),
};

let start = 0;
const scenarios = {};
for (const name of Object.keys(phases).filter((phase) => seconds[phase] > 0)) {
  const busy = name === 'up' || name === 'hold' || name === 'down';
  scenarios[name] = Object.assign(phases[name], {
    startTime: duration(start),
    timeUnit: '1s',
    // A user that is made while the load runs costs a burst of cpu: all are made before it.
    preAllocatedVUs: busy ? whole('VUS', 200) : Math.min(20, whole('VUS', 200)),
    maxVUs: whole('VUS', 200),
    gracefulStop: '3s',
  });
  start += seconds[name];
}

export const options = common({
  scenarios,
  thresholds: {
    // While the pods are still coming a few requests are refused; on the plateau hardly any may be.
    http_req_failed: [`rate<=${decimal('MAX_FAILED', 0.05, 1)}`],
    'http_req_failed{scenario:hold}': [`rate<=${decimal('MAX_FAILED_HOLD', 0.01, 1)}`],
  },
});

export default function () {
  one(exec.scenario.iterationInTest);
}
