// A small application behind storsync-init: shows its own PID and, at /healthz, whether the sync went well. That may be
// asked by strangers: the status file has names of buckets and objects, which are not their business.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const statusFile = process.env.STORSYNC_STATUS_FILE || '/tmp/storsync-status.json';

function health() {
  try {
    const { state, success } = JSON.parse(fs.readFileSync(statusFile, 'utf8'));
    return { state, healthy: success === true };
  } catch {
    return { state: 'unknown', healthy: false };
  }
}

const server = http.createServer((request, response) => {
  if (request.url === '/healthz') {
    const answer = health();
    response.writeHead(answer.healthy ? 200 : 503, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  } else {
    response.end(`Hello from PID ${process.pid}\n`);
  }
});

server.listen(process.env.PORT || 3000, () => console.log(`listening on ${server.address().port}`));

// PID 1 gets no default action for a signal. Requests under way are answered; idle connections would keep us here.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    console.log(`${signal}: closing`);
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
