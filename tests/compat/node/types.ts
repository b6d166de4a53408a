// What the declarations of examples/node/admin allow, and what not. It is only compiled.
import express from 'express';

import { storageSyncRouter } from './server/storage-sync-router.js';
import {
  StorageSyncError, fetchStorageSyncStatus, getStorageSyncStatus, triggerManualStorageSync, validateStorageSync,
} from './server/storage-sync-startup.js';

const result = await triggerManualStorageSync();
const success: boolean = result.success;
const message: string = result.message;
const synced: number | undefined = result.details?.syncedFiles;
await triggerManualStorageSync({ dryRun: true, paths: ['public/css'], args: ['--config=/x'], env: { A: undefined }, signal: AbortSignal.timeout(1) });

const validation = await validateStorageSync({ strict: true, log: 'ignore' });
const figures: number = validation.missingFiles + validation.mismatchedFiles;
const reasons: string[] = validation.details.mismatched.map(({ file, reason }) => `${file}: ${reason}`);

const status = getStorageSyncStatus();
const words: [string, boolean, boolean] = [status.environment, status.configured, status.hookActive];
const same: typeof status = await fetchStorageSyncStatus({ timeoutMs: 5 });
if (status.environment === 'production') console.log(status.lastSync?.finishedAt, same.document?.schema);

try {
  await triggerManualStorageSync();
} catch (error) {
  if (error instanceof StorageSyncError && error.code === 'timeout') console.log(error.document?.['message']);
}

const app = express();
app.use('/admin', storageSyncRouter({ authorize: request => request.headers.cookie === 'x' }));
app.use('/admin', storageSyncRouter<express.Request>({ authorize: async request => request.get('x-role') === 'admin', answerWithinMs: 1 }));

// @ts-expect-error: somebody has to say who is an administrator
storageSyncRouter({});
// @ts-expect-error: and nothing but a boolean is an answer
storageSyncRouter({ authorize: () => 'yes' });
// @ts-expect-error
await triggerManualStorageSync({ paths: 'public/css' });
// @ts-expect-error
await triggerManualStorageSync({ strict: true });
// @ts-expect-error
await validateStorageSync({ dryRun: true });
// @ts-expect-error
getStorageSyncStatus({ log: 'pipe' });
// @ts-expect-error: no code of ours
new StorageSyncError('whatever', '');

export { success, message, synced, figures, reasons, words };
