DROP TABLE labels;
DROP TABLE texts;
DROP TABLE entries;
DROP FUNCTION entries_balance;
DROP TABLE transactions;
