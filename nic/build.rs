//! Builds the steering XDP program with clang; `src/xdp/steering.rs` embeds the result.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "bpf/steer.bpf.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CLANG");
    if let Err(reason) = compile() {
        println!("cargo::error={reason}");
    }
}

fn compile() -> Result<(), String> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo gave no OUT_DIR")?.join("steer.bpf.o");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|e| e.to_string())?;
    let clang = env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    let status = Command::new(&clang)
        // Debian keeps <asm/types.h>, which <linux/bpf.h> includes, in the directory of the architecture.
        .args(["-target", "bpf", "-O2", "-g", "-Wall", "-Werror", "-I", &format!("/usr/include/{arch}-linux-gnu")])
        .args(["-c", SOURCE, "-o"])
        .arg(&out)
        .status()
        .map_err(|e| {
            format!(
                "cannot run {} to build {SOURCE} ({e}); install Debian's package `clang`, or run `make deps`",
                clang.display()
            )
        })?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "clang could not build {SOURCE} ({status}); it needs Debian's packages `clang` and `linux-libc-dev`, which `make deps` installs"
        )),
    }
}
