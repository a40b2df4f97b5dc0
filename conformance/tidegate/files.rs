//! The keys of the configuration that decide about files, in force in the running program: from the file to the disk.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::{MetadataExt, symlink};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tidegate_conformance::client::{Client, Reply};
use tidegate_conformance::subject::{PASSWORD, Setup, Subject, USER};

/// Uploads and returns the final reply, whatever it is.
fn store(client: &mut Client, command: &str, bytes: &[u8]) -> Reply {
    let mut data = client.passive();
    let first = client.say(command);
    if first.code != 150 {
        return first;
    }
    // Refused in the middle, it may end before all is sent.
    let _ = data.write_all(bytes);
    let _ = data.shutdown(Shutdown::Write);
    drop(data);
    client.reply()
}

/// Returns what is in the home, but for the journal.
fn names(subject: &Subject) -> Vec<String> {
    let entries = fs::read_dir(&subject.home).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".tidegate-journal"));
    names.sort();
    names
}

#[test]
fn denied_names_are_hidden_and_refused() {
    let subject = Setup::with("[files]\ndeny_names = [\".ht*\", \"*.bak\"]\n").start();
    fs::write(subject.home.join(".htaccess"), b"secret").unwrap();
    fs::create_dir(subject.home.join(".htdir")).unwrap();
    fs::write(subject.home.join(".htdir/in"), b"secret").unwrap();
    symlink(".htaccess", subject.home.join("link")).unwrap();
    fs::write(subject.home.join("plain"), b"plain").unwrap();
    let mut client = Client::logged_in(subject.address());
    for listing in ["LIST -a", "NLST -a", "MLSD", "NLST -a *"] {
        let shown = String::from_utf8(client.download(listing)).unwrap();
        assert!(
            shown.contains("plain") && !shown.contains(".ht") && !shown.contains("link"),
            "{listing}: {shown}"
        );
    }
    for line in [
        "SIZE .htaccess",
        "MDTM .htaccess",
        "MLST .htaccess",
        "STAT .htaccess",
        "DELE .htaccess",
        "RNFR .htaccess",
        "HASH .htaccess",
        "XCRC .htaccess",
        "SITE CHMOD 600 .htaccess",
        "MFMT 20200101000000 .htaccess",
        "SIZE link",
        "HASH link",
        "CWD .htdir",
        "SIZE .htdir/in",
        "RMD .htdir",
    ] {
        client.command(line, 550);
    }
    client.command("MKD .htmore", 553);
    client.command("RNFR plain", 350);
    client.command("RNTO plain.bak", 553);
    assert_eq!(store(&mut client, "STOR .htnew", b"x").code, 553);
    client.passive_address();
    client.command("RETR link", 550);
    assert_eq!(names(&subject), [".htaccess", ".htdir", "link", "plain"]);
    assert_eq!(fs::read(subject.home.join(".htaccess")).unwrap(), b"secret");
}

#[test]
fn the_largest_size_holds_for_every_way_in() {
    let subject = Setup::with("[files]\nmax_file_size = \"1KiB\"\nmode_z = true\n").start();
    let mut client = Client::logged_in(subject.address());
    client.command("ALLO 1024", 202);
    client.command("ALLO 1025", 552);
    assert_eq!(store(&mut client, "STOR fits", &[b'x'; 1024]).code, 226);
    assert_eq!(store(&mut client, "STOR more", &[b'x'; 1025]).code, 552);
    assert_eq!(store(&mut client, "STOR fits", &[b'y'; 4096]).code, 552);
    assert_eq!(store(&mut client, "APPE fits", b"y").code, 552);
    client.command("REST 1000", 350);
    assert_eq!(store(&mut client, "STOR fits", &[b'y'; 100]).code, 552);
    assert_eq!(fs::metadata(subject.home.join("fits")).unwrap().len(), 1024);
    assert_eq!(names(&subject), ["fits"], "nothing else is left");
}

#[test]
fn a_range_that_is_overrun_leaves_the_rest_of_the_file() {
    let subject = Subject::start();
    let content: Vec<u8> = (0..100_000_u32).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
    for (range, sent) in [("RANG 5 9", 6), ("RANG 1 50000", 50_001), ("RANG 0 3", 5)] {
        fs::write(subject.home.join("f"), &content).unwrap();
        let mut client = Client::logged_in(subject.address());
        client.command(range, 350);
        assert_eq!(store(&mut client, "STOR f", &vec![b'Z'; sent]).code, 552, "{range}");
        let after = fs::read(subject.home.join("f")).unwrap();
        assert_eq!(after.len(), content.len(), "{range}");
        let end: usize = range.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(after[end + 1..], content[end + 1..], "{range}: what lies behind it is as it was");
    }
    // A range that starts at 0 and is kept replaces nothing but itself.
    fs::write(subject.home.join("f"), &content).unwrap();
    let mut client = Client::logged_in(subject.address());
    client.command("RANG 0 3", 350);
    assert_eq!(store(&mut client, "STOR f", b"WXYZ").code, 226);
    let after = fs::read(subject.home.join("f")).unwrap();
    assert_eq!((&after[..4], &after[4..]), (&b"WXYZ"[..], &content[4..]));
}

#[test]
fn mode_z_has_a_cap_without_a_largest_size() {
    let subject = Setup::with("[files]\nmode_z = true\n").start();
    let mut client = Client::logged_in(subject.address());
    client.command("MODE Z", 200);
    // 10 MiB of zeros, 1,000 to 1.
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(&vec![0; 10 << 20]).unwrap();
    let bomb = zlib.finish().unwrap();
    assert_eq!(store(&mut client, "STOR bomb", &bomb).code, 552);
    assert_eq!(names(&subject), Vec::<String>::new());
}

#[test]
fn what_is_created_looks_as_the_account_says() {
    let setup = Setup {
        account: "owner = \"1234:33\"\nfile_mode = \"0640\"\ndir_mode = \"0751\"\n".into(),
        anonymous: false,
        ..Setup::default()
    };
    let subject = setup.start();
    let mut client = Client::logged_in(subject.address());
    assert_eq!(store(&mut client, "STOR f", b"x").code, 226);
    assert_eq!(store(&mut client, "STOU", b"x").code, 226);
    assert_eq!(store(&mut client, "APPE g", b"x").code, 226);
    client.command("MKD d", 257);
    for (name, mode) in [("f", 0o640), ("upload", 0o640), ("g", 0o640), ("d", 0o751)] {
        let about = fs::metadata(subject.home.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((about.mode() & 0o7777, about.uid(), about.gid()), (mode, 1234, 33), "{name}");
    }
    client.command("SITE UMASK 077", 200);
    assert_eq!(store(&mut client, "STOR h", b"x").code, 226);
    client.command("MKD e", 257);
    assert_eq!(fs::metadata(subject.home.join("h")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(subject.home.join("e")).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn extra_commands_are_those_that_are_named() {
    let subject = Setup::with("[files]\nextra_commands = [\"RMDA\", \"MD5\", \"SITE COPY\"]\n").start();
    let mut client = Client::logged_in(subject.address());
    assert_eq!(store(&mut client, "STOR f", b"123456789").code, 226);
    client.command("MD5 f", 251);
    client.command("SITE COPY f g", 200);
    assert_eq!(fs::read(subject.home.join("g")).unwrap(), b"123456789");
    client.command("MKD d", 257);
    client.command("MKD d/e", 257);
    client.command("RMDA d", 250);
    assert!(!subject.home.join("d").exists());
    for line in ["COMB a f", "SITE CPFR f", "SITE SYMLINK f l", "SITE MKDIR x", "SITE CHGRP 1 f"] {
        client.command(line, 502);
    }
    let features = client.command("FEAT", 211).lines.join("\n");
    assert!(features.contains(" MD5") && features.contains(" SITE COPY") && !features.contains(" COMB"));
}

#[test]
fn the_passive_address_depends_on_the_client() {
    let tables = "[[listener]]\naddress = \"127.0.0.1:0\"\npassive_address = \"192.0.2.1\"\n\
        [[listener.passive_address_for]]\nfrom = \"127.0.0.0/8\"\naddress = \"192.0.2.8\"\n\
        [[listener.passive_address_for]]\nfrom = \"127.0.0.2/32\"\naddress = \"auto\"\n";
    let setup = Setup { listen: Vec::new(), tables: tables.into(), ..Setup::default() };
    let subject = setup.start_with_addresses(1);
    let mut near = Client::logged_in(subject.address());
    let told = near.command("PASV", 227);
    assert!(told.text().contains("(192,0,2,8,"), "{told:?}");
    // From 127.0.0.2: the narrower network, and the address the client reached.
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &"127.0.0.2:0".parse::<std::net::SocketAddr>().unwrap()).unwrap();
    rustix::net::connect(&socket, &subject.address()).unwrap();
    let mut far = Client::from_stream(TcpStream::from(socket));
    far.expect(220);
    far.login(USER, PASSWORD);
    let told = far.command("PASV", 227);
    assert!(told.text().contains("(127,0,0,1,"), "{told:?}");
}
