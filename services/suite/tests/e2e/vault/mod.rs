//! The vault under fire: what it keeps is nowhere in clear, nothing that was acknowledged is lost,
//! what is erased stays so, and nobody gets what is not theirs.

mod caller;
mod crash;
mod hostile;
mod leaks;
mod raw;
mod restore;
