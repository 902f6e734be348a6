// The three flows of a story platform's users with their weights: of ten arrivals six read a story, three train
// vocabulary and one looks at the dashboard. That is 32 requests, 3.2 per arrival.
import http from 'k6/http';
import { baseUrl, request } from './settings.js';

const STORIES = 50;

function get(name, path = name) {
  return (n) => http.get(baseUrl + path.replace('{id}', 1 + (n % STORIES)), request(name));
}

function post(name, body) {
  const text = JSON.stringify(body);
  return () => http.post(baseUrl + name, text, request(name));
}

const story = [
  get('/api/stories'),
  get('/api/stories/{id}'),
  post('/api/progress/update', { story: 1, page: 3 }),
  get('/api/learning/exercises/story/{id}'),
];
const vocabulary = [
  get('/api/vocabulary/recommendations'),
  post('/api/vocabulary/progress', { word: 'tree', known: true }),
];
const dashboard = [get('/api/me/progress'), get('/api/me/analytics')];

// Ten arrivals in an order without long runs of one flow; the same in every run.
const arrivals = [
  story, vocabulary, story, story, dashboard, story, vocabulary, story, vocabulary, story,
];
const requests = arrivals.flat();

export const requestsPerArrival = requests.length / arrivals.length;

// Arrival number n: one user's whole flow.
export function arrive(n) {
  for (const step of arrivals[n % arrivals.length]) {
    step(n);
  }
}

// Request number n of the same mix, one alone: for profiles that promise requests per second.
export function one(n) {
  return requests[n % requests.length](n);
}
