//! Any request to an API server with objects in it: it answers, and the world can go on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_fuzz::{furnished, media, words};
use podlab_kube::api::Request;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else { return };
    let [target, accept, body] = words(rest);
    let method =
        ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"][usize::from(choice) % 7];
    let target = String::from_utf8_lossy(target);
    let mut request =
        Request::new(method, &format!("/{target}")).with_body(media(choice / 7), body.to_vec());
    request.accept = String::from_utf8_lossy(accept).into_owned();
    request.user = ["admin", "jane", ""][usize::from(choice) % 3].into();
    let (_sim, api) = furnished();
    let response = api.handle(&request);
    assert!(response.status >= 200, "{}", response.status);
    assert_eq!(api.handle(&Request::new("GET", "/version")).status, 200);
});
