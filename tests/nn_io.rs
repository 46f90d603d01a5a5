//! Parameters in safetensors files: a PyTorch-style export, round trips, and every kind of bad file.

use odeon::nn::io::{Names, load, save};
use odeon::nn::{Activation, Initializer, Layout, Network, Role};
use odeon::{Error, Result};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/nn").join(name)
}

fn network() -> Network {
    let builder = Network::builder(3).dense(4).activation(Activation::Tanh);
    builder.dense(2).build().expect("valid network")
}

fn torch_names() -> Names {
    Names::exact().prefix("net.").allow_others()
}

fn tensor(path: &Path, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
    let mut layout = Layout::new();
    layout.push(name, shape, Role::Shift)?;
    load(path, &layout, &Names::exact().allow_others())
}

#[test]
fn a_torch_export_gives_its_own_outputs() -> Result<()> {
    let network = network();
    for file in ["mlp_f32.safetensors", "mlp_f16.safetensors"] {
        let path = fixture(file);
        let theta: Vec<f64> = load(&path, network.layout(), &torch_names())?;
        let x = tensor(&path, "example.input", &[2, 3])?;
        let expected = tensor(&path, "example.output", &[2, 2])?;
        let mut out = [0.0; 4];
        network.forward(network.at(0.0, &x, &theta)?, &mut out, &mut network.scratch(2));
        for (given, expected) in out.iter().zip(&expected) {
            assert!((given - expected).abs() < 1e-14, "{file}: {given} against {expected}");
        }
    }
    Ok(())
}

#[test]
fn what_is_saved_is_loaded_with_the_same_bits() -> Result<()> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("tempdir", e))?;
    let path = dir.path().join("deep/theta.safetensors");
    let network = network();
    let layout = network.layout();
    let theta: Vec<f64> = network.init(Initializer::GlorotNormal, 1)?;
    let single: Vec<f32> = network.init(Initializer::GlorotNormal, 1)?;
    let equinox = Names::exact().prefix("mlp.").numbered("layers[{}]")?;
    let renamed = Names::exact().rename("0.bias", "first bias");
    for names in [Names::exact(), torch_names(), equinox.clone(), renamed] {
        save(&path, layout, &theta, &names)?;
        assert_eq!(load::<f64>(&path, layout, &names)?, theta);
        assert_eq!(load::<f32>(&path, layout, &names)?, single);
        save(&path, layout, &single, &names)?;
        assert_eq!(load::<f32>(&path, layout, &names)?, single);
    }
    save(&path, layout, &theta, &equinox)?;
    assert_eq!(tensor(&path, "mlp.layers[1].weight", &[2, 4])?, layout.view("2.weight", &theta)?);
    Ok(())
}

#[test]
fn bad_files_and_names_are_explained() -> Result<()> {
    let network = network();
    let layout = network.layout();
    let path = fixture("mlp_f32.safetensors");
    let refused = |layout: &Layout, path: &Path, names: &Names, parts: &[&str]| {
        let message = load::<f64>(path, layout, names).expect_err("bad").to_string();
        for part in parts {
            assert!(message.contains(part), "'{part}' is not in: {message}");
        }
    };
    refused(layout, &path, &Names::exact(), &["mlp_f32", "'0.weight'", "'net.0.weight'"]);
    let strict = Names::exact().prefix("net.");
    refused(layout, &path, &strict, &["no parameter for 'example.input', 'example.output'"]);
    let wider = Network::builder(3).dense(4).activation(Activation::Tanh).dense(5).build()?;
    refused(wider.layout(), &path, &torch_names(), &["net.2.weight", "[2, 4]", "[5, 4]"]);
    refused(layout, &path, &torch_names().rename("9.bias", "x"), &["9.bias", "2.weight"]);
    let clash = torch_names().rename("0.bias", "net.2.bias");
    refused(layout, &path, &clash, &["two parameters would share it"]);
    refused(layout, Path::new("absent.safetensors"), &torch_names(), &["absent.safetensors"]);
    assert!(Names::exact().numbered("layers").is_err());
    assert!(Names::exact().numbered("{}{}").is_err());

    let dir = tempfile::tempdir().map_err(|e| Error::io("tempdir", e))?;
    let broken = dir.path().join("broken.safetensors");
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    for cut in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&broken, &bytes[..cut]).map_err(|e| Error::io(&broken, e))?;
        refused(layout, &broken, &torch_names(), &["not a complete safetensors file"]);
    }
    // Tensors start after the 8-byte length and the header; the first one in a file sorted by type
    // is the f64 output, so the last four bytes belong to an f32 weight.
    let mut nan = bytes.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&broken, &nan).map_err(|e| Error::io(&broken, e))?;
    refused(layout, &broken, &torch_names(), &["NaN", "not a finite f64"]);
    Ok(())
}

#[test]
fn a_refused_save_leaves_the_old_file() -> Result<()> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("tempdir", e))?;
    let path = dir.path().join("theta.safetensors");
    let network = network();
    let mut theta: Vec<f64> = network.init(Initializer::HeNormal, 1)?;
    save(&path, network.layout(), &theta, &Names::exact())?;
    let old = theta.clone();
    theta[3] = f64::NAN;
    assert!(save(&path, network.layout(), &theta, &Names::exact()).is_err());
    assert!(save(&path, network.layout(), &theta[1..], &Names::exact()).is_err());
    assert_eq!(load::<f64>(&path, network.layout(), &Names::exact())?, old);
    let entries = std::fs::read_dir(dir.path()).map_err(|e| Error::io(dir.path(), e))?;
    assert_eq!(entries.count(), 1);
    Ok(())
}
