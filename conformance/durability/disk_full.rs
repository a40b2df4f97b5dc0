//! A full disk is 452, and the old file is whole.

use std::io::Write;
use std::net::Shutdown;

use tempfile::TempDir;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Setup;
use tidegate_conformance::tree::Noise;

#[test]
fn is_452_and_the_old_file_is_whole() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    // A small file system of its own, seen by the server only; it is gone with it.
    let mount = format!("mount -t tmpfs -o size=2m none '{}' && exec \"$@\"", home.display());
    let wrapper = ["unshare", "--mount", "sh", "-c", &mount, "sh"].map(String::from).to_vec();
    let subject = Setup { wrapper, ..Setup::default() }.start_on(folder, home);
    let mut client = Client::logged_in(subject.address());
    let old = Noise(5).bytes(700_000);
    client.upload("STOR a", &old);
    for command in ["STOR a", "STOR new"] {
        let mut data = client.passive();
        client.command(command, 150);
        // The server may close its side as soon as it knows.
        let _ = data.write_all(&Noise(6).bytes(4 << 20));
        let _ = data.shutdown(Shutdown::Write);
        client.expect(452);
        assert!(client.download("RETR a") == old, "the old file must be whole after {command}");
    }
    client.command("DELE a", 250);
    client.command("NOOP", 200);
}
