//! A folder to work in, and the command run there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a command left.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A folder of its own for each test.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: TempDir::new().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that it stands in.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("files stand in the folder"))
            .expect("folders can be made");
        std::fs::write(path, bytes).expect("files can be written");
    }

    /// `ocelli` with these arguments, one word each, to be run here.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocelli"));
        command.args(words.split_whitespace()).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("OCELLI_ISA");
        command
    }

    /// Runs `ocelli` with these arguments.
    pub(crate) fn run(&self, words: &str) -> Done {
        run(&mut self.command(words))
    }

    /// Runs `ocelli`, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &str) -> Done {
        let done = self.run(words);
        assert_eq!(done.code, 0, "ocelli {words}\n{}", done.stderr);
        done
    }

    /// Runs `ocelli`, which must succeed, and reads the JSON that it prints.
    #[track_caller]
    pub(crate) fn json(&self, words: &str) -> Value {
        let done = self.ok(words);
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("ocelli {words}: {e}\n{}", done.stdout))
    }

    /// Runs `ocelli`, which must refuse with this code and say all of these things.
    #[track_caller]
    pub(crate) fn refused(&self, words: &str, code: i32, parts: &[&str]) {
        let done = self.run(words);
        assert_eq!(done.code, code, "ocelli {words}\n{}", done.stderr);
        assert_eq!(done.stdout, "", "ocelli {words}: a refusal has no result");
        assert!(done.stderr.contains("error: "), "ocelli {words}\n{}", done.stderr);
        for part in parts {
            assert!(done.stderr.contains(part), "ocelli {words}: no '{part}' in\n{}", done.stderr);
        }
    }
}

pub(crate) fn run(command: &mut Command) -> Done {
    let output = command.output().expect("the binary runs");
    Done {
        // A process that a signal ended has no code.
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// The keys of a JSON object.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An IDX file of unsigned bytes.
pub(crate) fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| file.extend(d.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Pictures of 8×8: class k has column k lit.
pub(crate) fn columns(labels: &[u8]) -> Vec<u8> {
    let pixel = |label: &u8, i: usize| if i % 8 == usize::from(*label) % 8 { 255 } else { 0 };
    labels.iter().flat_map(|label| (0..64).map(move |i| pixel(label, i))).collect()
}

/// Writes a training set of such pictures into the folder `name`.
pub(crate) fn write_columns(place: &Place, name: &str, labels: &[u8]) {
    let n = labels.len() as u32;
    place.write(&format!("{name}/train-images-idx3-ubyte"), idx(&[n, 8, 8], &columns(labels)));
    place.write(&format!("{name}/train-labels-idx1-ubyte"), idx(&[n], labels));
}
