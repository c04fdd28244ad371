use super::*;
use std::collections::BTreeSet;

#[test]
fn every_route_is_described_and_nothing_else() {
    let described = openapi::document();
    let described: BTreeSet<(String, String)> = described["paths"]
        .as_object()
        .expect("paths is an object")
        .iter()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .expect("methods")
                .keys()
                .map(|m| (path.clone(), m.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let there: BTreeSet<(String, String)> = routes(&Limits::default())
        .paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.iter().map(|m| (path.replace("{*", "{"), (*m).to_owned()))
        })
        .collect();
    assert_eq!(described, there);
}
