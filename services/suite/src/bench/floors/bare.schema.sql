-- The floor "bare": the smallest honest schema of a double-entry ledger, frozen, so that ratios to
-- it can be compared over the years. Amounts are bigint, there are no tenants, no policies, no
-- request ids, no triggers and no foreign keys. What stays: a balance that cannot fall below its
-- bound, one row for each transfer, two entries with the balance after each, and the history of an
-- account in an index.
CREATE SCHEMA IF NOT EXISTS floors;
GRANT USAGE ON SCHEMA floors TO strongroom_transactions;

CREATE TABLE floors.bare_accounts (
    id bigint PRIMARY KEY,
    balance bigint NOT NULL,
    overdraft_limit bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE floors.bare_transfers (
    id bigint PRIMARY KEY,
    record_time timestamptz NOT NULL
);

CREATE TABLE floors.bare_entries (
    account_id bigint NOT NULL,
    transfer_id bigint NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    PRIMARY KEY (account_id, transfer_id)
);

-- Ids come in order, as UUIDv7 do, and a session takes many at once.
CREATE SEQUENCE floors.bare_ids CACHE 64;

-- One transfer in one round trip: a function is faster than a statement after the other. The rows
-- are locked by their updates, in the order of the ids, and the bound is checked under the locks.
CREATE FUNCTION floors.bare(debit bigint, credit bigint, amount bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    transfer bigint := nextval('floors.bare_ids');
    debited record;
    credited record;
BEGIN
    IF debit < credit THEN
        UPDATE floors.bare_accounts SET balance = balance - amount WHERE id = debit
            RETURNING balance, overdraft_limit INTO STRICT debited;
        UPDATE floors.bare_accounts SET balance = balance + amount WHERE id = credit
            RETURNING balance INTO STRICT credited;
    ELSE
        UPDATE floors.bare_accounts SET balance = balance + amount WHERE id = credit
            RETURNING balance INTO STRICT credited;
        UPDATE floors.bare_accounts SET balance = balance - amount WHERE id = debit
            RETURNING balance, overdraft_limit INTO STRICT debited;
    END IF;
    IF debited.balance + debited.overdraft_limit < 0 THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    INSERT INTO floors.bare_transfers VALUES (transfer, now());
    INSERT INTO floors.bare_entries VALUES
        (debit, transfer, -amount, debited.balance),
        (credit, transfer, amount, credited.balance);
END $$;

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA floors TO strongroom_transactions;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA floors TO strongroom_transactions;
