-- pgbench: a transfer between two accounts of 1..:accounts, in either direction. With :hot one of
-- them is always the first. The ids of the accounts end in their numbers.
\if :hot
\set one 1
\set other random(2, :accounts)
\else
\set one random(1, :accounts)
\set other random(1, :accounts - 1)
\set other :other + (case when :other >= :one then 1 else 0 end)
\endif
\set debit 100000000000 + (case when random(0, 1) = 1 then :one else :other end)
\set credit 200000000000 + :one + :other - :debit
\set amount random(1, 1000)
SELECT floors.same_rows(:tenant, ('00000000-0000-7000-8000-' || :debit)::uuid,
    ('00000000-0000-7000-8000-' || :credit)::uuid, :amount);
