//! A protobuf body to the kinds that kubectl sends so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_fuzz::furnished;
use podlab_kube::api::Request;

const PATHS: [&str; 8] = [
    "/apis/apps/v1/namespaces/default/deployments",
    "/api/v1/namespaces",
    "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/pods",
    "/apis/batch/v1/namespaces/default/jobs",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else { return };
    let path = PATHS[usize::from(choice) % PATHS.len()];
    // Half of the cases get past the envelope.
    let body = if choice < 128 { [b"k8s\0", rest].concat() } else { rest.to_vec() };
    let request = Request::new("POST", path).with_body("application/vnd.kubernetes.protobuf", body);
    let (_sim, api) = furnished();
    assert!(api.handle(&request).status >= 200);
});
