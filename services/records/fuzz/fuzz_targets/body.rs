#![no_main]

use libfuzzer_sys::fuzz_target;
use records_fuzz::body;

fuzz_target!(|input: body::Input<'_>| body::check(&input));
