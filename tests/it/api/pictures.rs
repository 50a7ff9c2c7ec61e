//! Pictures made from originals.

use axum::body::Body;
use axum::http::Method;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::json;

use super::support::{Place, Service, first_photo, photo, place, request};
use crate::support::{encoded, jpeg_with_orientation};

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_sees_its_own_photos_without_faces_and_places() {
    let Place {
        service,
        site,
        inspector,
        enterprise,
    } = place(Service::start().await, "Europe/Berlin").await;
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
    } = place(Service::start().await, "Europe/Berlin").await;
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

/// Squares of black and white: where they are hidden, they are grey.
fn squares() -> Vec<u8> {
    let picture = RgbImage::from_fn(640, 480, |x, y| Rgb([((x / 8 + y / 8) % 2 * 255) as u8; 3]));
    encoded(&DynamicImage::ImageRgb8(picture), ImageFormat::Jpeg)
}

fn pixels(reply: &super::support::Reply) -> RgbImage {
    image::load_from_memory(&reply.bytes).unwrap().into_rgb8()
}

/// Share of the pixels that are nearly black or nearly white.
fn plain_share(picture: &RgbImage) -> f64 {
    let plain = |p: &&Rgb<u8>| !(40..=215).contains(&p[0]);
    picture.pixels().filter(plain).count() as f64 / picture.pixels().count() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_is_cut_out_of_the_original() {
    let Place {
        service,
        site,
        inspector,
        enterprise,
    } = place(Service::start().await, "Europe/Berlin").await;
    let company = service
        .key("company", &["enterprise"], &[&enterprise])
        .await;
    let fields = [("site", site.as_str())];
    let bytes = squares();
    let photos: [(&str, &[u8]); 1] = [("a.jpg", &bytes)];
    let job = service
        .upload(&inspector, "?wait=60", &[], &fields, &photos)
        .await
        .is(200)
        .json();
    let path = first_photo(&job);
    let shown = service.get(&inspector, &path).await.is(200).json();
    let candidate = &shown["result"]["candidates"][0];
    assert_eq!(candidate["code"], "PPE-01");
    let bbox: [f64; 4] = std::array::from_fn(|n| candidate["bbox"][n].as_f64().unwrap());
    let around = 0.25 * bbox[2].max(bbox[3]);
    let from = |at: f64| (at - around).floor().max(0.0);
    let to = |at: f64, most: f64| (at + around).ceil().min(most);
    let (x, y) = (from(bbox[0]), from(bbox[1]));
    let size = (
        to(bbox[0] + bbox[2], 640.0) - x,
        to(bbox[1] + bbox[3], 480.0) - y,
    );

    let crop = format!("{path}/candidates/0/crop");
    let ours = service.get(&inspector, &crop).await.is(200);
    assert_eq!(ours.header("content-type"), "image/jpeg");
    let digest = shown["sha256"].as_str().unwrap();
    let derived = ours.header("sitewarden-derived-from");
    assert_eq!(derived, format!("sha256={digest}"));
    let note = format!("derived from sha256 {digest}");
    let says = |what: &[u8]| ours.bytes.windows(what.len()).any(|w| w == what);
    assert!(says(note.as_bytes()) && says(b", pixels ["));
    let piece = pixels(&ours);
    assert_eq!(piece.dimensions(), (size.0 as u32, size.1 as u32));
    // the same pixels as in the picture of all
    let whole = service
        .get(&inspector, &format!("{path}/picture?annotated=false"))
        .await
        .is(200);
    let whole = pixels(&whole);
    let wrong = piece.enumerate_pixels().filter(|(px, py, pixel)| {
        let there = whole.get_pixel(px + x as u32, py + y as u32);
        pixel[0].abs_diff(there[0]) > 60
    });
    assert!(
        wrong.count() * 100 < piece.pixels().count(),
        "another piece"
    );

    // a face is in it: the enterprise gets a grey one
    let theirs = pixels(&service.get(&company, &crop).await.is(200));
    assert_eq!(theirs.dimensions(), piece.dimensions());
    let (plain, hidden) = (plain_share(&piece), plain_share(&theirs));
    assert!(plain > 0.8 && plain - hidden > 0.05, "{plain} {hidden}");

    let small = service.get(&inspector, &format!("{crop}?size=32")).await;
    let small = pixels(&small.is(200));
    assert_eq!(small.width().max(small.height()), 32);
    let headers = [("if-none-match", ours.header("etag"))];
    let again = request(Method::GET, &inspector, &crop, &headers, Body::empty());
    service.send(again).await.is(304);

    let list = service.get(&inspector, "/api/v1/findings?code=PPE-01");
    let finding = list.await.is(200).json()["items"][0]["id"].clone();
    let finding = format!("/api/v1/findings/{}", finding.as_str().unwrap());
    let seen = format!("{finding}/occurrences");
    let seen = service.get(&inspector, &seen).await.is(200).json()["items"][0]["id"].clone();
    let of_seen = format!("{finding}/crop?occurrence={}", seen.as_str().unwrap());
    for address in [format!("{finding}/crop"), of_seen] {
        let of_finding = pixels(&service.get(&inspector, &address).await.is(200));
        let (w, h) = of_finding.dimensions();
        // its area is kept in shares of the picture
        assert!(w.abs_diff(piece.width()) <= 1 && h.abs_diff(piece.height()) <= 1);
        assert!(plain_share(&of_finding) > 0.8);
    }

    let note = json!({"site": site, "code": "EGR-01", "note": "a locked door"});
    let unseen = service.post(&inspector, "/api/v1/findings", note).await;
    let unseen = unseen.is(201).json()["id"].as_str().unwrap().to_owned();
    let unseen = format!("/api/v1/findings/{unseen}/crop");
    service.get(&inspector, &unseen).await.problem(409);
    let (other, _) = service.site("Other Ltd", "Asia/Shanghai").await;
    let stranger = service.key("stranger", &["enterprise"], &[&other]).await;
    for (key, address, status) in [
        (&inspector, format!("{path}/candidates/9/crop"), 404),
        (&inspector, format!("{crop}?size=5"), 422),
        (
            &inspector,
            format!("{unseen}?occurrence={}", seen.as_str().unwrap()),
            404,
        ),
        (&stranger, crop, 404),
        (&stranger, format!("{finding}/crop"), 404),
    ] {
        service.get(key, &address).await.problem(status);
    }
}
