//! A C program against the header and the shared library.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

#[test]
fn a_c_program_runs_on_the_library() {
    if Command::new("cc").arg("--version").output().is_err() {
        println!("SKIPPED a_c_program_runs_on_the_library: no C compiler; install gcc or clang");
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = std::env::current_exe().unwrap().with_file_name("libxmit_embed.so");
    assert!(library.exists(), "{} was not built", library.display());
    let program = std::env::temp_dir().join(format!("xmit-embed-c-{}", std::process::id()));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Werror", "-I"])
        .arg(here.join("include"))
        .arg(here.join("tests/c/embed.c"))
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran = Command::new(&program).output();
    std::fs::remove_file(&program).unwrap();
    let ran = ran.unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && text == "ok\n", "{text}{}", String::from_utf8_lossy(&ran.stderr));
}
