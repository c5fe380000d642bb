//! A clock that tests can set, for processes that are started with it: Debian's libfaketime.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::error::{Error, Result};
use crate::{apt, tools};

const LIBRARY: &str = "libfaketimeMT.so.1";
/// A wall clock. Its processes read it at most one second after it was set; their monotonic clock is the real one.
#[derive(Clone, Debug)]
pub struct FakeClock {
    library: PathBuf,
    file: PathBuf,
}

impl FakeClock {
    /// A clock that shows the real time. It is kept in a file of this folder.
    ///
    /// # Errors
    /// [`Error::Missing`] when the library cannot be downloaded, [`Error::Io`] when the file cannot be written.
    pub async fn new(folder: &Path) -> Result<Self> {
        let clock = Self {
            library: library().await?,
            file: folder.join("clock"),
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets the clock this many seconds ahead of the real time, or behind it if the number is negative.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // A process never reads a file that is half written.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&new, &self.file))
            .map_err(Error::io(format!("write {}", self.file.display())))
    }

    /// The environment of a process with this clock.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

/// The path of the library, downloaded if necessary.
async fn library() -> Result<PathBuf> {
    let _guard = apt::lock().await;
    let architecture = env::consts::ARCH;
    let installed = PathBuf::from(format!("/usr/lib/{architecture}-linux-gnu/faketime/{LIBRARY}"));
    let kept = tools::cache_folder()?.join("faketime").join(LIBRARY);
    if let Some(found) = [&installed, &kept].into_iter().find(|file| file.is_file()) {
        return Ok(found.clone());
    }
    let file = format!("usr/lib/*/faketime/{LIBRARY}");
    apt::extract(LIBRARY, "libfaketime", &file, &kept).await?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process_group::random_hex;

    /// The time of a process with these variables.
    fn seconds(variables: &[(&str, String)]) -> i64 {
        let variables = variables.iter().map(|(name, value)| (name, value));
        let output = Command::new("date").arg("+%s").envs(variables).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
    }

    #[tokio::test]
    async fn a_process_reads_the_clock_that_was_set() {
        let folder = env::temp_dir().join(format!("devenv-clock-{}", random_hex()));
        fs::create_dir_all(&folder).unwrap();
        let clock = FakeClock::new(&folder).await.unwrap();
        for offset in [0, 86_400, -300] {
            clock.set(offset).unwrap();
            let difference = seconds(&clock.variables()) - seconds(&[]);
            assert!(
                (difference - offset).abs() <= 30,
                "{difference} instead of {offset}"
            );
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
