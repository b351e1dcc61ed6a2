-- How far write-ahead logs had come that were copied into this file when a server stopped. None of their beginnings belongs beside it
-- any more. The newest few are kept.
CREATE TABLE finished_wals (
    sequence INTEGER PRIMARY KEY,          -- 1, 2, …
    turn INTEGER NOT NULL,                 -- the number of the last turn, as the write-ahead log's header has it
    salt INTEGER NOT NULL,                 -- that turn's first salt
    frames INTEGER NOT NULL                -- how many frames of that turn were committed
) STRICT;
