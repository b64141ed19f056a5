//! A cluster of three [Garage](https://garagehq.deuxfleurs.fr) nodes with replication 3: a real server that ignores conditions of writes,
//! and that goes on when one of its nodes is gone.

#![allow(clippy::indexing_slicing, reason = "there are three nodes")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::credentials::{Credentials, Rights};

/// The bucket that there is.
const BUCKET: &str = "releases";
const REGION: &str = "garage";
const RPC_SECRET: &str = "7e57000000000000000000000000000000000000000000000000000000007e57";
/// As long may a node take to answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries to start a cluster.
const TRIES: usize = 3;

/// Three nodes on loopback; gone when dropped.
pub struct Cluster {
    garage: PathBuf,
    dir: TempDir,
    nodes: Vec<Node>,
}

struct Node {
    config: PathBuf,
    endpoint: String,
    child: Option<Child>,
}

impl Cluster {
    /// A cluster with an empty bucket; `None` where `garage` is not installed: a test says so and is skipped.
    ///
    /// # Panics
    /// Where it is installed and does not start, whatever ports it gets.
    pub fn start() -> Option<Self> {
        let garage = find()?;
        let start = |_| Cluster::try_start(garage.clone());
        // A port that was free a moment ago may be taken.
        let started: Result<Vec<String>, Self> =
            (0..TRIES).map(start).map(|started| started.map_or_else(Ok, Err)).collect();
        match started {
            Err(cluster) => Some(cluster),
            Ok(why) => panic!("garage is installed and does not start: {why:?}"),
        }
    }

    fn try_start(garage: PathBuf) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut cluster = Cluster { garage, dir, nodes: Vec::new() };
        for number in 0..3 {
            let node = cluster.configured(number).map_err(|error| error.to_string())?;
            cluster.nodes.push(node);
            cluster.restart(number)?;
        }
        cluster.join()?;
        Ok(cluster)
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The S3 endpoint of a node, 0 to 2.
    pub fn endpoint(&self, node: usize) -> &str {
        &self.nodes[node].endpoint
    }

    /// May read and write.
    pub fn publisher(&self) -> Credentials {
        Credentials::new(&format!("GK{:024x}", 1), &format!("{:064x}", 1))
    }

    /// May read.
    pub fn reader(&self) -> Credentials {
        Credentials::new(&format!("GK{:024x}", 2), &format!("{:064x}", 2)).rights(Rights::READ)
    }

    /// Ends a node as a power cut would.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Starts a node again and waits until it answers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn restart(&mut self, node: usize) -> Result<(), String> {
        let config = self.nodes[node].config.clone();
        let log = fs::File::create(config.with_extension("log")).map_err(|error| error.to_string())?;
        let child = Command::new(&self.garage)
            .arg("-c")
            .arg(&config)
            .arg("server")
            .env("RUST_LOG", "garage=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("garage does not start: {error}"))?;
        self.nodes[node].child = Some(child);
        self.patiently(node, &["status"]).map(drop)
    }

    /// Waits until each node that runs sees all others that do: before that one more loss would be one too many.
    ///
    /// # Errors
    /// Where that does not come.
    pub fn settle(&self) -> Result<(), String> {
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].child.is_some()).collect();
        let until = Instant::now() + PATIENCE;
        for node in &running {
            loop {
                let status = self.patiently(*node, &["status"])?;
                let healthy = status.lines().skip_while(|line| !line.contains("HEALTHY")).skip(2);
                let count = healthy.take_while(|line| !line.is_empty() && !line.starts_with('=')).count();
                if count == running.len() {
                    break;
                }
                if Instant::now() >= until {
                    return Err(format!("node {node} does not see the others: {status}"));
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn configured(&self, number: usize) -> std::io::Result<Node> {
        let home = self.dir.path().join(format!("node{number}"));
        fs::create_dir(&home)?;
        let (rpc, s3) = (free_port()?, free_port()?);
        let config = home.join("garage.toml");
        let text = format!(
            "metadata_dir = {home:?}\ndata_dir = {data:?}\ndb_engine = \"sqlite\"\nreplication_factor = 3\n\
             rpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{RPC_SECRET}\"\n\
             [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{s3}\"\nroot_domain = \".s3.localhost\"\n",
            home = home.join("meta"),
            data = home.join("data"),
        );
        fs::write(&config, text)?;
        Ok(Node { config, endpoint: format!("http://127.0.0.1:{s3}"), child: None })
    }

    fn join(&self) -> Result<(), String> {
        let ids: Vec<String> =
            (0..3).map(|node| self.patiently(node, &["node", "id", "-q"])).collect::<Result<_, _>>()?;
        for id in &ids[1..] {
            self.run(0, &["node", "connect", id.trim()])?;
        }
        for (number, id) in ids.iter().enumerate() {
            let short = id.split('@').next().unwrap_or_default();
            self.run(0, &["layout", "assign", "-z", &format!("z{number}"), "-c", "1G", short])?;
        }
        self.run(0, &["layout", "apply", "--version", "1"])?;
        self.settle()?;
        self.patiently(0, &["bucket", "create", BUCKET])?;
        for (name, pair, rights) in [
            ("publisher", self.publisher(), &["--read", "--write"][..]),
            ("reader", self.reader(), &["--read"]),
        ] {
            // Test keys, as a Garage cluster wants them; worthless elsewhere.
            self.run(0, &["key", "import", "--yes", "-n", name, &pair.access_key, &pair.secret_key])?;
            let allow = [&["bucket", "allow"], rights, &[BUCKET, "--key", &pair.access_key]].concat();
            self.run(0, &allow)?;
        }
        Ok(())
    }

    fn run(&self, node: usize, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.garage)
            .arg("-c")
            .arg(&self.nodes[node].config)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("garage does not start: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("garage {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// The same, until it works: a node takes a moment to listen, and a cluster to agree.
    fn patiently(&self, node: usize, arguments: &[&str]) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.run(node, arguments) {
                Err(why) if Instant::now() >= until => {
                    let log = fs::read_to_string(self.nodes[node].config.with_extension("log"));
                    return Err(format!("{why}\n{}", log.unwrap_or_default()));
                }
                Err(_) => thread::sleep(Duration::from_millis(50)),
                done => return done,
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..self.nodes.len() {
            self.kill(node);
        }
    }
}

/// `garage` on the path, or where `.ci/run` installs it.
fn find() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.push(installed);
    dirs.into_iter().map(|dir| dir.join("garage")).find(|path| path.is_file())
}

/// Below those that the system gives to outgoing connections: a node that is gone for a while finds its own free when it comes back.
fn free_port() -> std::io::Result<u16> {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let any = || 10_000 + (RandomState::new().build_hasher().finish() % 22_000) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(any).take(100).find(is_free).ok_or_else(|| std::io::ErrorKind::AddrInUse.into())
}
