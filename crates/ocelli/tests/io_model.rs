//! Model files: what comes back, what other programs see, and that no damage is ever accepted.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use ocelli::io::{ErrorKind, IoError, ModelFile, Network, weights_sha256};
use ocelli_core::ops::{BatchNorm, Conv2d, Flatten, Linear};
use ocelli_core::{Graph, Params};
use safetensors::SafeTensors;
use serde_json::json;
use sha2::{Digest, Sha256};

fn network() -> Network {
    let mut graph = Graph::new();
    let image = graph.input("image", [2, 3, 3]).unwrap();
    let conv = graph.add("conv1", Conv2d::new(2, [3, 2]), [image]).unwrap();
    let norm = graph.add("bn1", BatchNorm::default(), [conv]).unwrap();
    let flat = graph.add("flatten1", Flatten {}, [norm]).unwrap();
    graph.add("fc", Linear::new(2), [flat]).unwrap();
    Network { name: "small".to_string(), graph: Arc::new(graph) }
}

fn model() -> ModelFile {
    let network = network();
    let params = Params::initialised(network.graph.layout(), 1).unwrap();
    ModelFile {
        classes: vec!["cat".to_string(), "\"dog\" 犬".to_string()],
        preprocess: json!({ "mean": [0.1 + 0.2] }),
        training: json!({ "loss": "cross_entropy", "seed": u64::MAX }),
        network,
        params,
    }
}

fn saved(model: &ModelFile) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    fs::read(&path).unwrap()
}

/// Loads these bytes as a model file.
struct Loader(tempfile::TempDir);

impl Loader {
    fn new() -> Loader {
        Loader(tempfile::tempdir().unwrap())
    }

    fn load(&self, bytes: &[u8]) -> Result<ModelFile, IoError> {
        let path = self.0.path().join("model.safetensors");
        // Overwritten, not emptied first: some file systems flush emptied files at once, which takes long.
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).unwrap();
        file.write_all(bytes).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        ModelFile::load(&path)
    }

    fn refused(&self, bytes: &[u8]) -> String {
        let error = self.load(bytes).expect_err("a bad file");
        assert_eq!(error.kind(), ErrorKind::BadFile);
        error.to_string()
    }
}

/// The bytes with the checksum that fits them, as someone would who means harm.
fn resealed(bytes: &[u8]) -> Vec<u8> {
    let start = 8 + br#"{"__metadata__":{"ocelli.checksum":""#.len();
    let mut bytes = bytes.to_vec();
    bytes[start..start + 64].fill(b'0');
    let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    bytes[start..start + 64].copy_from_slice(digest.as_bytes());
    bytes
}

/// The bytes with another text in the header, and everything else to match.
fn with_header(bytes: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = change(std::str::from_utf8(&bytes[8..8 + length]).unwrap());
    resealed(&[&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[8 + length..]].concat())
}

fn bits(params: &Params<f32>) -> Vec<u32> {
    params.data().iter().map(|v| v.to_bits()).collect()
}

#[test]
fn everything_comes_back_and_equal_models_are_equal_bytes() {
    let model = model();
    let bytes = saved(&model);
    let found = Loader::new().load(&bytes).unwrap();
    assert_eq!(bits(&found.params), bits(&model.params));
    assert_eq!((&found.classes, &found.preprocess), (&model.classes, &model.preprocess));
    assert_eq!((&found.training, found.network.to_toml()), (&model.training, model.network.to_toml()));
    assert_eq!(weights_sha256(&found.params), weights_sha256(&model.params));
    assert_eq!(saved(&found), bytes);
}

#[test]
fn other_programs_read_the_tensors_by_pytorchs_names_and_layouts() {
    let model = model();
    let bytes = saved(&model);
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<&str> = tensors.names();
    names.sort_unstable();
    let expected: Vec<String> = {
        let mut names: Vec<String> = model.params.layout().entries().iter().map(|e| e.name.clone()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names, expected);
    for name in ["conv1.weight", "bn1.running_mean", "bn1.running_var", "fc.bias"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    let weight = tensors.tensor("conv1.weight").unwrap();
    assert_eq!(weight.shape(), [2, 2, 3, 2]);
    let entry = model.params.layout().find("conv1.weight").unwrap();
    let values = weight.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    assert_eq!(values.collect::<Vec<f32>>(), model.params.get(entry).data());
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(start % 8, 0, "tensors are aligned for those who map the file");
}

#[test]
fn every_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model().save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut put = |at: usize, byte: u8| {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    for at in 0..bytes.len() {
        for bit in 0..8 {
            put(at, bytes[at] ^ (1 << bit));
            let error = ModelFile::load(&path).expect_err(&format!("bit {bit} of byte {at}"));
            assert_eq!(error.kind(), ErrorKind::BadFile);
        }
        put(at, bytes[at]);
    }
    ModelFile::load(&path).expect("everything is as it was");
}

#[test]
fn every_truncation_and_every_appended_byte_is_found() {
    let (bytes, loader) = (saved(&model()), Loader::new());
    for len in 0..bytes.len() {
        loader.refused(&bytes[..len]);
    }
    loader.refused(&[&bytes[..], &[0]].concat());
    let damaged = loader.refused(&bytes[..bytes.len() - 1]);
    assert!(
        damaged.contains("damaged") && damaged.contains("restore it from a copy or train again"),
        "{damaged}"
    );
}

#[test]
fn files_forged_with_a_right_checksum_never_panic() {
    let (bytes, loader) = (saved(&model()), Loader::new());
    for at in 0..bytes.len() {
        for byte in [0, b'"', b'9', b'{', 0x7f, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x20] {
            let mut forged = bytes.clone();
            forged[at] = byte;
            if let Ok(model) = loader.load(&resealed(&forged)) {
                assert!(model.params.data().iter().all(|v| v.is_finite()), "byte {at} as {byte}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let (bytes, loader) = (saved(&model()), Loader::new());
    let changed = |from: &str, to: &str| {
        let change = |header: &str| {
            assert!(header.contains(from), "{header}");
            header.replacen(from, to, 1)
        };
        loader.refused(&with_header(&bytes, change))
    };
    let cases = [
        (("\"fc.bias\"", "\"fc.bios\""), "it lacks tensor 'fc.bias', which its network needs"),
        (
            ("\"shape\":[2,2,3,2]", "\"shape\":[2,2,2,3]"),
            "tensor 'conv1.weight' has shape [2, 2, 2, 3], its network needs [2, 2, 3, 2]",
        ),
        (("\"dtype\":\"F32\"", "\"dtype\":\"I32\""), "elements of type I32, not F32"),
        (
            ("\"ocelli.version\":\"1\"", "\"ocelli.version\":\"7\""),
            "format version 7, and this program reads version 1; use a version of Ocelli that reads 7",
        ),
        (("\"ocelli.kind\":\"model\"", "\"ocelli.kind\":\"checkpoint\""), "it is a checkpoint, not a model"),
        (("\"ocelli.classes\"", "\"ocelli.klasses\""), "it lacks 'ocelli.classes'"),
        (("conv2d", "conv3d"), "unknown op 'conv3d'"),
        (("\"data_offsets\":[0,", "\"data_offsets\":[4,"), "it is no model file"),
    ];
    for ((from, to), expected) in cases {
        let message = changed(from, to);
        assert!(message.contains(expected), "{message}\nnot\n{expected}");
    }
    let end = with_header(&bytes, |header| {
        header.trim_end().strip_suffix('}').unwrap().to_string()
            + ",\"more\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[END,END]}}"
    });
    let length = u64::from_le_bytes(end[..8].try_into().unwrap()) as usize;
    let data = (end.len() - 8 - length).to_string();
    let extra = with_header(&end, |header| header.replace("END", &data));
    let message = loader.refused(&extra);
    assert!(message.contains("its network has no place for tensor 'more'"), "{message}");
}

#[test]
fn a_model_with_nan_is_neither_saved_nor_loaded() {
    let mut model = model();
    let bytes = saved(&model);
    let entry = model.params.layout().find("fc.weight").unwrap().clone();
    model.params.data_mut()[entry.range.start] = f32::NAN;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let message = model.save(&path).unwrap_err().to_string();
    assert!(message.contains("'fc.weight' holds NaN"), "{message}");
    assert!(!path.exists());
    // The tensors stand in the order of their names, fc.weight last.
    let mut forged = bytes.clone();
    let end = forged.len();
    forged[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let message = Loader::new().refused(&resealed(&forged));
    assert!(message.contains("'fc.weight' holds NaN or infinite values"), "{message}");
}

#[test]
fn other_kinds_of_file_are_told_apart_from_damaged_ones() {
    let loader = Loader::new();
    let plain = safetensors::serialize(
        [("w", safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap())],
        None,
    );
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", &plain.unwrap(), &[0xff; 200]] {
        let message = loader.refused(bytes);
        assert!(message.contains("another kind of file, or damaged"), "{message}");
    }
    assert_eq!(ModelFile::load(Path::new("absent")).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(ModelFile::load(loader.0.path()).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn the_digest_of_the_weights_is_over_names_shapes_and_bits() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2]).unwrap();
    graph.add("a", Linear::new(1), [x]).unwrap();
    let mut params = Params::<f32>::zeroed(graph.layout()).unwrap();
    let weight = graph.layout().find("a.weight").unwrap();
    params.set(weight, &[1.0, -2.0]);
    let mut hasher = Sha256::new();
    hasher.update(b"a.bias\0");
    [1u64, 1].iter().for_each(|n| hasher.update(n.to_le_bytes()));
    hasher.update(0f32.to_le_bytes());
    hasher.update(b"a.weight\0");
    [2u64, 1, 2].iter().for_each(|n| hasher.update(n.to_le_bytes()));
    [1f32, -2.0].iter().for_each(|v| hasher.update(v.to_le_bytes()));
    let expected: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(weights_sha256(&params), expected);
    params.set(graph.layout().find("a.bias").unwrap(), &[-0.0]);
    assert_ne!(weights_sha256(&params), expected, "−0 has other bits than 0");
}
