-- The books of all tenants, recomputed. $1 is the tenant of the floor "same rows".
WITH sums AS (
    SELECT tenant_id, account_id, currency, count(*) AS entries, max(entry_seq) AS last,
        coalesce(sum(amount) FILTER (WHERE direction = 1), 0) AS debits,
        coalesce(sum(amount) FILTER (WHERE direction = 2), 0) AS credits
    FROM transactions.entries GROUP BY tenant_id, account_id, currency),
unbalanced AS (
    SELECT FROM sums GROUP BY tenant_id, currency HAVING sum(debits) <> sum(credits)),
held AS (
    SELECT tenant_id, account_id, sum(remaining) AS held
    FROM transactions.holds WHERE state = 1 GROUP BY tenant_id, account_id),
wrong AS (
    SELECT FROM transactions.ledger_accounts AS a
    FULL JOIN sums AS s ON s.tenant_id = a.tenant_id AND s.account_id = a.id
    LEFT JOIN held AS h ON h.tenant_id = a.tenant_id AND h.account_id = a.id
    LEFT JOIN transactions.entries AS e ON e.tenant_id = a.tenant_id AND e.account_id = a.id
        AND e.entry_seq = a.entry_seq
    WHERE a.id IS NULL OR a.entry_seq <> coalesce(s.entries, 0)
        OR a.entry_seq <> coalesce(s.last, 0)
        OR a.posted_debits <> coalesce(s.debits, 0)
        OR a.posted_credits <> coalesce(s.credits, 0)
        -- All accounts here are liabilities.
        OR a.posted_credits - a.posted_debits <> coalesce(e.posted_after, 0)
        OR a.held <> coalesce(h.held, 0))
SELECT count(*) FILTER (WHERE tenant_id <> $1) AS transactions,
    count(*) FILTER (WHERE tenant_id = $1) AS floor,
    (SELECT count(*) FROM transactions.holds) AS holds,
    (SELECT count(*) FROM unbalanced) AS unbalanced,
    (SELECT count(*) FROM wrong) AS wrong_accounts
FROM transactions.transactions
