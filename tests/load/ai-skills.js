// The AI Skills guide's load test: 2 min to 10 users, 5 min at 10, 2 min to 20, 5 min at 20, 2 min to 0, with its limits.
import { check, sleep } from 'k6';
import http from 'k6/http';
import { Rate, Trend } from 'k6/metrics';
import { baseUrl, decimal, duration, options as common, request, scaled } from './lib/settings.js';

const lessonLoadTime = new Trend('lesson_load_time', true);
const projectSubmissionTime = new Trend('project_submission_time', true);
const errorRate = new Rate('error_rate');

export const options = common({
  scenarios: {
    users: {
      executor: 'ramping-vus',
      startVUs: 1,
      stages: [
        { duration: duration(120), target: scaled(10) },
        { duration: duration(300), target: scaled(10) },
        { duration: duration(120), target: scaled(20) },
        { duration: duration(300), target: scaled(20) },
        { duration: duration(120), target: 0 },
      ],
      gracefulRampDown: '5s',
      gracefulStop: '5s',
    },
  },
  thresholds: {
    http_req_duration: ['p(95)<2000'],
    http_req_failed: ['rate<0.01'],
    lesson_load_time: ['p(95)<3000'],
    project_submission_time: ['p(95)<5000'],
  },
});

const pause = decimal('PAUSE', 1, 60);
const project = JSON.stringify({ project: 1, answer: 'print("hello")' });

export default function () {
  const lesson = http.get(`${baseUrl}/lessons/daily`, request('/lessons/daily'));
  lessonLoadTime.add(lesson.timings.duration);
  errorRate.add(!check(lesson, { 'lesson is there': (r) => r.status === 200 }));

  const submission = http.post(`${baseUrl}/projects/submit`, project, request('/projects/submit'));
  projectSubmissionTime.add(submission.timings.duration);
  errorRate.add(!check(submission, { 'project is taken': (r) => r.status === 200 }));

  sleep(pause);
}
