//! Everything that may stop money, over the real three services: what accounts has answered, the
//! ledger enforces, whatever dies, hangs or is restored in between.

mod act;
mod closing;
mod desk;
mod kill;
mod kyc;
mod network;
mod order;
mod process;
mod race;
mod restored;
mod step;
