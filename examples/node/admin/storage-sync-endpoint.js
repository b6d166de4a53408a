// The same by the admin endpoint of `storsync-init --serve` (docs/SERVE.md), where the process that stays does the work and has
// the credentials. Part of storage-sync-startup.js, which is what applications import.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';

import { StorageSyncError, bad } from './storage-sync-error.js';

const ANSWER_LIMIT = 10_000; // it answers at once
const ANSWER_MAX = 4 << 20;
const SILENCE = 30_000; // for so long it may be unreachable while a run goes on
const FIRST_LOOK = 50;
const LAST_LOOK = 1000;

// Its codes, where ours are called otherwise.
const CODES = { 'bad-request': 'invalid-argument', unauthorized: 'unauthorized', 'read-only': 'read-only', busy: 'busy' };

function target(endpoint) {
  if (typeof endpoint === 'string' && endpoint.startsWith('unix:/') && !endpoint.includes('\0')) {
    return { socketPath: endpoint.slice('unix:'.length), headers: { host: 'localhost' }, client: http };
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (!['http:', 'https:'].includes(url?.protocol) || url.pathname !== '/' || url.search || url.hash || url.username) {
    throw bad(`endpoint is neither "http://HOST:PORT" nor "unix:/PATH": ${JSON.stringify(endpoint)}`);
  }
  const { hostname, port, protocol } = url;
  return { host: hostname.replace(/^\[|\]$/g, ''), port, headers: {}, client: protocol === 'https:' ? https : http };
}

function authorization({ token, tokenFile }) {
  const value = tokenFile === undefined ? token : readToken(tokenFile);
  if (value === undefined) return {};
  if (typeof value !== 'string' || !/^[!-~]([ -~]*[!-~])?$/.test(value)) throw bad('the token is no line of visible ASCII');
  return { authorization: `Bearer ${value}` };
}

function readToken(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new StorageSyncError('invalid-argument', `cannot read the token: ${cause.message}`, { cause });
  }
}

const unreachable = (endpoint, cause) =>
  new StorageSyncError('unreachable', `${endpoint} does not answer: ${cause.message || cause.code}`, { cause });

// { status, body } of one request.
function ask(options, method, path, body) {
  const { client, headers, ...where } = target(options.endpoint);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const all = { ...headers, ...authorization(options), connection: 'close' };
  if (text !== undefined) Object.assign(all, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  return new Promise((resolve, reject) => {
    const fail = cause => reject(unreachable(options.endpoint, cause));
    const request = client.request({ ...where, method, path, headers: all, agent: false, signal: AbortSignal.timeout(ANSWER_LIMIT) });
    request.on('error', fail);
    request.on('response', response => {
      const chunks = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', chunk => {
        size += chunk.length;
        if (size > ANSWER_MAX) request.destroy(new Error(`an answer of more than ${ANSWER_MAX} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        try {
          resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
        } catch (cause) {
          reject(new StorageSyncError('bad-output', `${options.endpoint} answers with no JSON (HTTP ${response.statusCode})`, { cause }));
        }
      });
    });
    request.end(text);
  });
}

function refused(endpoint, { status, body }) {
  const { code, message } = body?.error ?? {};
  return new StorageSyncError(CODES[code] ?? 'failed', `${endpoint} refuses: ${message ?? '?'} (HTTP ${status})`);
}

async function statusNow(options) {
  const answer = await ask(options, 'GET', '/status');
  if (answer.status !== 200) throw refused(options.endpoint, answer);
  if (answer.body === null || !Array.isArray(answer.body.runs)) {
    throw new StorageSyncError('bad-output', `${options.endpoint} is no admin endpoint of storsync-init`);
  }
  return answer.body;
}

// Nobody wants the run any more. Whether it is still under way nobody can say; another one's is left alone.
async function cancel(options, id) {
  try {
    if ((await statusNow(options)).run?.id === id) await ask(options, 'DELETE', '/run');
  } catch {
    // Then it goes on, or the endpoint is gone and the run with it.
  }
}

// What a validation has found, as in the status document: the first hundred keys.
function detailsOf({ objects, more }) {
  const keys = kind => objects.filter(object => object.kind === kind).map(object => object.key);
  return {
    missing: keys('missing'), mismatched: keys('different').map(file => ({ file, reason: 'differs' })), extra: keys('extra'),
    truncated: more > 0,
  };
}

function result({ last, differences }) {
  return differences?.runId === last.id ? { ...last, details: detailsOf(differences) } : last;
}

async function wait(options, id, started, signal) {
  let heard = Date.now();
  for (let delay = FIRST_LOOK; ; delay = Math.min(delay * 1.5, LAST_LOOK)) {
    await pause(delay, undefined, { signal });
    let status;
    try {
      status = await statusNow(options);
    } catch (error) {
      if (error.code !== 'unreachable' || Date.now() - heard > SILENCE) throw error;
      continue;
    }
    heard = Date.now();
    if (status.started !== started) throw new StorageSyncError('lost', 'storsync-init was started anew meanwhile');
    if (status.last?.id === id) return result(status);
    if (status.run?.id !== id) throw new StorageSyncError('lost', 'the run is over, and others have come after it');
  }
}

// Starts a run and waits for its end: the members of its status document.
export async function runAtEndpoint(path, body, options, timeout) {
  const { signal: abort } = options;
  if (abort?.aborted) throw new StorageSyncError('aborted', 'aborted before it began', { cause: abort.reason });
  const { started } = await statusNow(options);
  const accepted = await ask(options, 'POST', path, body);
  if (accepted.status !== 202) throw refused(options.endpoint, accepted);
  const { id } = accepted.body.run;
  const limit = AbortSignal.timeout(timeout);
  const signal = abort ? AbortSignal.any([abort, limit]) : limit;
  try {
    return await wait(options, id, started, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    await cancel(options, id);
    if (abort?.aborted) throw new StorageSyncError('aborted', 'aborted', { cause: abort.reason });
    throw new StorageSyncError('timeout', `not done after ${timeout} ms`);
  }
}

// The status, and of which run it is.
export async function statusAtEndpoint(options) {
  const status = await statusNow(options);
  const run = status.run?.environment ? status.run : status.last;
  if (!run?.environment) throw new StorageSyncError('failed', 'nothing is known yet: the first run has just begun');
  return { run, running: status.run !== null, next: status.schedules?.sync?.next ?? null };
}
