import type { IncomingMessage, ServerResponse } from 'node:http';
import type { StorageSyncRunOptions } from './storage-sync-startup.js';

export interface StorageSyncRouterOptions<Request extends IncomingMessage = IncomingMessage>
  extends Omit<StorageSyncRunOptions, 'signal'> {
  /**
   * Is whoever asks an administrator? Only `true` is yes. If it throws, or its promise is rejected, Express's error handler
   * gets that and nothing is done.
   */
  authorize: (request: Request) => boolean | Promise<boolean>;
  /** How long an answer may take; a run that takes longer is answered with 202 and goes on. 25 seconds unless set. */
  answerWithinMs?: number;
}

/**
 * `POST /sync` (JSON: `dryRun`, `paths`), `POST /validate` (`strict`) and `GET /status`, relative to where it is mounted. The
 * answers are those of the functions, with 200; 202 as said above; else `{"error": {"code", "message"}}` with 400, 403, 405, 409
 * (`busy`: one run at a time), 413, 415, 502 or 504. Throws a TypeError without `authorize`.
 */
export function storageSyncRouter<Request extends IncomingMessage = IncomingMessage>(
  options: StorageSyncRouterOptions<Request>,
): (request: Request, response: ServerResponse, next: (error?: unknown) => void) => Promise<void>;
