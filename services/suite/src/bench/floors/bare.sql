-- pgbench: one transfer between two accounts of 1..:accounts. With :hot one of them is always the
-- first, on either side.
\set first random(1, :accounts)
\set second random(1, :accounts - 1)
\set second :second + (case when :second >= :first then 1 else 0 end)
\if :hot
\set first 1
\set second random(2, :accounts)
\endif
\set forth random(0, 1)
\set debit case when :forth = 1 then :first else :second end
\set credit :first + :second - :debit
\set amount random(1, 1000)
SELECT floors.bare(:debit, :credit, :amount);
