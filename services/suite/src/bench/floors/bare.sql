-- pgbench: a transfer between two accounts of 1..:accounts, in either direction. With :hot one of
-- them is always the first.
\if :hot
\set one 1
\set other random(2, :accounts)
\else
\set one random(1, :accounts)
\set other random(1, :accounts - 1)
\set other :other + (case when :other >= :one then 1 else 0 end)
\endif
\set debit case when random(0, 1) = 1 then :one else :other end
\set credit :one + :other - :debit
\set amount random(1, 1000)
SELECT floors.bare(:debit, :credit, :amount);
