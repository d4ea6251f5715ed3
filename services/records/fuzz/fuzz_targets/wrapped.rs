#![no_main]

use libfuzzer_sys::fuzz_target;
use records_fuzz::wrapped;

fuzz_target!(|input: wrapped::Input<'_>| wrapped::check(&input));
