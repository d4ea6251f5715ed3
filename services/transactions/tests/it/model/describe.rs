//! What is shown of a failure. The messages themselves show nothing of what may be personal, so
//! this test, whose people are made up, writes their encoding out.

use std::fmt::Write as _;

use prost::Message;

use super::call::{Answer, Call, Made, Order, Reply};

/// A message as its fields, by number, as far as its bytes tell.
pub(super) fn message(message: &impl Message) -> String {
    let mut text = String::new();
    write_fields(&message.encode_to_vec(), &mut text);
    text
}

fn write_fields(mut bytes: &[u8], text: &mut String) {
    use prost::encoding::{WireType, decode_key, decode_varint};
    while let Ok((tag, kind)) = decode_key(&mut bytes) {
        let _ = write!(text, " {tag}:");
        match kind {
            WireType::Varint => {
                let _ = write!(text, "{}", decode_varint(&mut bytes).unwrap().cast_signed());
            }
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes).unwrap()).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                match std::str::from_utf8(value) {
                    Ok(words) if words.chars().all(|c| !c.is_control()) => {
                        let _ = write!(text, "{words}");
                    }
                    _ => {
                        text.push('(');
                        write_fields(value, text);
                        text.push_str(" )");
                    }
                }
            }
            _ => return,
        }
    }
}

pub(super) fn made(made: &Made) -> String {
    match made {
        Made::Transaction(transaction) => format!("transaction{}", message(transaction)),
        Made::Hold(hold) => format!("hold{}", message(hold)),
        Made::Capture(hold, transaction) => {
            let (hold, transaction) = (message(&**hold), message(&**transaction));
            format!("hold{hold}\n  by transaction{transaction}")
        }
    }
}

fn order(order: &Order) -> String {
    let request = match order {
        Order::Transaction(request) => message(request),
        Order::Transfer(request) => message(request),
        Order::Reversal(request) => message(request),
        Order::Hold(request) => message(request),
        Order::Capture(request) => message(request),
        Order::Release(request) => message(request),
        Order::Extend(request) => message(request),
        Order::Increase(request) => message(request),
    };
    format!("{}{request}", order.operation())
}

pub(super) fn call(call: &Call) -> String {
    match call {
        Call::One(one) => order(one),
        Call::Batch(request) => {
            let items = request.items.iter().map(|item| order(&Order::of_item(item)));
            let head = super::wire::ExecuteBatchRequest { items: Vec::new(), ..request.clone() };
            format!("batch{}\n  {}", message(&head), items.collect::<Vec<_>>().join("\n  "))
        }
        Call::Controls(request) => format!("controls{}", message(request)),
        Call::Close(request) => format!("close{}", message(request)),
        Call::Outcome(request) => format!("outcome{}", message(request)),
    }
}

pub(super) fn answer(answer: &Answer) -> String {
    let replay = if answer.is_replay { "again: " } else { "" };
    match &answer.reply {
        Ok(Reply::Made(one)) => format!("{replay}{}", made(one)),
        Ok(Reply::Batch(items)) => {
            let item = |(item, is_replay): &(Result<Made, _>, bool)| match item {
                Ok(one) if *is_replay => format!("again: {}", made(one)),
                Ok(one) => made(one),
                Err(refusal) => format!("{refusal:?}"),
            };
            format!("{replay}{}", items.iter().map(item).collect::<Vec<_>>().join("\n  "))
        }
        Ok(Reply::Account(account)) => format!("{replay}account{}", message(account)),
        Ok(Reply::Outcome(outcome)) => format!("{outcome:?}"),
        Err(refusal) => format!("{refusal:?}"),
    }
}
