//! Embedders: a tiny one, what is refused, and the one of the house against torch.

use image::{Rgb, RgbImage};

use super::*;
use crate::embedding::Embedding;

const TINY: &[u8] = include_bytes!("../../../tests/data/models/embedder.onnx");

/// A manifest that fits `TINY`.
const EMBEDDER: &str = r#"
kind = "embedder"
name = "tiny-embed"
version = "1"
file = "model.onnx"
sha256 = "SHA256"
license = "Apache-2.0"
max_batch = 4

[input]
name = "images"
width = 32
height = 32
layout = "nchw"
color = "rgb"
scale = 1.0
resize = "stretch"

[embedding]
name = "embedding"
dimensions = 5

[patches]
name = "patches"
rows = 4
columns = 4
dimensions = 3
"#;

const ONE: Threads = Threads {
    sessions: 1,
    per_session: 1,
};

fn tiny(manifest: &str) -> (Shelf, Result<Embedder, ModelError>) {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", manifest, TINY);
    let embedder = Embedder::load(&runtime(), &dir, ONE);
    (shelf, embedder)
}

/// Pictures of different colours and sizes.
fn pictures() -> Vec<RgbImage> {
    (0..6u8)
        .map(|i| {
            RgbImage::from_pixel(
                40 + u32::from(i),
                25,
                Rgb([i * 40, 90, 255u8.saturating_sub(i * 30)]),
            )
        })
        .collect()
}

#[test]
fn batches_are_parted_and_put_together() {
    let (_shelf, embedder) = tiny(EMBEDDER);
    let embedder = embedder.unwrap();
    assert_eq!(embedder.dimensions(), 5);
    let all = embedder.embed(&pictures()).unwrap();
    assert_eq!(all.len(), 6);
    for (picture, together) in pictures().into_iter().zip(&all) {
        let alone = embedder.embed(&[picture]).unwrap();
        assert!(alone[0].cosine(together).unwrap() > 0.999_99);
    }
    assert!(all[0].cosine(&all[5]).unwrap() < 0.999);
    assert_eq!(embedder.embed(&[]).unwrap(), []);
}

/// Upper half red, lower half green: rows come before columns, values last.
#[test]
fn patches_lie_as_in_the_picture() {
    let (_shelf, embedder) = tiny(EMBEDDER);
    let picture = RgbImage::from_fn(64, 64, |_, y| {
        if y < 32 {
            Rgb([250, 0, 0])
        } else {
            Rgb([0, 250, 0])
        }
    });
    let grid = embedder.unwrap().patches(&picture).unwrap();
    assert_eq!((grid.columns(), grid.rows()), (4, 4));
    let strongest = |patch: &Embedding| {
        let v = patch.values();
        (0..3).max_by(|a, b| v[*a].total_cmp(&v[*b]))
    };
    for (i, patch) in grid.patches().iter().enumerate() {
        assert_eq!(strongest(patch), Some(usize::from(i >= 8)), "{i}");
    }
}

#[test]
fn the_version_names_the_weights() {
    let (_shelf, embedder) = tiny(EMBEDDER);
    let embedder = embedder.unwrap();
    let digest = &embedder.manifest().sha256[..8];
    assert_eq!(embedder.version(), format!("tiny-embed 1 {digest}"));
}

#[track_caller]
fn refuses(from: &str, to: &str, words: &str) {
    assert!(EMBEDDER.contains(from), "{from}");
    let (_shelf, embedder) = tiny(&EMBEDDER.replace(from, to));
    let error = embedder.unwrap_err().to_string();
    assert!(error.contains(words), "{error:?} does not say {words:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    refuses("SHA256", &"0".repeat(64), "has sha256");
    refuses(
        "dimensions = 5",
        "dimensions = 6",
        "the manifest says [1, 6]",
    );
    refuses(
        "dimensions = 5",
        "dimensions = 0",
        "`embedding.dimensions` is 0",
    );
    refuses("rows = 4", "rows = 5", "the manifest says [1, 5, 4, 3]");
    refuses(
        "name = \"embedding\"",
        "name = \"vector\"",
        "no output `vector`; there are",
    );
    refuses("width = 32", "width = 33", "input.width");
    refuses("kind = \"embedder\"", "", "an embedder is wanted here");
    refuses(
        "kind = \"embedder\"",
        "kind = \"segmenter\"",
        "unknown variant",
    );
    refuses("[patches]", "[patch]", "unknown field `patch`");
    refuses("version = \"1\"", "version = \"\"", "`version`");
}

#[test]
fn neither_kind_is_taken_for_the_other() {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", EMBEDDER, TINY);
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("a detector is wanted here"), "{error}");
    let dir = shelf.model("finds", MANIFEST, YOLOV8);
    let error = Embedder::load(&runtime(), &dir, ONE).unwrap_err();
    assert!(error.to_string().contains("an embedder is wanted here"));
}

#[test]
fn lists_verifies_and_records_both_kinds() {
    let shelf = Shelf::new();
    let dir = shelf.model("a", EMBEDDER, TINY);
    shelf.model("b", MANIFEST, YOLOV8);
    let found = list(&[shelf.0.path().into()]);
    let seen: Vec<_> = found
        .iter()
        .map(|m| m.manifest.as_ref().unwrap())
        .map(|m| (m.kind, m.dimensions, m.labels.len()))
        .collect();
    assert_eq!(seen, [(Kind::Embedder, 5, 0), (Kind::Detector, 0, 2)]);

    let report = verify(&runtime(), &dir, LoadOptions::default());
    assert!(report.ok() && report.checks.len() == 6, "{report:?}");
    let (path, lines) = make_golden(&runtime(), &dir).unwrap();
    assert!(path.is_file());
    let dir = shelf.model("a", &(EMBEDDER.to_owned() + &lines.unwrap()), TINY);
    let report = verify(&runtime(), &dir, LoadOptions::default());
    let last = &report.checks[5];
    assert!(matches!(&last.outcome, Outcome::Passed(t) if t.contains("values within")));

    // a record of other weights is noticed
    let text = std::fs::read_to_string(&path).unwrap();
    let mut golden: Golden = serde_json::from_str(&text).unwrap();
    golden.outputs[0].values[0] += 0.5;
    std::fs::write(&path, serde_json::to_string(&golden).unwrap()).unwrap();
    let error = Embedder::load(&runtime(), &dir, ONE).unwrap_err();
    assert!(matches!(error, ModelError::Golden { .. }), "{error}");
}

#[test]
fn a_card_is_read_or_missed() {
    let shelf = Shelf::new();
    let dir = shelf.model("a", EMBEDDER, TINY);
    assert!(matches!(card(&dir), Err(ModelError::Card { .. })));
    std::fs::write(dir.join(CARD_FILE), "# tiny\n").unwrap();
    assert_eq!(card(&dir).unwrap(), "# tiny\n");
}

/// `example.json` was written by torch from the same photo: decoding, resizing, normalising and the network
/// must all agree with how it was trained.
#[test]
fn site_embed_gives_what_torch_gave() {
    #[derive(serde::Deserialize)]
    struct Example {
        embedding: Vec<f32>,
        middle_patch: Vec<f32>,
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = root.join("models/site-embed");
    let embedder = Embedder::load(&runtime(), &dir, ONE).unwrap();
    let text = std::fs::read_to_string(dir.join("example.json")).unwrap();
    let example: Example = serde_json::from_str(&text).unwrap();
    let photo = image::open(root.join("tests/data/astronaut.jpg"))
        .unwrap()
        .into_rgb8();
    let expected = Embedding::normalised(example.embedding).unwrap();
    let ours = embedder.embed(std::slice::from_ref(&photo)).unwrap();
    let cosine = ours[0].cosine(&expected).unwrap();
    assert!(cosine > 0.9995, "{cosine}");

    let grid = embedder.patches(&photo).unwrap();
    let middle = &grid.patches()[grid.rows() / 2 * grid.columns() + grid.columns() / 2];
    let expected = Embedding::normalised(example.middle_patch).unwrap();
    let cosine = middle.cosine(&expected).unwrap();
    assert!(cosine > 0.999, "{cosine}");
}
