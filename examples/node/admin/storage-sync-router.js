// Routes for administrators, for Express 4 and 5 (or anything else with (request, response, next)); it imports neither:
//   app.use('/admin/storage-sync', storageSyncRouter({ authorize: request => request.user?.role === 'admin' }));
//   POST …/sync   POST …/validate   GET …/status
import { StorageSyncError, fetchStorageSyncStatus, triggerManualStorageSync, validateStorageSync } from './storage-sync-startup.js';

const BODY_MAX = 64 << 10;
const PATIENCE = 25_000; // proxies give up after 30 or 60 seconds

const HTTP_STATUS = { 'invalid-argument': 400, busy: 409, timeout: 504 };

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

function answer(response, status, body, headers = {}) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text), 'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff', ...headers,
  });
  response.end(text);
}

function refuse(response, { status, code, message }) {
  answer(response, status, { error: { code, message } }, status === 405 ? { Allow: message } : {});
}

// A page of another site can have an administrator's browser send a form, with the cookies.
function checkOrigin(request) {
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    throw new Refusal(403, 'wrong-origin', 'not from another site');
  }
}

// What express.json() has made of the body, or the body.
async function bodyOf(request) {
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/json\b/i.test(type)) {
    throw new Refusal(415, 'unsupported-media-type', 'the body is to be application/json'); // a form's is not
  }
  if (request.body !== undefined && request.readableEnded) return request.body;
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_MAX) throw new Refusal(413, 'too-large', `more than ${BODY_MAX} bytes`);
  }
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'bad-request', 'the body is no JSON');
  }
}

// Nothing but what is meant for whoever asks from outside: not the program, nor its options.
function chosen(body, names) {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new Refusal(400, 'bad-request', 'the body is no object');
  const unknown = Object.keys(body).find(name => !names.includes(name));
  if (unknown !== undefined) throw new Refusal(400, 'bad-request', `unknown: ${unknown.slice(0, 100)}`);
  return body;
}

export function storageSyncRouter({ authorize, answerWithinMs = PATIENCE, ...options } = {}) {
  if (typeof authorize !== 'function') {
    throw new TypeError('storageSyncRouter: authorize has to be a function that says who is an administrator');
  }
  const actions = {
    sync: { act: triggerManualStorageSync, names: ['dryRun', 'paths'] },
    validate: { act: validateStorageSync, names: ['strict'] },
  };
  let running = null; // one at a time

  async function start(name, request, response) {
    checkOrigin(request);
    const { act, names } = actions[name];
    const body = chosen(await bodyOf(request), names);
    if (running) throw new Refusal(409, 'busy', `a ${running} is under way`);
    running = name;
    const done = act({ ...options, ...body }).finally(() => { running = null; });
    let timer;
    const late = new Promise(resolve => { timer = setTimeout(resolve, answerWithinMs, null); });
    const result = await Promise.race([done, late]).finally(() => clearTimeout(timer));
    if (result) {
      answer(response, 200, result);
      return;
    }
    // Nobody waits for it any more. Its log and the status say how it ends.
    done.catch(() => {});
    answer(response, 202, { running: name, message: 'It goes on; ask for the status' });
  }

  const routes = {
    '/sync': { POST: (request, response) => start('sync', request, response) },
    '/validate': { POST: (request, response) => start('validate', request, response) },
    '/status': {
      async GET(request, response) {
        const status = await fetchStorageSyncStatus({ ...options, timeoutMs: undefined });
        answer(response, 200, { ...status, running: status.running || running !== null });
      },
    },
  };

  return async function storageSync(request, response, next) {
    const path = (request.path ?? request.url.replace(/[?#].*/s, '')).replace(/\/$/, '');
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (!route) {
      next();
      return;
    }
    try {
      if ((await authorize(request)) !== true) throw new Refusal(403, 'forbidden', 'administrators only');
      if (!Object.hasOwn(route, request.method)) throw new Refusal(405, 'method-not-allowed', Object.keys(route).join(', '));
      await route[request.method](request, response);
    } catch (error) {
      if (response.headersSent) next(error);
      else if (error instanceof Refusal) refuse(response, error);
      else if (error instanceof StorageSyncError) {
        refuse(response, { status: HTTP_STATUS[error.code] ?? 502, code: error.code, message: error.message });
      } else next(error);
    }
  };
}
