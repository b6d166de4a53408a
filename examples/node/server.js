// A small application behind storsync-init: shows its own PID and, at /healthz, the status of the sync.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const statusFile = process.env.STORSYNC_STATUS_FILE || '/tmp/storsync-status.json';

const server = http.createServer((request, response) => {
  if (request.url !== '/healthz') {
    response.end(`Hello from PID ${process.pid}\n`);
    return;
  }
  fs.readFile(statusFile, (error, status) => {
    response.statusCode = error || !JSON.parse(status).success ? 503 : 200;
    response.setHeader('Content-Type', 'application/json');
    response.end(error ? JSON.stringify({ success: false, message: error.message }) : status);
  });
});

server.listen(process.env.PORT || 3000, () => console.log(`listening on ${server.address().port}`));
// PID 1 gets no default action for a signal.
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => server.close(() => process.exit(0)));
