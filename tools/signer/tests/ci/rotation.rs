//! keys/README.md's recipes for rotations and thefts, executed with its own commands, in its order,
//! on a product with two channels, while clients go on.

use relatch::install::Probe;
use relatch::{Install, Outcome, Quiet, Updater};

use crate::pipeline::{Pipeline, docs, failed, worked};

const CHANNELS: [&str; 2] = ["stable", "beta"];
const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];

/// The commands below a heading.
fn recipe(heading: &str) -> String {
    let document = std::fs::read_to_string(docs().join("../../keys/README.md")).unwrap();
    let (_, section) = document.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, block) = section.split("\n#").next().unwrap().split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.into()
}

/// A product with two channels, and a client on each.
struct Product {
    ci: Pipeline,
    clients: Vec<Updater>,
    /// The names of the keys that must sign now, without `.key`.
    root: Vec<String>,
    release: String,
    timestamp: String,
}

impl Product {
    /// With these root keys, of which so many must sign.
    fn new(root: &[&str], threshold: usize) -> Self {
        let ci = Pipeline::bare();
        let threshold = format!("root={threshold}");
        let mut new = vec!["root", "new", "--product", "widget", "--threshold", &threshold];
        let files: Vec<String> = root.iter().map(|key| format!("{key}.pub")).collect();
        let roots = files.iter().map(|file| ("--root-key", file.as_str()));
        for (role, file) in
            roots.chain([("--release-key", "release.pub"), ("--timestamp-key", "timestamp.pub")])
        {
            ci.desk.ok(&["keygen", "--no-password", "--out", &file.replace(".pub", ".key")]);
            new.extend([role, file]);
        }
        ci.desk.ok(&[&new[..], &["--out", "root.json"]].concat());
        for key in root {
            ci.desk.ok(&["root", "sign", "root.json", "--key", &format!("{key}.key")]);
        }
        ci.desk.ok(&[&["root", "publish", "root.json"][..], &REPO].concat());
        ci.desk.write("newest.json", ci.desk.read("root.json"));
        ci.desk.write("builds", "40\n");
        let root = root.iter().map(|&key| key.to_owned()).collect();
        let (release, timestamp) = ("release".into(), "timestamp".into());
        let mut product = Product { ci, clients: Vec::new(), root, release, timestamp };
        for channel in CHANNELS {
            product.published(channel);
            product.clients.push(product.client(channel, channel));
        }
        product
    }

    /// A client that installs from this channel to `widget-<name>`.
    fn client(&self, channel: &str, name: &str) -> Updater {
        let install = Install {
            from: self.ci.desk.path("repo").display().to_string(),
            ca_file: None,
            root: self.ci.desk.path("root.json"),
            product: "widget".parse().unwrap(),
            channel: channel.parse().unwrap(),
            target: "test".parse().unwrap(),
            path: self.ci.desk.path(&format!("widget-{name}")),
            probe: Some(Probe::None),
            force: false,
        };
        let (_, path) = install.run(Quiet).unwrap();
        Updater::of_installed(&path).unwrap()
    }

    /// The number of the next build, and its executable.
    fn build(&self) -> (String, String) {
        let number = (self.ci.desk.read("builds").trim().parse::<u64>().unwrap() + 1).to_string();
        self.ci.desk.write("builds", &number);
        let artifact = self.ci.desk.build(&number);
        (number, artifact)
    }

    /// A release of the next build, signed by this release key.
    fn release(&self, channel: &str, key: &str) -> Vec<String> {
        let (version, artifact) = self.build();
        let release = ["release", "--version", &version, "--artifact", &artifact, "--channel", channel];
        let keys = [format!("{key}.key"), format!("{}.key", self.timestamp)];
        let keys = ["--key", &keys[0], "--key", &keys[1]];
        [&release[..], &keys, &REPO].concat().into_iter().map(str::to_owned).collect()
    }

    fn published(&self, channel: &str) {
        let release = self.release(channel, &self.release);
        self.ci.desk.ok(&release.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// The commands of a recipe, as those who hold the keys type them. `old` is the key that goes.
    fn commands(&self, heading: &str, old: &str) -> String {
        let mut commands = String::new();
        for line in recipe(heading).lines() {
            let holders = if line.contains(" ROOT-KEY") { self.root.len() } else { 1 };
            for holder in self.root.iter().take(holders) {
                commands += &line.replace("ROOT-KEY", &format!("{holder}.key"));
                commands.push('\n');
            }
        }
        let (version, artifact) = self.build();
        let release = format!("\"$channel\" --version {version} --artifact {artifact}");
        for (from, to) in [
            ("REPO", "repo"),
            ("TIMESTAMP-KEY", &format!("{}.key", self.timestamp)),
            ("RELEASE-KEY", &format!("{}.key", self.release)),
            ("\"$channel\" ...", &release),
            ("old.pub", &format!("{old}.pub")),
            ("stolen.pub", &format!("{old}.pub")),
        ] {
            commands = commands.replace(from, to);
        }
        commands
    }

    fn shell(&self, commands: &str) -> std::process::Command {
        let mut shell = self.ci.shell();
        shell.env_remove("SIGNER_REPO").env_remove("SIGNER_ROOT").args(["-euc", commands]);
        shell
    }

    /// Follows a recipe that replaces a key. Returns the name of the new one.
    fn replaced(&self, heading: &str, old: &str) -> String {
        self.ci.desk.ok(&["keygen", "--no-password", "--out", "new.key"]);
        worked(self.shell(&self.commands(heading, old)).output().unwrap());
        self.tidied()
    }

    /// Makes room for the next recipe. What was published last is what that begins with.
    fn tidied(&self) -> String {
        let name = format!("key-{}", self.ci.desk.read("builds").trim());
        let tidy = format!(
            "mv next.json newest.json; rm -f both.json *.minisig\n\
             if [ -e new.key ]; then mv new.key {name}.key; mv new.pub {name}.pub; fi"
        );
        worked(self.shell(&tidy).output().unwrap());
        name
    }

    /// Each client takes the next build of its channel, and so do clients that come now.
    fn goes_on(&mut self) {
        for (client, channel) in self.clients.iter_mut().zip(CHANNELS) {
            self.ci.desk.ok(&[&["verify", "--channel", channel][..], &REPO].concat());
            drop(client.update(false).unwrap());
        }
        for channel in CHANNELS {
            self.published(channel);
        }
        for (client, channel) in self.clients.iter_mut().zip(CHANNELS) {
            let outcome = client.update(false);
            assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{channel}: {outcome:?}");
        }
        for channel in CHANNELS {
            let count = std::fs::read_dir(self.ci.desk.path(".")).unwrap().count();
            drop(self.client(channel, &count.to_string()));
        }
        self.ci.desk.ok(&[&["verify"][..], &REPO].concat());
    }

    #[track_caller]
    fn cannot_release(&self, key: &str) {
        for channel in CHANNELS {
            let release = self.release(channel, key);
            let release: Vec<&str> = release.iter().map(String::as_str).collect();
            self.ci.desk.fails(3, "has neither the release nor the timestamp role", &release);
        }
    }
}

#[test]
fn release_keys_are_rotated_again_and_again() {
    let mut product = Product::new(&["root"], 1);
    for _ in 0..2 {
        let old = product.release.clone();
        product.release = product.replaced("A release key", &old);
        product.goes_on();
        product.cannot_release(&old);
    }
}

#[test]
fn a_timestamp_key_is_rotated() {
    let mut product = Product::new(&["root"], 1);
    let old = product.timestamp.clone();
    product.timestamp = product.replaced("A timestamp key", &old);
    product.goes_on();
    let refresh = ["refresh", "--channel", "beta", "--key", "timestamp.key"];
    product.ci.desk.fails(
        3,
        "has neither the release nor the timestamp role",
        &[&refresh[..], &REPO].concat(),
    );
}

#[test]
fn a_root_key_is_rotated_and_a_root_renewed() {
    for (keys, threshold) in [(&["root"][..], 1), (&["anna", "ben", "clara"], 2)] {
        let mut product = Product::new(keys, threshold);
        let old = keys[0];
        let new = product.replaced("A root key", old);
        product.root = keys[1..].iter().map(|&key| key.to_owned()).chain([new]).collect();
        product.goes_on();
        worked(product.shell(&product.commands("A root that expires", "")).output().unwrap());
        product.tidied();
        product.goes_on();
        // Who begins with the first root again is told that there are others.
        product.ci.desk.ok(&["root", "renew", "root.json", "--out", "again.json"]);
        product.ci.desk.ok(&["root", "sign", "again.json", "--key", &format!("{old}.key")]);
        let again = [&["root", "publish", "again.json"][..], &REPO].concat();
        product.ci.desk.fails(3, "this root 2 does not follow root 4, which is published", &again);
    }
}

#[test]
fn roots_are_published_one_after_the_other() {
    let product = Product::new(&["root"], 1);
    let desk = &product.ci.desk;
    for (from, to) in [("newest.json", "2.json"), ("2.json", "3.json")] {
        desk.ok(&["root", "renew", from, "--out", to]);
        desk.ok(&["root", "sign", to, "--key", "root.key"]);
    }
    let third = [&["root", "publish", "3.json"][..], &REPO].concat();
    desk.fails(3, "Publish those in between first", &third);
    // Who has left one out need not sign anything again.
    desk.ok(&[&["root", "publish", "2.json"][..], &REPO].concat());
    desk.ok(&third);
}

#[test]
fn a_stolen_release_key_is_replaced() {
    let mut product = Product::new(&["root"], 1);
    let stolen = product.release.clone();
    product.release = product.replaced("A release key was stolen", &stolen);
    product.goes_on();
    product.cannot_release(&stolen);
}

#[test]
fn a_stolen_timestamp_key_is_replaced() {
    let mut product = Product::new(&["root"], 1);
    let stolen = product.timestamp.clone();
    product.timestamp = product.replaced("A timestamp key was stolen", &stolen);
    product.goes_on();
}

#[test]
fn a_stolen_root_key_below_the_threshold_is_replaced() {
    let mut product = Product::new(&["anna", "ben", "clara"], 2);
    // The others sign, and it does not.
    let stolen = product.root.remove(0);
    let new = product.replaced("A root key was stolen, and a threshold of others is left", &stolen);
    product.root.push(new);
    product.goes_on();
    product.ci.desk.ok(&["root", "renew", "newest.json", "--out", "next.json"]);
    let sign = ["root", "sign", "next.json", "--key", &format!("{stolen}.key")];
    product.ci.desk.fails(3, "does not have the root role", &sign);
}

/// The one who forgot a channel is told which.
#[test]
fn a_channel_that_was_left_out_is_named() {
    let product = Product::new(&["root"], 1);
    product.ci.desk.ok(&["keygen", "--no-password", "--out", "new.key"]);
    let commands = product.commands("A release key", "release").replace("in stable beta;", "in stable;");
    let why = failed(3, product.shell(&commands).output().unwrap());
    assert!(why.contains("under root 3 this does not verify any more: the release on beta: "), "{why}");
    assert!(!why.contains("the release on stable"), "{why}");
    // A raised epoch ends all of them.
    product.ci.desk.ok(&["root", "renew", "both.json", "--raise-epoch", "--out", "epoch.json"]);
    product.ci.desk.ok(&["root", "sign", "epoch.json", "--key", "root.key"]);
    let publish = [&["root", "publish", "epoch.json"][..], &REPO].concat();
    for channel in CHANNELS {
        product.ci.desk.fails(3, &format!("the release on {channel}: VERSION has the epoch 1"), &publish);
    }
    product.ci.desk.ok(&[&publish[..], &["--revoke-release"]].concat());
    product.ci.desk.fails(
        3,
        "channel beta: VERSION has the epoch 1, but the trusted root has 2",
        &[&["verify"][..], &REPO].concat(),
    );
}
