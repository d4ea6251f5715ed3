#![no_main]

use libfuzzer_sys::fuzz_target;
use records_fuzz::proof;

fuzz_target!(|input: proof::Input<'_>| proof::check(&input));
