//! buildah, with a storage of its own for each test.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

const IMAGE: &str = "tarana-operator";

/// An image in a storage that is removed when this is dropped.
pub struct Image {
    program: PathBuf,
    storage: PathBuf,
}

impl Image {
    /// Builds the image from these files and the last stage of the Dockerfile, as `packaging/build-image.sh` does.
    pub async fn build(name: &str, files: &Path) -> Self {
        let storage = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("buildah-{name}"));
        if storage.exists() {
            fs::remove_dir_all(&storage).unwrap();
        }
        let image = Self {
            program: devenv::buildah().await.unwrap(),
            storage,
        };
        let context = format!("files={}", files.display());
        let recipe = env!("CARGO_MANIFEST_DIR");
        image
            .buildah(&["build", "--build-context", &context, "--tag", IMAGE, recipe])
            .await;
        image
    }

    /// The output of buildah with these arguments.
    pub async fn buildah(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        // The driver `vfs` copies files and needs no feature of the kernel or the file system.
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.storage.join("root"))
            .arg("--runroot")
            .arg(self.storage.join("run"))
            .args(arguments);
        output_of(command).await
    }

    /// The configuration: user, entry point, command and labels.
    pub async fn config(&self) -> Value {
        let inspected = self.buildah(&["inspect", "--type", "image", IMAGE]).await;
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        inspected["OCIv1"]["config"].clone()
    }

    /// Creates a container and returns its name.
    pub async fn container(&self) -> String {
        self.buildah(&["from", "--pull-never", IMAGE])
            .await
            .trim()
            .to_owned()
    }

    /// Lists the files of all layers as tar does, without folders: mode, owner, size, time, name.
    pub async fn files(&self) -> Vec<String> {
        let folder = self.storage.join("pushed");
        self.buildah(&["push", IMAGE, &format!("dir:{}", folder.display())])
            .await;
        let manifest: Value =
            serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        let mut files = Vec::new();
        for layer in manifest["layers"].as_array().unwrap() {
            let digest = layer["digest"].as_str().unwrap().trim_start_matches("sha256:");
            let mut tar = Command::new("tar");
            tar.args([OsStr::new("-tvf"), folder.join(digest).as_os_str()]);
            let list = output_of(tar).await;
            files.extend(
                list.lines()
                    .filter(|line| !line.starts_with('d'))
                    .map(str::to_owned),
            );
        }
        files
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.storage);
    }
}

/// The standard output of a command that must succeed.
pub async fn output_of(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} failed ({}): {errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}
