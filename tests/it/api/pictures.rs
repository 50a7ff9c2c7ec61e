//! Pictures made from originals.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use super::support::{Place, Service, first_photo, photo, place, request};
use crate::support::{jpeg_with_orientation};

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_sees_its_own_photos_without_faces_and_places() {
    let Place {
        service,
        site,
        inspector,
        enterprise,
    } = place(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let with_exif = jpeg_with_orientation(&crate::support::gradient(400, 400), 1);
    let reply = service
        .upload(
            &inspector,
            "?wait=60",
            &[],
            &fields,
            &[("a.jpg", &with_exif)],
        )
        .await;
    let job = reply.is(200).json();
    let path = first_photo(&job);
    let own = service.key("own", &["enterprise"], &[&enterprise]).await;
    service.get(&own, &path).await.is(200);
    service
        .get(&own, &format!("{path}/original"))
        .await
        .problem(403);

    let picture = format!("{path}/picture?annotated=false&size=400");
    let theirs = service.get(&own, &picture).await.is(200);
    let ours = service.get(&inspector, &picture).await.is(200);
    assert_eq!(theirs.header("content-type"), "image/jpeg");
    assert_ne!(theirs.header("etag"), ours.header("etag"));
    for bytes in [&theirs.bytes, &ours.bytes] {
        assert!(!bytes.windows(4).any(|w| w == b"Exif"), "metadata has left");
        let note = b"derived from sha256 ";
        assert!(bytes.windows(note.len()).any(|w| w == note));
    }
    let decode = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().into_rgb8();
    let (theirs, ours) = (decode(&theirs.bytes), decode(&ours.bytes));
    let differ = |x: u32, y: u32| theirs.get_pixel(x, y) != ours.get_pixel(x, y);
    let hidden = (0..400)
        .flat_map(|x| (0..400).map(move |y| (x, y)))
        .filter(|(x, y)| differ(*x, *y));
    assert!(hidden.count() > 500, "a face is as it was");
    assert!(
        (380..400).all(|i| !differ(i, i)),
        "more than faces was hidden"
    );

    let (other, _) = service.site("Other Ltd", "Asia/Shanghai").await;
    let stranger = service.key("stranger", &["enterprise"], &[&other]).await;
    service.get(&stranger, &path).await.problem(404);
    service.get(&stranger, &picture).await.problem(404);
    service
        .upload(&stranger, "", &[], &fields, &[("b.jpg", &photo(3))])
        .await
        .problem(404);
    let job = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    service.get(&stranger, &job).await.problem(404);
    let list = service
        .get(&stranger, "/api/v1/photos")
        .await
        .is(200)
        .json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_in_any_size_and_are_not_drawn_twice() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let job = service
        .upload(
            &inspector,
            "?wait=60",
            &[],
            &fields,
            &[("a.jpg", &photo(1))],
        )
        .await
        .is(200)
        .json();
    let path = format!(
        "/api/v1/photos/{}/picture",
        job["photos"][0]["id"].as_str().unwrap()
    );
    let small = service
        .get(&inspector, &format!("{path}?annotated=false&size=40"))
        .await
        .is(200);
    let size = image::load_from_memory(&small.bytes).unwrap();
    assert_eq!((size.width(), size.height()), (40, 30));
    let drawn = service
        .get(&inspector, &format!("{path}?lang=zh"))
        .await
        .is(200);
    assert!(
        drawn
            .header("sitewarden-derived-from")
            .starts_with("sha256=")
    );
    let headers = [("if-none-match", drawn.header("etag"))];
    let call = request(
        Method::GET,
        &inspector,
        &format!("{path}?lang=zh"),
        &headers,
        Body::empty(),
    );
    service.send(call).await.is(304);
    service
        .get(&inspector, &format!("{path}?size=5"))
        .await
        .problem(422);
    service
        .get(&inspector, &format!("{path}?size=100000"))
        .await
        .problem(422);
}
