//! What the files look like, for `--help`.

/// What the files look like.
pub(crate) const FILES: &str = r#"FILES
  A file ends with .csv (RFC 4180, UTF-8, behind a header; columns in any
  order) or with .ndjson or .jsonl (a JSON object on each line; all values are
  strings, also amounts). What may be empty may be left out.

  Accounts: a row each.
    id               the account's own id in the old ledger. A UUID stays what
                     it is; of anything else a UUID is made, always the same
                     for one --source
    currency         of ISO 4217, or registered by the tenant
    class            ASSET, LIABILITY, EQUITY, INCOME or EXPENSE
    gl_code          the general ledger code; may be empty
    overdraft        how far it may fall below zero: an amount, or
                     "unbounded"; empty for not at all
    customer         the holder's id; may be empty
    parent           the id of the account that it rolls up to; may be empty
    opening_balance  on the account's normal side, such as "12.50" or "-3";
                     may be empty
    opening_date     the day on which that is booked, as YYYY-MM-DD

  An opening balance is posted against an account of the class EQUITY that has
  the gl_code OPENING_BALANCE, one for each currency. Nothing is left on it
  where the old ledger balanced.

  Transactions: in CSV a row for each entry, those of one transaction
  together; in NDJSON an object for each transaction, with "entries".
    id               the transaction's own id in the old ledger
    type             such as TOPUP: upper case letters, digits, underscores
    booking_date     the day on which it was booked, as YYYY-MM-DD
    effective_time   its value date: a time as RFC 3339 has it, or a day; the
                     booking date where it is empty
    description      a text; may be empty
    group_id         what it belongs to; may be empty
    label.KEY        a label; in NDJSON "labels": {"KEY": "..."}
    external_id.KIND an id such as PSP; in NDJSON
                     "external_ids": {"KIND": "..."}
   and for each entry
    account          the id of an account of the file, or of one that the
                     ledger has
    direction        DEBIT or CREDIT
    amount           above zero, such as "12.50"
    currency         the account's
    memo             a text; may be empty
  What is said of the whole transaction is said in the first of its rows.

CHECKS
  All of it is checked before anything is written: a bad row is told with its
  file, line and column, and the exit code is 65. Bounds, blocks and limits do
  not stand against history; closed months do.

RESTARTS
  How far it has come is in FILE.progress. The same command again goes on from
  there, and what was written already is not written twice. A file that has
  changed meanwhile is refused.

EXAMPLES
  strongroom import --accounts accounts.csv --transactions history.csv \
      --source core-2019
  strongroom import --transactions history.ndjson --source core-2019 \
      --time-zone Europe/Zurich --bulk"#;
