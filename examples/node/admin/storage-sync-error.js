// Why there is no result; the codes are in storage-sync-startup.d.ts.
export class StorageSyncError extends Error {
  constructor(code, message, { document, cause } = {}) {
    super(message, { cause });
    this.name = 'StorageSyncError';
    this.code = code;
    this.document = document;
  }
}

export const bad = message => new StorageSyncError('invalid-argument', message);
