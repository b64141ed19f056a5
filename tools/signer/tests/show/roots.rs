//! A root document with white space after it, as an editor, a formatter or version control leaves it.

use relatch::Outcome;

use crate::support::Desk;
use crate::{KEYS, REPO, answer};

#[test]
fn every_command_takes_it() {
    for behind in ["\n", "\r\n", " \t\n\n"] {
        let desk = Desk::new();
        let root = desk.read("root.json");
        desk.write("root.json", format!("{root}{behind}"));
        desk.released("1.0.0", &[]);
        let mut client = desk.client("widget").unwrap(); // `relatch install --root` with the same file
        let artifact = desk.build("1.1.0");
        let prepare = ["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"];
        desk.ok(&[&prepare[..], &REPO].concat());
        desk.ok(&[&["show", "folder"][..], &REPO].concat());
        desk.ok(&[&["sign", "folder"][..], &KEYS, &REPO].concat());
        desk.ok(&[&["publish", "folder"][..], &REPO].concat());
        assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
        desk.ok(&[&["refresh"][..], &REPO, &KEYS[2..]].concat());
        desk.ok(&[&["renew"][..], &REPO, &KEYS].concat());
        for command in ["show", "verify"] {
            desk.ok(&[&[command][..], &REPO].concat());
        }
        // As a file that is shown, published again, and followed by the next one.
        let shown = answer(&desk, 0, &["root", "show", "root.json"]);
        assert_eq!(shown["root"], serde_json::from_str::<serde_json::Value>(&root).unwrap());
        assert_eq!(shown["signed_by"].as_array().unwrap().len(), 1);
        desk.ok(&[&["root", "publish", "root.json"][..], &REPO].concat());
        desk.ok(&["root", "renew", "root.json", "--out", "root2.json"]);
        desk.write("root2.json", desk.read("root2.json") + behind);
        desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key", "--previous", "root.json"]);
        desk.ok(&[&["root", "publish", "root2.json"][..], &REPO].concat());
        desk.ok(&[&["verify"][..], &REPO].concat());
        // What is published is the document alone.
        assert_eq!(desk.read("repo/root/1.json"), root);
        assert_eq!(desk.read("repo/root/2.json").trim_end(), desk.read("repo/root/2.json"));
        desk.released("1.2.0", &[]);
        assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    }
}

/// White space before or in the document is another document.
#[test]
fn elsewhere_it_is_refused() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let root = desk.read("root.json");
    for (name, text) in [("before", format!("\n{root}")), ("in it", root.replacen(',', ", ", 1))] {
        desk.write("root.json", text);
        for command in [&["show"][..], &["verify"], &[&["refresh"][..], &KEYS[2..]].concat()] {
            let arguments = [command, &REPO].concat();
            let error = answer(&desk, 3, &arguments);
            let told = error["error"].as_str().unwrap();
            assert!(told.contains("is not a canonical document"), "{name}: {told}");
        }
    }
    // In the repository there is none, neither before nor after.
    desk.write("root.json", &root);
    desk.write("repo/root/1.json", format!("{root}\n"));
    let says = "root 1 in the repository differs from the one given with --root";
    for command in ["show", "verify"] {
        assert!(
            answer(&desk, 3, &[&[command][..], &REPO].concat())["error"].as_str().unwrap().contains(says)
        );
    }
}
