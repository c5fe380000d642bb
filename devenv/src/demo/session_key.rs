//! The key of browser sessions.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use devenv::{Error, Result};

/// Writes a random key of browser sessions, in hexadecimal digits: white space at the end of the file would not count.
pub(super) fn write(path: &Path) -> Result<()> {
    let random = || -> io::Result<u128> {
        let mut key = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(u128::from_ne_bytes(key))
    };
    let write = || fs::write(path, format!("{:032x}{:032x}", random()?, random()?));
    write().map_err(|source| Error::Io {
        what: format!("write a random key to {}", path.display()),
        source,
    })
}
