#![no_main]

use libfuzzer_sys::fuzz_target;
use records_fuzz::context;

fuzz_target!(|input: context::Input<'_>| context::check(&input));
