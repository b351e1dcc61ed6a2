-- What commands were answered with that came with a key, in the order in which they were accepted. There is no index by key
-- here: it would cost a page of the write-ahead log for each receipt. The views have it.
CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY,          -- 1, 2, …; none ever comes again, since the newest row is never deleted
    key BLOB NOT NULL,                     -- 16 bytes: a digest of the key and of whose it is
    fingerprint BLOB NOT NULL,             -- 16 bytes: a digest of what was asked for
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,              -- of the order, after the command
    answer TEXT NOT NULL,                  -- placed or accepted
    answered_at INTEGER NOT NULL,          -- microseconds since 1970
    checksum BLOB NOT NULL                 -- a byte that names its format, then that, over all of the above but the sequence
) STRICT;
