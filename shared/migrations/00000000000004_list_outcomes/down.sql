DROP INDEX outcomes_by_time;
ALTER TABLE outcomes DROP COLUMN account;
