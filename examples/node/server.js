// A small application behind storsync-init: shows its own PID and, at /healthz, the status of the sync.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const statusFile = process.env.STORSYNC_STATUS_FILE || '/tmp/storsync-status.json';

function health() {
  try {
    const status = fs.readFileSync(statusFile, 'utf8');
    return { code: JSON.parse(status).success ? 200 : 503, body: status };
  } catch (error) {
    return { code: 503, body: JSON.stringify({ success: false, message: error.message }) };
  }
}

const server = http.createServer((request, response) => {
  if (request.url === '/healthz') {
    const { code, body } = health();
    response.writeHead(code, { 'Content-Type': 'application/json' }).end(body);
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
