//! The tables of this service. A test keeps them equal to the migrations, and rewrites them with
//! `UPDATE_SCHEMA=1`.

