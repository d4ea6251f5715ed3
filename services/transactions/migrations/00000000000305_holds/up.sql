-- What is kept back on accounts, and for whom.
CREATE TABLE holds (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    destination_id uuid,
    kind text NOT NULL,
    -- What was authorised, increases included.
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    -- How far captures may exceed it.
    over_capture numeric(38, 0) NOT NULL CHECK (over_capture >= 0),
    -- What it keeps back.
    remaining numeric(38, 0) NOT NULL CHECK (remaining >= 0),
    captured numeric(38, 0) NOT NULL CHECK (captured >= 0),
    released numeric(38, 0) NOT NULL CHECK (released >= 0),
    -- 1 OPEN, 2 CAPTURED, 3 RELEASED, 4 EXPIRED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    -- As in transactions.
    overrides smallint CHECK (overrides BETWEEN 1 AND 15),
    expire_time timestamptz,
    -- What limits have counted for it, as JSON; NULL where none has.
    counted text,
    -- How many events it has.
    event_seq integer NOT NULL,
    create_time timestamptz NOT NULL,
    record_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state = 1 OR remaining = 0),
    CHECK (remaining + released <= amount),
    CHECK (captured <= amount + over_capture)
) WITH (fillfactor = 80);
-- Partial, as transactions_by_time is: a look-up by id is never planned as a walk.
CREATE INDEX holds_by_account ON holds (tenant_id, account_id, create_time)
    WHERE create_time IS NOT NULL;
CREATE INDEX holds_by_time ON holds (tenant_id, create_time) WHERE create_time IS NOT NULL;
-- Those that are open: by account, and by what expires next whatever the account.
CREATE INDEX holds_open ON holds (tenant_id, account_id, expire_time) WHERE state = 1;
CREATE INDEX holds_expiring ON holds (tenant_id, expire_time)
    WHERE state = 1 AND record_time IS NOT NULL;

-- What happened to them. Nothing here is ever updated or deleted.
CREATE TABLE hold_events (
    tenant_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    -- The place in the hold, from 1, without gaps.
    seq integer NOT NULL,
    -- 1 CREATED, 2 CAPTURED, 3 RELEASED, 4 EXTENDED, 5 INCREASED, 6 EXPIRED
    type smallint NOT NULL CHECK (type BETWEEN 1 AND 6),
    amount numeric(38, 0) NOT NULL CHECK (amount >= 0),
    remaining_after numeric(38, 0) NOT NULL CHECK (remaining_after >= 0),
    transaction_id uuid,
    expire_time timestamptz,
    overrides smallint CHECK (overrides BETWEEN 1 AND 15),
    record_time timestamptz NOT NULL,
    -- The batch that it happened in, all or nothing, and its place there, from 0.
    batch_id uuid,
    batch_index integer,
    PRIMARY KEY (tenant_id, hold_id, seq),
    CHECK ((type = 2) = (transaction_id IS NOT NULL)),
    CHECK ((batch_id IS NULL) = (batch_index IS NULL))
);
CREATE INDEX hold_events_by_batch ON hold_events (tenant_id, batch_id)
    WHERE batch_id IS NOT NULL;

-- Texts by people: 0 is the description, and n is why event n overrode rules. Why a capture did
-- stands with its transaction.
CREATE TABLE hold_texts (
    tenant_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    event_seq integer NOT NULL CHECK (event_seq >= 0),
    text text NOT NULL,
    salt bytea NOT NULL,
    commitment bytea NOT NULL,
    PRIMARY KEY (tenant_id, hold_id, event_seq)
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['holds', 'hold_events', 'hold_texts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', name, runtime);
    END LOOP;
    EXECUTE format(
        'GRANT UPDATE (amount, remaining, captured, released, state, expire_time, counted, '
        'event_seq, record_time) ON holds TO %I', runtime);
END $$;
