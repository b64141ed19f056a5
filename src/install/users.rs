//! Names of users, for messages. Nothing depends on them.

use std::io::Read as _;
use std::path::Path;

use crate::limits;
use crate::obstacle::User;

/// The user with this number. The name is that of `/etc/passwd`; directory services are not asked.
pub(super) fn user_of(id: u32) -> User {
    let mut text = Vec::new();
    let file = crate::regular_file::open_regular_file(Path::new("/etc/passwd"));
    let read = file.and_then(|file| file.take(limits::PASSWD.0).read_to_end(&mut text));
    let name = read.ok().and_then(|_| name_in(&String::from_utf8_lossy(&text), id));
    User { id, name }
}

fn name_in(passwd: &str, id: u32) -> Option<String> {
    let id = id.to_string();
    let is_name = |name: &&str| {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        plain && !name.is_empty() && !name.starts_with('-')
    };
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.get(2).is_some_and(|found| *found == id))?;
    fields.first().copied().filter(is_name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_do_something_in_a_shell_is_not_taken() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbad line\n$(x):x:5:5::/:\n-u:x:6:6::/:\na.b-c:x:7:7::/:\n";
        let name = |id| name_in(passwd, id);
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(7).as_deref(), Some("a.b-c"));
        assert_eq!([name(5), name(6), name(8)], [None, None, None]);
    }
}
