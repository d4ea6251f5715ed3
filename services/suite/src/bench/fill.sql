-- Fills the books: everything that the engine writes for transfers, by sets of many. Functions of a
-- session, made by the owner of the schema. Policies, constraints and triggers hold as for anybody.

-- A UUIDv7 (RFC 9562) whose last bits are a number, so that ids are in the order of their numbers.
CREATE FUNCTION pg_temp.time_id(moment timestamptz, number bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008'
        || lpad(to_hex(number), 15, '0'))::uuid
$$;

-- HMAC-SHA-256 (RFC 2104) under a salt of zeros, which leaves of its pads what RFC 2104 says of them.
CREATE FUNCTION pg_temp.commitment(name text, value text) RETURNS bytea LANGUAGE sql AS $$
    SELECT sha256(decode(repeat('5c', 64), 'hex') || sha256(decode(repeat('36', 64), 'hex')
        || int8send(octet_length(name)) || convert_to(name || value, 'UTF8')))
$$;

-- The transfers `first` to `last` of a tenant, a hundredth of a millisecond apart since `start`, all
-- on one day. Only every `parts`-th account takes part, from number `part` + 1 on, so that as many
-- sessions can fill at once; the first account does in every 50th transfer of its part. With
-- `hashed` the changes have leaves, which are those of nothing; else the sequencer makes them.
CREATE FUNCTION pg_temp.fill(tenant uuid, part bigint, parts bigint, accounts bigint, first bigint,
    last bigint, start timestamptz, hashed boolean) RETURNS void LANGUAGE plpgsql SET work_mem = '256MB' AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('strongroom.tenant', tenant::text, true);
    CREATE TEMP TABLE moves ON COMMIT DROP AS
    SELECT n, pg_temp.time_id(moment, n) AS id, moment, (moment AT TIME ZONE 'UTC')::date AS day,
        1 + part + parts * (CASE WHEN n % 2 = 0 THEN one ELSE other END) AS debit,
        1 + part + parts * (CASE WHEN n % 2 = 0 THEN other ELSE one END) AS credit,
        1 + (hashint8extended(n, 3) & 4294967295) % 1000 AS amount,
        CASE WHEN n % 20 = 0 THEN 'run-' || n / 20000 END AS group_id
    FROM (SELECT n, start + n * interval '10 microseconds' AS moment, one,
              other + CASE WHEN other >= one THEN 1 ELSE 0 END AS other
          FROM (SELECT n, CASE WHEN n % 50 = 0 AND part = 0 THEN 0
                      ELSE (hashint8extended(n, 1) & 4294967295) % (accounts / parts) END AS one,
                    (hashint8extended(n, 2) & 4294967295) % (accounts / parts - 1) AS other
                FROM generate_series(first, last) AS n) AS n) AS n;
    ANALYZE moves;

    INSERT INTO outcomes (tenant_id, operation, request_id, request_hash, state, resource,
        principal, trace_id, create_time, settle_time)
    SELECT tenant, 'create-transaction', id, '\x01' || sha256(int8send(n)), 3,
        'transactions/' || id, 'bench', repeat('0', 32), moment, moment
    FROM moves ORDER BY n;
    INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time,
        booking_date, group_id)
    SELECT tenant, id, 'TRANSFER', 2, moment, moment, day, group_id FROM moves ORDER BY n;

    CREATE TEMP TABLE lines ON COMMIT DROP AS
    SELECT n, m.id, side, moment, m.day, amount, a.id AS account_id, a.currency,
        a.entry_seq + row_number() OVER history AS entry_seq,
        a.version + row_number() OVER history AS version,
        a.posted_credits - a.posted_debits
            + sum(CASE side WHEN 1 THEN -amount ELSE amount END) OVER history AS posted,
        a.overdraft_limit - a.held AS room
    FROM (SELECT *, 1 AS side, debit AS number FROM moves
          UNION ALL SELECT *, 2, credit FROM moves) AS m
    JOIN ledger_accounts AS a ON a.tenant_id = tenant
        AND a.id = ('00000000-0000-7000-8000-' || 100000000000 + number)::uuid
    WINDOW history AS (PARTITION BY a.id ORDER BY n);
    INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, direction,
        amount, currency, posted_after, available_after, version_after)
    SELECT tenant, id, side - 1, account_id, entry_seq, side, amount, currency, posted,
        posted + room, version
    FROM lines ORDER BY n, side;
    UPDATE ledger_accounts AS a
    SET posted_debits = a.posted_debits + s.debits, posted_credits = a.posted_credits + s.credits,
        entry_seq = a.entry_seq + s.entries, version = a.version + s.entries,
        record_time = s.moment, day = s.day, day_debits = a.day_debits + s.debits,
        day_credits = a.day_credits + s.credits
    FROM (SELECT account_id, count(*) AS entries, max(moment) AS moment, max(day) AS day,
              coalesce(sum(amount) FILTER (WHERE side = 1), 0) AS debits,
              coalesce(sum(amount) FILTER (WHERE side = 2), 0) AS credits
          FROM lines GROUP BY account_id) AS s
    WHERE a.tenant_id = tenant AND a.id = s.account_id;

    -- A hundred transfers share a commit, as those of the service do.
    INSERT INTO changes (tenant_id, id, kind, ids, create_time, leaves)
    SELECT tenant, (array_agg(id ORDER BY n))[1], 'transaction.posted', array_agg(id ORDER BY n),
        max(moment), CASE WHEN hashed THEN string_agg(sha256(int8send(n)), '' ORDER BY n) END
    FROM moves GROUP BY n / 100;
    -- What lists are asked by: fill.rs makes the same values of the same numbers.
    INSERT INTO labels (tenant_id, transaction_id, record_time, key, value, salt, commitment)
    SELECT tenant, id, moment, 'merchant', value, decode(repeat('00', 16), 'hex'),
        pg_temp.commitment('labels/merchant', value)
    FROM (SELECT n, id, moment, 'm-' || n / 10 % 1000 AS value FROM moves WHERE n % 10 = 0) AS m
    ORDER BY n;
    INSERT INTO external_ids (tenant_id, collection, kind, value, holder_id, salt, commitment)
    SELECT tenant, 1, 'PSP', value, id, decode(repeat('00', 16), 'hex'),
        pg_temp.commitment('external_ids/PSP', value)
    FROM (SELECT n, id, 'psp-' || n AS value FROM moves WHERE n % 10 = 1) AS m
    ORDER BY n;
END $$;
