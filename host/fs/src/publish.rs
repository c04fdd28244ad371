//! How the kubelet replaces the files of a ConfigMap or Secret: all at once.

use std::collections::BTreeMap;

use crate::errno::Errno;
use crate::tree::{NewNode, ROOT, Tree, valid_name};
use crate::volume::Ino;

/// The link to the directory that holds the files of now.
const DATA: &str = "..data";
const DATA_TMP: &str = "..data_tmp";

impl Tree {
    /// See [`Volume::publish`](crate::Volume::publish). All that can fail comes first and is
    /// taken back if it does; the swap cannot fail. Nobody sees what is between: the caller
    /// holds the volume's lock.
    pub(crate) fn publish(
        &mut self,
        files: &BTreeMap<String, (Vec<u8>, u32)>,
        now: u64,
    ) -> Result<(), Errno> {
        let old = match self.lookup(ROOT, DATA) {
            Ok(link) => Some(self.readlink(link)?),
            Err(_) => None,
        };
        // Two publications at one instant need two directories.
        let stamp = (0..)
            .map(|n| if n == 0 { format!("..{now}") } else { format!("..{now}_{n}") })
            .find(|name| self.lookup(ROOT, name).is_err())
            .expect("some name is free");
        let mut made = Vec::new();
        let built = self.build(files, &stamp, &mut made, now);
        if let Err(e) = built {
            for name in made {
                self.remove_all(ROOT, &name, now).expect("it was made just now");
            }
            return Err(e);
        }
        self.rename(ROOT, DATA_TMP, ROOT, DATA, now).expect("a link replaces a link");
        let stale: Vec<String> = self
            .entries(ROOT)?
            .into_iter()
            .map(|(name, ..)| name)
            .filter(|name| !name.starts_with("..") && !tops(files).any(|top| top == name))
            .chain(old.filter(|name| self.lookup(ROOT, name).is_ok()))
            .collect();
        for name in stale {
            self.remove_all(ROOT, &name, now)?;
        }
        Ok(())
    }

    /// Makes the new directory, the link to it, and a link for each new name at the top; notes
    /// in `made` what it made.
    fn build(
        &mut self,
        files: &BTreeMap<String, (Vec<u8>, u32)>,
        stamp: &str,
        made: &mut Vec<String>,
        now: u64,
    ) -> Result<(), Errno> {
        // Names that begin with ".." are the kubelet's own, as in Kubernetes' validation.
        for part in files.keys().flat_map(|path| path.split('/')) {
            valid_name(part)?;
            if part.starts_with("..") {
                return Err(Errno::Invalid);
            }
        }
        let dir: Ino = self.make(ROOT, stamp, NewNode::Dir, 0o755, now)?;
        made.push(stamp.to_owned());
        for (path, (contents, mode)) in files {
            self.write_file(dir, path, contents, *mode, now)?;
        }
        if self.lookup(ROOT, DATA_TMP).is_ok() {
            self.remove_all(ROOT, DATA_TMP, now)?;
        }
        self.make(ROOT, DATA_TMP, NewNode::Symlink(stamp.to_owned()), 0o777, now)?;
        made.push(DATA_TMP.to_owned());
        for top in tops(files) {
            if self.lookup(ROOT, top).is_err() {
                let target = format!("{DATA}/{top}");
                self.make(ROOT, top, NewNode::Symlink(target), 0o777, now)?;
                made.push(top.to_owned());
            }
        }
        Ok(())
    }
}

/// The names at the top of the volume; one may come more than once.
fn tops(files: &BTreeMap<String, (Vec<u8>, u32)>) -> impl Iterator<Item = &str> {
    files.keys().map(|path| path.split('/').next().unwrap_or(path))
}
