//! The fuzzer: mutates inputs of the target that `FUZZ_TARGET` names. `make fuzz` runs it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<albeit_fuzz::Target> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        albeit_fuzz::target(&name).unwrap_or_else(|| {
            let names: Vec<_> = albeit_fuzz::TARGETS.iter().map(|target| target.name).collect();
            eprintln!("FUZZ_TARGET must be one of {}", names.join(", "));
            std::process::abort()
        })
    });
    (target.run)(data);
});
