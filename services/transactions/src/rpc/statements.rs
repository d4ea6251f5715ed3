//! Statements, as the methods that read and make them share it.

use diesel::PgConnection;
use shared::grpc::Call;
use shared::problem::Problem;
use strongroom_proto::transactions::v1 as wire;

use super::{Rpc, encode};
use crate::domain::{NewStatement, Statement, StatementLine, StatementName, Written};
use crate::error::Error;
use crate::store::statements;

/// A statement of the caller's tenant, or `RESOURCE_NOT_FOUND`.
pub(super) async fn find(
    rpc: &Rpc,
    call: &Call,
    name: StatementName,
) -> Result<Statement, Problem> {
    let tenant = call.tenant_id()?;
    let read =
        move |conn: &mut PgConnection| Ok::<_, Error>(statements::select(conn, tenant, name)?);
    let found = rpc.db.read("get_statement", call.scope(), read).await?;
    found.ok_or_else(|| name.not_found())
}

pub(super) fn statement(statement: Statement) -> wire::Statement {
    let Statement { head, hash } = statement;
    let money = |units| Some(encode_units(&head, units));
    let supersedes = head.supersedes.map(|id| StatementName { id, ..head.name }.name());
    wire::Statement {
        name: head.name.name(),
        start_date: head.start.to_string(),
        end_date: head.end.to_string(),
        version: head.version,
        supersedes: supersedes.unwrap_or_default(),
        currency: head.currency.code().to_owned(),
        opening: money(head.opening),
        debits: money(head.debits),
        credits: money(head.credits),
        closing: money(head.closing),
        line_count: head.line_count,
        entry_seq: head.entry_seq,
        hash,
        create_time: Some(head.create_time.encode()),
        r#final: head.is_final,
    }
}

fn encode_units(
    head: &NewStatement,
    units: shared::money::Units,
) -> strongroom_proto::common::v1::Money {
    units.encode(head.currency)
}

pub(super) fn line(head: &NewStatement, line: StatementLine) -> wire::StatementLine {
    let money = |units| encode_units(head, units);
    let text = |written: Option<Written>| written.map(|one| one.text).unwrap_or_default();
    let entry = wire::AccountEntry {
        transaction: line.transaction.name(),
        r#type: line.kind,
        description: text(line.description),
        entry_index: line.entry_index,
        direction: encode::direction(line.direction).into(),
        amount: Some(money(line.amount)),
        memo: text(line.memo),
        posted: Some(money(line.posted_after)),
        available: line.available_after.map(money),
        entry_seq: line.entry_seq,
        version: line.version_after,
        effective_time: Some(line.effective_time.encode()),
        record_time: Some(line.record_time.encode()),
        booking_date: line.booking_date.to_string(),
    };
    wire::StatementLine { line: line.line, entry: Some(entry), balance: Some(money(line.balance)) }
}
