ALTER TABLE entries DROP COLUMN booking_date;
ALTER TABLE transactions DROP COLUMN import_source;
DROP TABLE periods;
DROP TABLE calendars;
