// The Solidity platform's load test: 100 connections for 30 s, each with one request after the other; p95 below 200 ms,
// no error and no status but 2xx. The connections are kept, as the guide's tool keeps them.
import exec from 'k6/execution';
import http from 'k6/http';
import { Rate } from 'k6/metrics';
import { baseUrl, duration, flag, options as common, request, whole } from './lib/settings.js';

const notOk = new Rate('non_2xx');

export const options = common({
  noConnectionReuse: flag('NO_CONNECTION_REUSE', false),
  scenarios: {
    connections: {
      executor: 'constant-vus',
      vus: whole('CONNECTIONS', 100),
      duration: duration(30),
      gracefulStop: '5s',
    },
  },
  thresholds: {
    http_req_duration: ['p(95)<200'],
    http_req_failed: ['rate==0'],
    non_2xx: ['rate==0'],
  },
});

const source = JSON.stringify({ source: 'contract Lesson {}' });
const requests = [
  () => http.get(`${baseUrl}/`, request('/')),
  () => http.get(`${baseUrl}/api/courses`, request('/api/courses')),
  () => http.post(`${baseUrl}/api/compile`, source, request('/api/compile')),
];

export default function () {
  const answer = requests[exec.vu.iterationInScenario % requests.length]();
  notOk.add(answer.status < 200 || answer.status > 299);
}
