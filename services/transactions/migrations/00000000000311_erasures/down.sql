DROP INDEX holds_by_destination;
DROP TABLE erasures;
DROP TABLE erasure_cursors;
