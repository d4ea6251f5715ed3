DROP TABLE ledger_intents;
DROP TABLE account_labels;
DROP TABLE accounts;
