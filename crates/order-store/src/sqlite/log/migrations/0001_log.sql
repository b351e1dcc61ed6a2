CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    identity BLOB NOT NULL,                -- 16 random bytes; views of another log are told by it
    oldest_compatible INTEGER NOT NULL     -- the oldest schema version whose releases may open this file
) STRICT;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,          -- 1, 2, … in commit order
    version INTEGER NOT NULL,              -- 1, 2, … within the order
    time INTEGER NOT NULL,                 -- microseconds since 1970
    id BLOB NOT NULL,                      -- UUIDv7
    order_id TEXT NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,                    -- JSON
    context TEXT NOT NULL,                 -- a JSON object: the event's CloudEvents extensions
    source TEXT,                           -- its CloudEvents source, if it is another than this service's
    checksum BLOB NOT NULL                 -- a byte that names its format, then that, over all of the above
) STRICT;

-- How far those who follow the log have come.
CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,                -- of the last holder of its lease; 0: it had none
    position INTEGER,                      -- everything up to here is done; null until it is saved for the first time
    evidence TEXT                          -- what the other side would have to show for it
) STRICT;
