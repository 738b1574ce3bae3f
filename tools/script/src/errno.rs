//! Error numbers as scripts write and show them: by name.

use xmit_dataplane::errno;

/// The number of `name`.
pub(crate) fn number(name: &str) -> Result<i32, String> {
    errno::number(name).ok_or_else(|| format!("`{name}` is not an error number that scripts know"))
}

/// The name of `number`.
pub(crate) fn name(number: i32) -> String {
    errno::name(number).map_or_else(|| format!("error {number}"), str::to_owned)
}
