//! Patches of a Deployment: what comes out is a valid object, or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_fuzz::{DEPLOYMENT, furnished, media};
use podlab_kube::api::Request;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, patch)) = data.split_first() else { return };
    let (_sim, api) = furnished();
    let target = format!("{DEPLOYMENT}?fieldManager=fuzz&force=true");
    let target = if choice % 4 == 3 { target } else { DEPLOYMENT.to_owned() };
    let patch = Request::new("PATCH", &target).with_body(media(choice % 4), patch.to_vec());
    let status = api.handle(&patch).status;
    assert!((200..=422).contains(&status) || status == 500, "{status}");
    assert_eq!(api.handle(&Request::new("GET", DEPLOYMENT)).status, 200);
});
