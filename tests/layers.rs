//! The architecture: a room imports from rooms below it only (docs/ARCHITECTURE.md).

use std::error::Error;
use std::fs;
use std::path::Path;

/// The rooms by layer, lowest first. Rooms of one layer do not see each other, but for `num`,
/// `error` and `files`, which are the ground together.
const LAYERS: [&[&str]; 10] = [
    &["num", "error", "files"],
    &["linalg"],
    &["dynamics", "nn"],
    &["integrate"],
    &["ode"],
    &["sde"],
    &["regularise", "adjoint"],
    &["model", "operator", "interop"],
    &["plot", "dataset"],
    &["train"],
];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a line of source names after `crate::`.
fn imports(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let name = |rest: &str| -> Vec<String> {
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        let first = |part: &str| part.trim().chars().take_while(word).collect();
        match rest.strip_prefix('{') {
            None => vec![first(rest)],
            Some(list) => list.split(',').map(first).collect(),
        }
    };
    code.split("crate::").skip(1).flat_map(name).collect()
}

fn check(path: &Path, room: &str, wrong: &mut Vec<String>) -> Result<usize, Box<dyn Error>> {
    let mut count = 0;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            count += check(&entry?.path(), room, wrong)?;
        }
        return Ok(count);
    }
    if path.extension().is_none_or(|e| e != "rs") {
        return Ok(0);
    }
    let own = layer(room).ok_or(format!("room {room} has no layer"))?;
    for (number, line) in fs::read_to_string(path)?.lines().enumerate() {
        for other in imports(line) {
            // `crate::Error` and `crate::Result` are the ground's.
            let Some(theirs) = layer(&other) else {
                continue;
            };
            count += 1;
            if other != room && theirs >= own && (own, theirs) != (0, 0) {
                let place = format!("{}:{}", path.display(), number + 1);
                wrong.push(format!("{place}: {room} sees {other}"));
            }
        }
    }
    Ok(count)
}

#[test]
fn rooms_import_from_below_only() -> Result<(), Box<dyn Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        let room = path.file_stem().and_then(|s| s.to_str());
        let room = room.unwrap_or_default();
        if room != "lib" {
            count += check(&path, room, &mut wrong)?;
        }
    }
    assert!(count > 100, "only {count} imports found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn imports_are_read_from_every_form() {
    assert_eq!(imports("use crate::num::{Real, dispatch};"), ["num"]);
    assert_eq!(imports("pub(crate) use crate::nn::Network;"), ["nn"]);
    assert_eq!(imports("use crate::{ode::solve, adjoint};"), ["ode", "adjoint"]);
    assert_eq!(imports("crate::train::run(crate::plot::y())"), ["train", "plot"]);
    assert!(imports("// use crate::train;").is_empty());
}
