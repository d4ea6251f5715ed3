DROP TABLE checkpoints;
DROP TABLE log_tiles;
DROP TABLE logs;
ALTER TABLE changes
    DROP COLUMN data,
    DROP COLUMN leaves;
