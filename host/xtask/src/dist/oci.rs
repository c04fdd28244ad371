//! The container image: an OCI image layout in a tar archive, which every engine loads
//! (`podman load`, `docker load`, `skopeo copy oci-archive:...`).

use anyhow::Result;
use serde_json::json;

use super::pack::{Entry, Pack, gzip};
use super::{Product, sha256};

/// Whoever runs the image is nobody in particular.
const USER: &str = "65532:65532";

/// The image.
pub fn image(product: &Product) -> Result<Vec<u8>> {
    let tree = Pack::below(
        "",
        &[
            Entry::program("usr/bin/podlab", &product.binary),
            Entry::file("usr/share/doc/podlab/LICENSE", &product.licence),
            Entry::file("usr/share/doc/podlab/THIRD-PARTY.txt", &product.notices),
            // Recordings and workshops; whoever wants to keep them mounts a volume here.
            Entry::folder("state", 0o1777),
            Entry::folder("tmp", 0o1777),
        ],
    )?;
    let layer = gzip(&tree)?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": USER,
            "Entrypoint": ["/usr/bin/podlab"],
            "Cmd": ["up", "--no-open", "--listen", "0.0.0.0"],
            "Env": ["PATH=/usr/bin", "XDG_STATE_HOME=/state"],
            "ExposedPorts": { "7878/tcp": {} },
            "Volumes": { "/state": {} },
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": labels(product),
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(&tree)] },
        "history": [{ "created_by": "cargo xtask dist" }],
    });
    let config = serde_json::to_vec(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
        "annotations": labels(product),
    });
    let manifest = serde_json::to_vec(&manifest)?;
    let name = format!("podlab:{}", product.version);
    let mut listed = described("application/vnd.oci.image.manifest.v1+json", &manifest);
    listed["annotations"] = json!({
        "org.opencontainers.image.ref.name": product.version,
        // The name that the engines give it.
        "io.containerd.image.name": format!("docker.io/library/{name}"),
    });
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    }))?;
    // Older engines read this list of their own, and find the same files by it.
    let docker = serde_json::to_vec(&json!([{
        "Config": blob(&config),
        "RepoTags": [name],
        "Layers": [blob(&layer)],
    }]))?;
    Pack::below(
        "",
        &[
            Entry::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            Entry::file("index.json", &index),
            Entry::file("manifest.json", &docker),
            Entry::file(blob(&config), &config),
            Entry::file(blob(&manifest), &manifest),
            Entry::file(blob(&layer), &layer),
        ],
    )
}

fn labels(product: &Product) -> serde_json::Value {
    json!({
        "org.opencontainers.image.title": "Podlab",
        "org.opencontainers.image.version": product.version,
        "org.opencontainers.image.revision": product.commit,
        "org.opencontainers.image.licenses": "Apache-2.0",
    })
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", sha256(bytes))
}

fn described(media: &str, bytes: &[u8]) -> serde_json::Value {
    json!({ "mediaType": media, "digest": digest(bytes), "size": bytes.len() })
}
