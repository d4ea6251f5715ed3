//! gRPC as every service speaks it: one server stack, one client, one conversion of errors.

pub mod body;
pub mod call;
pub mod client;
pub mod health;
pub mod incoming;
pub mod server;
pub mod stack;
pub mod status;

pub use call::Call;
