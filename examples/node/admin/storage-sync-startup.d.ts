/** Sync, validation and status of storsync-init for an application in Node. */

/** Why there is no result. What a run itself has to say, a failure included, is a result. */
export type StorageSyncErrorCode =
  /** An argument is not what it should be. Nothing was started. */
  | 'invalid-argument'
  /** The program is not there, or cannot be run. */
  | 'no-binary'
  /** It ended without a result: `message` says with which exit code. Of a validation: it could not compare. */
  | 'failed'
  /** A signal of somebody else's ended it. */
  | 'killed'
  /** It took longer than `timeoutMs` and was ended. */
  | 'timeout'
  /** `signal` was aborted. */
  | 'aborted'
  /** What it printed, or what the endpoint answered, is no result: is it another program? */
  | 'bad-output'
  /** The endpoint does not answer. */
  | 'unreachable'
  /** It wants a token, or another one. */
  | 'unauthorized'
  /** It was given no token, so nobody may start anything. */
  | 'read-only'
  /** Another run is under way there. */
  | 'busy'
  /** The run has ended and its result is not to be had: the process was started anew, or other runs came after it. */
  | 'lost';

export class StorageSyncError extends Error {
  readonly name: 'StorageSyncError';
  readonly code: StorageSyncErrorCode;
  /** With `failed`: the status document (docs/STATUS.md), if there is one. */
  readonly document?: StatusDocument;
  constructor(code: StorageSyncErrorCode, message: string, more?: { document?: StatusDocument; cause?: unknown });
}

export interface StorageSyncOptions {
  /** The program: a name that is looked for in PATH, or a path. `storsync-init` unless set. */
  binary?: string;
  /** More options for it, one word each: `--config=/etc/storsync.ini`. */
  args?: readonly string[];
  /** Variables in addition to those of this process, which is where settings and credentials come from. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Where its log goes: to this process's standard error (`inherit`), which is the rule, or nowhere. */
  log?: 'inherit' | 'ignore';
  /** The longest time. An hour unless set; of a status 10 seconds. */
  timeoutMs?: number;
}

/**
 * Instead of running the binary, ask the admin endpoint of `storsync-init --serve`: `http://127.0.0.1:9187` or
 * `unix:/run/storsync/admin.sock`. Its own settings and credentials count; of the options above only `timeoutMs` does.
 */
export interface EndpointOptions {
  endpoint?: string;
  /** Its `admin_token`, or the name of a file that has it. */
  token?: string;
  tokenFile?: string;
}

export interface StorageSyncRunOptions extends StorageSyncOptions, EndpointOptions {
  /** Ends the run when it is aborted. */
  signal?: AbortSignal;
}

export interface ManualSyncOptions extends StorageSyncRunOptions {
  /** Decide and log, write nothing. The figures are then what would be done. */
  dryRun?: boolean;
  /** Parts of the paths only: `['public/css', 'public/app.js']`. Each has a slash in it and begins with none. */
  paths?: readonly string[];
}

export interface ValidationOptions extends StorageSyncRunOptions {
  /** What only production has is a difference, too. Of an endpoint it is a setting. */
  strict?: boolean;
}

export interface FileError {
  file: string;
  error: string;
}

export interface SyncDetails {
  /** As in docs/STATUS.md: `synced`, `partial`, `failed`, `interrupted`, ... */
  state: string;
  dryRun: boolean;
  /** What the program ended with. */
  exitCode: number | null;
  durationMs: number;
  syncedFiles: number;
  skippedFiles: number;
  /** Listed, but no longer at the source when their turn came. */
  goneFiles: number;
  /** Changed in production and copied over; changed there and left alone. */
  overwrittenFiles: number;
  keptFiles: number;
  /** Removed from production (delete=extra). */
  deletedFiles: number;
  failedFiles: number;
  /** Bytes of the objects that were copied. */
  totalSize: number;
  /** The first ten that failed. */
  errors: FileError[];
}

export interface StorageSyncResult {
  success: boolean;
  /** The result in one line, for a person. */
  message: string;
  details?: SyncDetails;
}

export interface StorageValidationResult {
  valid: boolean;
  message: string;
  /** Objects at the source. */
  checkedFiles: number;
  missingFiles: number;
  mismatchedFiles: number;
  /** What only production has. */
  extraFiles: number;
  /** Could not be read; with these it is not valid. */
  failedFiles: number;
  details: {
    missing: string[];
    /** An endpoint tells no reasons: `differs`. */
    mismatched: { file: string; reason: string }[];
    extra: string[];
    /** A list is shorter than its number. */
    truncated: boolean;
  };
}

export interface LastSync {
  finishedAt: string;
  mode: 'deploy' | 'sync';
  deploymentId: string;
  job?: string;
  syncedFiles: number;
  totalSize: number;
}

/** docs/STATUS.md. */
export type StatusDocument = Readonly<Record<string, unknown>>;

export interface StorageSyncStatus {
  environment: 'production' | 'development';
  /** What decided that: `NODE_ENV=production`. */
  environmentSource: string;
  /** Both buckets are set. */
  configured: boolean;
  /** Each deployment is synced by itself: this is production. */
  hookActive: boolean;
  source: string;
  destination: string;
  /** Of the last run; null before the first one, as are the next two. */
  deploymentId: string | null;
  state: string | null;
  success: boolean | null;
  message: string;
  /** A run is under way. */
  running: boolean;
  lastSync: LastSync | null;
  /** When the schedule has the next sync begin. */
  nextSync: string | null;
  /** All that is known of the last run; null before the first one. */
  document: StatusDocument | null;
}

/**
 * A sync by hand, in any environment, whatever marker and interval say. Resolves when it is over, with success or without;
 * rejects with a StorageSyncError if there is no result.
 */
export function triggerManualStorageSync(options?: ManualSyncOptions): Promise<StorageSyncResult>;

/** Compares both buckets and copies nothing. Rejects if they could not be compared to their ends. */
export function validateStorageSync(options?: ValidationOptions): Promise<StorageValidationResult>;

/**
 * What the last run did; before the first one, what a run would go by. Asks no network, and takes some milliseconds, in which
 * Node does nothing else.
 */
export function getStorageSyncStatus(options?: StorageSyncOptions): StorageSyncStatus;

/** The same without making Node wait, for whoever serves requests; also of an endpoint. */
export function fetchStorageSyncStatus(options?: StorageSyncRunOptions): Promise<StorageSyncStatus>;
