//! Access lists of files as Linux keeps them (POSIX.1e, `setfacl`), by which more users may write than the file's mode
//! says.

use std::path::Path;

/// Whether a list lets a group that it names, or a user that is not known, write. Of a list whose mask, which is the bits of
/// the group in the file's mode, forbids writing this is not to be asked.
#[cfg(target_os = "linux")]
pub fn lets_write(path: &Path, is_known: impl Fn(u32) -> bool) -> bool {
    /// As long as Linux lets an attribute be, in bytes.
    const LONGEST: usize = 1 << 16;
    let mut list = vec![0; LONGEST];
    // A file without a list, and a file system without lists, have no such attribute.
    let length = rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut list[..]).unwrap_or(0);
    list.truncate(length);
    grants(&list, is_known)
}

#[cfg(not(target_os = "linux"))]
pub fn lets_write(_: &Path, _: impl Fn(u32) -> bool) -> bool {
    false
}

/// The same of a list's bytes: a version in four, then for each entry its kind and its rights in two each, and in four whom
/// it names, all in little endian (`linux/posix_acl_xattr.h`).
#[cfg(target_os = "linux")]
fn grants(list: &[u8], is_known: impl Fn(u32) -> bool) -> bool {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    const WRITE: u16 = 0x02;
    let (entries, _) = list.get(4..).unwrap_or_default().as_chunks::<8>();
    entries.iter().any(|&[kind, kind_high, rights, rights_high, id @ ..]| {
        let (kind, rights) =
            (u16::from_le_bytes([kind, kind_high]), u16::from_le_bytes([rights, rights_high]));
        let is_others = kind == GROUP || (kind == USER && !is_known(u32::from_le_bytes(id)));
        is_others && rights & WRITE != 0
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        super::safe::{Look, look},
        *,
    };
    use std::os::unix::fs::PermissionsExt;

    const READ: u16 = 4;
    const WRITE: u16 = 2;

    /// A list that gives its owner and its group all, others nothing, and one more these rights.
    fn list(kind: u16, rights: u16, id: u32) -> Vec<u8> {
        let entries =
            [(1, 6, u32::MAX), (kind, rights, id), (4, 6, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
        let mut bytes = 2u32.to_le_bytes().to_vec();
        let mut entries = entries.to_vec();
        // Linux wants them in the order of their kinds.
        entries.sort();
        for (kind, rights, id) in entries {
            bytes.extend([u16::to_le_bytes(kind), u16::to_le_bytes(rights)].concat());
            bytes.extend(u32::to_le_bytes(id));
        }
        bytes
    }

    #[test]
    fn a_list_that_names_a_group_or_an_unknown_user_who_may_write_lets_others_write() {
        let grants = |kind, rights, id| grants(&list(kind, rights, id), |user| user == 7);
        assert!(grants(2, READ | WRITE, 8) && grants(8, WRITE, 7));
        assert!(!grants(2, READ, 8) && !grants(8, READ, 8) && !grants(2, WRITE, 7));
        assert!(!super::grants(&[], |_| false) && !super::grants(&[2, 0, 0, 0, 2], |_| false));
    }

    #[test]
    fn a_library_that_another_user_may_write_to_by_an_access_list_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("lib.so");
        std::fs::write(&path, "").unwrap();
        let set = |list: &[u8]| {
            rustix::fs::setxattr(&path, "system.posix_acl_access", list, rustix::fs::XattrFlags::empty())
        };
        // Not every file system has such lists.
        if set(&list(2, READ | WRITE, 12345)).is_err() {
            return;
        }
        assert_eq!(look(folder.path(), "lib.so"), Look::Unsafe(path.clone()));
        set(&list(2, READ, 12345)).unwrap();
        assert_eq!(look(folder.path(), "lib.so"), Look::Has(path.clone()));
        // The mode's bits of the group are the mask, which forbids what an entry grants.
        set(&list(2, READ | WRITE, 12345)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look(folder.path(), "lib.so"), Look::Has(path.clone()));
    }
}
