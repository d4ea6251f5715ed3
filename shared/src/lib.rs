//! What two or more of Strongroom's services use, and that names no business noun.

pub mod boot;
pub mod changes;
pub mod clock;
pub mod commitment;
pub mod config;
pub mod db;
pub mod deadline;
pub mod field;
pub mod filter;
pub mod grpc;
pub mod hex;
pub mod ids;
pub mod lane;
pub mod mask;
pub mod money;
pub mod outcome;
pub mod page;
pub mod postgres;
pub mod principal;
pub mod problem;
pub mod rpc;
pub mod sequence;
pub mod task;
pub mod telemetry;
pub mod tenants;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod timeline;
pub mod token;
pub mod transparency;

/// The allocator of every binary: what one thread allocates another one frees, all the time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
