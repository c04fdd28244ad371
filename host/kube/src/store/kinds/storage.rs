//! Volumes that outlive pods (`v1`, `storage.k8s.io/v1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("", "v1", "persistentvolumes", "PersistentVolume")
            .cluster()
            .short(&["pv"])
            .status()
            .hooks(super::volumes::VOLUME),
        Resource::new("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
            .short(&["pvc"])
            .status()
            .hooks(super::volumes::CLAIM),
        Resource::new("storage.k8s.io", "v1", "csidrivers", "CSIDriver").cluster(),
        Resource::new("storage.k8s.io", "v1", "csinodes", "CSINode").cluster(),
        Resource::new("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity"),
        Resource::new("storage.k8s.io", "v1", "storageclasses", "StorageClass")
            .cluster()
            .short(&["sc"])
            .hooks(super::volumes::CLASS),
        Resource::new("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment")
            .cluster()
            .status(),
    ]
}
