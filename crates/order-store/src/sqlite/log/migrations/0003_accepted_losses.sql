-- What is missing for good, and is told no more: whoever runs the service has accepted that it is lost.
CREATE TABLE accepted_losses (
    what TEXT NOT NULL CHECK (what IN ('events', 'receipts')),
    first INTEGER NOT NULL,                -- the first position, or the first receipt's number, that is missing
    last INTEGER NOT NULL,                 -- the last one
    PRIMARY KEY (what, first)
) STRICT, WITHOUT ROWID;

-- So far the deleting of old receipts could leave some between others.
INSERT INTO accepted_losses
SELECT 'receipts', (SELECT max(sequence) FROM receipts WHERE sequence < above.sequence) + 1, above.sequence - 1
FROM receipts AS above
WHERE NOT EXISTS (SELECT 1 FROM receipts WHERE sequence = above.sequence - 1)
    AND above.sequence > (SELECT min(sequence) FROM receipts);
