use super::*;

fn store(dir: &Path) -> Store {
    let config = EvidenceConfig { min_free_bytes: 0 };
    Store::open(dir, config).unwrap()
}

fn files_in(dir: &Path) -> usize {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .filter(|e| e.as_ref().unwrap().file_type().is_file())
        .count()
}

#[test]
fn what_is_put_is_read_as_received_and_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = store.put(b"a photo").unwrap();
    assert!(first.new);
    assert_eq!(first.bytes, 7);
    let second = store.put(b"a photo").unwrap();
    assert!(!second.new);
    assert_eq!(second.digest, first.digest);
    assert_eq!(store.read(&first.digest).unwrap(), b"a photo");
    assert_eq!(files_in(dir.path()), 1);
    let all = || -> Vec<Digest> {
        (0..=u8::MAX)
            .flat_map(|first| store.list_part(first).unwrap())
            .collect()
    };
    assert_eq!(all(), [first.digest]);
    store.remove_orphan(&first.digest).unwrap();
    assert_eq!(all(), []);
    assert!(store.remove_orphan(&first.digest).is_err());
}

#[test]
fn the_name_is_the_sha_256() {
    // FIPS 180-2, appendix B.1
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Digest::of(b"abc").to_string(), abc);
    assert_eq!(abc.parse(), Ok(Digest::of(b"abc")));
}

#[test]
fn nothing_but_a_digest_becomes_a_file_name() {
    let upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    for text in [
        "",
        "../../etc/passwd",
        upper,
        &"0".repeat(63),
        &"é".repeat(32),
    ] {
        assert_eq!(text.parse::<Digest>(), Err(DigestError), "{text}");
    }
}

#[test]
fn altered_bytes_are_refused_and_put_right_by_the_same_photo() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let digest = store.put(b"a photo").unwrap().digest;
    fs::write(store.path(&digest), b"another").unwrap();
    assert!(matches!(
        store.read(&digest),
        Err(EvidenceError::Altered { .. })
    ));
    assert!(store.put(b"a photo").unwrap().new);
    assert_eq!(store.read(&digest).unwrap(), b"a photo");
}

#[test]
fn what_was_never_stored_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let error = store(dir.path()).read(&Digest::of(b"nothing")).unwrap_err();
    assert!(matches!(error, EvidenceError::Missing(_)));
}

#[test]
fn a_full_disk_refuses_new_bytes_and_keeps_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let digest = store(dir.path()).put(b"a photo").unwrap().digest;
    let config = EvidenceConfig {
        min_free_bytes: u64::MAX,
    };
    let full = Store::open(dir.path(), config).unwrap();
    assert!(matches!(full.put(b"new"), Err(EvidenceError::Full)));
    assert!(!full.put(b"a photo").unwrap().new, "it is there already");
    assert_eq!(full.read(&digest).unwrap(), b"a photo");
    assert_eq!(files_in(dir.path()), 1);
}

#[test]
fn the_systems_full_disk_is_told_as_such() {
    let error = EvidenceError::io("write", Path::new("x"))(io::ErrorKind::StorageFull.into());
    assert!(matches!(error, EvidenceError::Full));
}

#[test]
fn what_a_crash_left_half_written_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let digest = store(dir.path()).put(b"a photo").unwrap().digest;
    fs::write(dir.path().join("incoming/half"), b"a ph").unwrap();
    let again = store(dir.path());
    assert_eq!(files_in(&dir.path().join("incoming")), 0);
    assert_eq!(again.read(&digest).unwrap(), b"a photo");
}
