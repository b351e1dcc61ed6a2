-- What commands were answered with that came with a key, in the order in which they were accepted.
CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY,
    key BLOB NOT NULL,                     -- 16 bytes: a digest of the key and of whose it is
    fingerprint BLOB NOT NULL,             -- 16 bytes: a digest of what was asked for
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,              -- of the order, after the command
    answer TEXT NOT NULL,                  -- placed or accepted
    answered_at INTEGER NOT NULL,          -- microseconds since 1970
    checksum BLOB NOT NULL                 -- a byte that names its format, then that, over all of the above but the sequence
) STRICT;

CREATE UNIQUE INDEX receipts_by_key ON receipts (key);
