use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

fn folder() -> (tempfile::TempDir, Objects) {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::from_directory_path(folder.path()).unwrap();
    let objects = Objects::open(url.as_str(), TIMEOUT).unwrap();
    (folder, objects)
}

#[test]
fn nothing_is_kept_where_it_would_be_lost() {
    for url in ["memory:///", "http://store/", "folder", "", "file:///does/not/exist"] {
        assert!(Objects::open(url, TIMEOUT).is_err(), "{url}");
    }
}

#[tokio::test]
async fn what_is_put_is_read_back_whole_and_in_ranges() {
    let (_folder, objects) = folder();
    objects.put("bodies/t/r/1/k/000000", Bytes::from_static(b"0123456789")).await.unwrap();
    let path = "bodies/t/r/1/k/000000";
    assert_eq!(objects.get(path, 10).await.unwrap(), "0123456789");
    assert_eq!(objects.get_range(path, 10, 3..7).await.unwrap(), "3456");
    assert_eq!(objects.get(path, 9).await, Err(ObjectError::Missing));
    objects.put(path, Bytes::from_static(b"other")).await.unwrap();
    assert_eq!(objects.get(path, 10).await.unwrap(), "other");
    let again = objects.create(path, Bytes::from_static(b"again")).await;
    assert_eq!(again, Err(ObjectError::Exists));
}

#[tokio::test]
async fn an_object_of_another_size_is_missing() {
    let (folder, objects) = folder();
    let path = "bodies/t/r/1/k/000000";
    assert_eq!(objects.get_range(path, 10, 0..5).await, Err(ObjectError::Missing));
    objects.create(path, Bytes::from_static(b"0123456789")).await.unwrap();
    for length in [0, 4, 9, 11] {
        let file = fs::File::options().write(true).open(folder.path().join(path)).unwrap();
        file.set_len(length).unwrap();
        for range in [0..2, 8..10] {
            let read = objects.get_range(path, 10, range).await;
            assert_eq!(read, Err(ObjectError::Missing), "{length}");
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_is_away() {
    let (folder, objects) = folder();
    fs::write(folder.path().join("bodies"), "a file where a folder should be").unwrap();
    let put = objects.put("bodies/t/r/1/k/000000", Bytes::from_static(b"0")).await;
    assert!(matches!(put, Err(ObjectError::Away(_))), "{put:?}");
}

#[tokio::test]
async fn names_are_listed_in_order_and_in_parts() {
    let (_folder, objects) = folder();
    for name in ["tombstones/3", "tombstones/1", "tombstones/2", "bodies/t/r/1/k/000000"] {
        objects.put(name, Bytes::from_static(b"x")).await.unwrap();
    }
    let list = async |after: &str, limit| objects.list("tombstones", after, limit).await.unwrap();
    assert_eq!(list("", 2).await, ["tombstones/1", "tombstones/2"]);
    assert_eq!(list("tombstones/2", 2).await, ["tombstones/3"]);
    assert!(objects.list("none", "", 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_below_a_record_goes_and_nothing_else() {
    let (folder, objects) = folder();
    let body = || Bytes::from_static(b"x");
    let (one, other) = ("bodies/t/r1/1/k/000000", "bodies/t/r2/1/k/000000");
    objects.put(one, body()).await.unwrap();
    objects.put(other, body()).await.unwrap();
    objects.put("tombstones/1/2/3", body()).await.unwrap();
    // What a crash leaves of a put.
    fs::write(folder.path().join("bodies/t/r1/1/k/000001#1"), "part").unwrap();

    for wrong in ["", "bodies", "bodies/t", "tombstones/1/2", "bodies/../tombstones/1"] {
        assert!(objects.delete_all(wrong).await.is_err(), "{wrong}");
    }
    objects.delete_all("bodies/t/r1").await.unwrap();
    objects.delete_all("bodies/t/r1").await.unwrap();
    assert_eq!(objects.get(one, 9).await, Err(ObjectError::Missing));
    assert!(!folder.path().join("bodies/t/r1").exists());
    assert!(objects.get(other, 9).await.is_ok());
    assert!(objects.get("tombstones/1/2/3", 9).await.is_ok());
    objects.delete_all("bodies/t/r2/1").await.unwrap();
    assert!(!folder.path().join("bodies").exists() && folder.path().exists());
}
