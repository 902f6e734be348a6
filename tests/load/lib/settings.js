// Settings from environment variables, shared by all profiles. Every bad value stops the run before any load.

function number(name, fallback, least, most) {
  const text = __ENV[name];
  if (text === undefined || text === '') {
    return fallback;
  }
  const value = Number(text);
  if (!Number.isFinite(value) || value < least || value > most) {
    throw new Error(`${name}=${text}: must be a number from ${least} to ${most}`);
  }
  return value;
}

export function decimal(name, fallback, most = 1e6) {
  return number(name, fallback, 0, most);
}

export function whole(name, fallback, most = 100000) {
  const value = number(name, fallback, 1, most);
  if (!Number.isInteger(value)) {
    throw new Error(`${name}=${value}: must be a whole number`);
  }
  return value;
}

export function flag(name, fallback) {
  const text = __ENV[name];
  if (text === undefined || text === '') {
    return fallback;
  }
  if (text !== 'true' && text !== 'false') {
    throw new Error(`${name}=${text}: must be true or false`);
  }
  return text === 'true';
}

export const baseUrl = (__ENV.BASE_URL || 'http://127.0.0.1:3000').replace(/\/+$/, '');

const durationScale = decimal('DURATION_SCALE', 1, 1000);
const rateScale = decimal('RATE_SCALE', 1, 1000);

// Seconds of a profile as a k6 duration.
export function duration(seconds) {
  return `${Math.max(1, Math.round(seconds * durationScale * 1000))}ms`;
}

// A rate (or a number of users) of a profile; k6 takes whole numbers only.
export function scaled(rate) {
  return Math.max(1, Math.round(rate * rateScale));
}

// Options of every profile. Kept connections would stay with the pods that were there first, since kube-proxy
// balances connections and not requests: they are not reused unless an L7 proxy is in between. A client that never
// reads a body and keeps few labels uses less of the cores that it shares with the system it loads.
export function options(more) {
  return Object.assign(
    {
      noConnectionReuse: flag('NO_CONNECTION_REUSE', true),
      discardResponseBodies: true,
      systemTags: ['scenario', 'status', 'name', 'expected_response', 'error_code', 'check'],
      summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
      setupTimeout: '10s',
      userAgent: 'learningplatform-load',
    },
    more,
  );
}

// The parameters of one request: its template as name, so that ids make no series.
export function request(name, timeout = '10s') {
  const headers = { 'Content-Type': 'application/json' };
  if (__ENV.API_TOKEN) {
    headers.Authorization = `Bearer ${__ENV.API_TOKEN}`;
  }
  return { headers, timeout, tags: { name } };
}
