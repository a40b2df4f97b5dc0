use std::fs;

use super::*;

const MIB: u64 = 1 << 20;

/// A machine made of files.
struct Fake {
    root: tempfile::TempDir,
}

impl Fake {
    /// A machine with 1,000 MiB, of which 400 are in use.
    fn new(cgroup: &str) -> Self {
        let fake = Self { root: tempfile::tempdir().unwrap() };
        fake.put(
            "proc/meminfo",
            "MemTotal:        1024000 kB\nMemFree:   1 kB\nMemAvailable:     614400 kB\n",
        );
        fake.put("proc/self/cgroup", cgroup);
        fake
    }

    fn put(&self, name: &str, text: &str) -> &Self {
        let file = self.root.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    fn group_v2(&self, name: &str, max: &str, current_mib: u64, files_mib: u64) -> &Self {
        let folder = format!("sys/fs/cgroup/{name}");
        self.put(&format!("{folder}/memory.max"), max);
        self.put(&format!("{folder}/memory.current"), &format!("{}\n", current_mib * MIB));
        let stat = format!(
            "anon 1\ninactive_file {}\nactive_file {}\nfile_dirty {MIB}\nfile_writeback 0\n",
            files_mib * MIB / 2,
            files_mib * MIB / 2
        );
        self.put(&format!("{folder}/memory.stat"), &stat)
    }

    fn machine(&self) -> Machine {
        Machine::at(self.root.path())
    }

    /// Returns what is in use and the limit, in MiB.
    fn memory_mib(&self) -> (u64, u64) {
        let reading = self.machine().memory().unwrap();
        (reading.used_bytes / MIB, reading.limit_bytes / MIB)
    }
}

fn mib(number: u64) -> String {
    format!("{}\n", number * MIB)
}

#[test]
fn without_a_limited_group_the_machine_counts() {
    for cgroup in
        ["", "0::/\n", "0::/system.slice/tidegate.service\n", "0::/../other\n", "nonsense\n1:memory"]
    {
        let fake = Fake::new(cgroup);
        fake.put("sys/fs/cgroup/cgroup.controllers", "memory");
        fake.group_v2("system.slice/tidegate.service", "max\n", 900, 0);
        assert_eq!(fake.memory_mib(), (400, 1_000), "{cgroup:?}");
    }
    let without = Fake::new("");
    fs::remove_file(without.root.path().join("proc/self/cgroup")).unwrap();
    assert_eq!(without.memory_mib(), (400, 1_000));
}

#[test]
fn of_the_groups_above_the_fullest_counts() {
    let fake = Fake::new("0::/a/b/c\n");
    fake.put("sys/fs/cgroup/cgroup.controllers", "memory");
    fake.group_v2("a/b/c", "max\n", 90, 0).group_v2("a/b", &mib(500), 120, 21).group_v2(
        "a",
        &mib(300),
        220,
        21,
    );
    assert_eq!(fake.memory_mib(), (200, 300), "clean files are taken off, dirty ones are not");
    fake.group_v2("a/b", &mib(110), 120, 21);
    assert_eq!(fake.memory_mib(), (100, 110));
    fake.put("sys/fs/cgroup/a/b/memory.high", &mib(102));
    assert_eq!(fake.memory_mib(), (100, 102), "above `memory.high` it is slowed down");
    fake.group_v2("a/b", &mib(4_000), 120, 21).put("sys/fs/cgroup/a/b/memory.high", "max\n");
    assert_eq!(fake.memory_mib(), (200, 300), "a limit above the machine's memory is none");
}

#[test]
fn in_a_container_the_mount_is_the_group() {
    for cgroup in ["0::/\n", "0::/../../kubepods/x\n", "0::/docker/0123456789\n"] {
        let fake = Fake::new(cgroup);
        fake.put("sys/fs/cgroup/cgroup.controllers", "memory");
        fake.group_v2("", &mib(256), 200, 101);
        assert_eq!(fake.memory_mib(), (100, 256), "{cgroup:?}");
    }
}

#[test]
fn version_1_is_read_where_it_has_the_memory() {
    let fake = Fake::new("9:name=systemd:/\n4:cpu,memory:/x/y\n0::/x/y\n");
    fake.put("sys/fs/cgroup/unified/cgroup.controllers", "");
    let folder = "sys/fs/cgroup/memory/x";
    fake.put(&format!("{folder}/y/memory.limit_in_bytes"), "9223372036854771712\n");
    fake.put(&format!("{folder}/y/memory.usage_in_bytes"), &mib(100));
    assert_eq!(fake.memory_mib(), (400, 1_000), "it writes a huge number for no limit");
    fake.put(&format!("{folder}/memory.limit_in_bytes"), &mib(200));
    fake.put(&format!("{folder}/memory.usage_in_bytes"), &mib(150));
    let stat = format!(
        "inactive_file 7\ntotal_inactive_file {}\ntotal_active_file {}\ntotal_dirty {}\n",
        30 * MIB,
        30 * MIB,
        10 * MIB
    );
    fake.put(&format!("{folder}/memory.stat"), &stat);
    assert_eq!(fake.memory_mib(), (100, 200));
}

#[test]
fn damaged_numbers_are_an_error_or_no_limit() {
    let fake = Fake::new("0::/\n");
    for text in ["", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemAvailable: 5 kB\n", "MemTotal:\nMemAvailable:\n"]
    {
        fake.put("proc/meminfo", text);
        assert_eq!(fake.machine().memory().unwrap_err().kind(), io::ErrorKind::InvalidData, "{text:?}");
    }
    fs::remove_file(fake.root.path().join("proc/meminfo")).unwrap();
    assert_eq!(fake.machine().memory().unwrap_err().kind(), io::ErrorKind::NotFound);
    let fake = Fake::new("0::/\n");
    for limit in ["", "0x10", "-5", "99999999999999999999999"] {
        fake.group_v2("", limit, 10, 0);
        assert_eq!(fake.memory_mib(), (400, 1_000), "{limit:?}");
    }
    fake.group_v2("", "0", 10, 0);
    let reading = fake.machine().memory().unwrap();
    assert_eq!(reading.limit_bytes, 0, "nothing is allowed, which is as full as can be: {reading:?}");
}

#[test]
fn pressure_is_that_of_the_closest_group_that_tells() {
    let line =
        |percent: &str| format!("some avg10={percent} avg60=0.00 avg300=0.00 total=5\nfull avg10=99.00\n");
    let fake = Fake::new("0::/a/b\n");
    assert_eq!(fake.machine().cpu_pressure(), None, "a kernel without it");
    fake.put("proc/pressure/cpu", &line("50.25"));
    assert_eq!(fake.machine().cpu_pressure(), Some(50.25));
    fake.put("sys/fs/cgroup/a/cpu.pressure", &line("7.00"));
    assert_eq!(fake.machine().cpu_pressure(), Some(7.0));
    fake.put("sys/fs/cgroup/a/b/cpu.pressure", "");
    assert_eq!(fake.machine().cpu_pressure(), Some(7.0), "switched off for the group");
    fake.put("sys/fs/cgroup/unified/cgroup.controllers", "")
        .put("sys/fs/cgroup/unified/a/b/cpu.pressure", &line("3"));
    assert_eq!(fake.machine().cpu_pressure(), Some(3.0));
    for text in
        ["full avg10=1.00", "some", "some avg10=", "some avg10=NaN", "some avg10=-1", "some avg10=inf"]
    {
        assert_eq!(some_avg10(text), None, "{text}");
    }
}

#[test]
fn this_machine_tells_plausible_numbers() {
    let machine = Machine::new();
    let memory = machine.memory().unwrap();
    assert!(memory.used_bytes > 0 && memory.limit_bytes > 16 * MIB, "{memory:?}");
    // Ballast that is really touched is seen, on a machine that does other things at the same time.
    let ballast = vec![1_u8; 512 << 20];
    let with = machine.memory().unwrap();
    assert!(
        with.used_bytes > memory.used_bytes + (128 << 20),
        "{memory:?}, then {with:?}, {}",
        ballast.len()
    );
    let percent = machine.cpu_pressure();
    assert_eq!(percent.is_some(), Path::new("/proc/pressure/cpu").exists(), "{percent:?}");
    assert!(percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)), "{percent:?}");
}

#[test]
fn descriptors_are_counted() {
    let machine = Machine::new();
    let folder = Path::new("/proc/self/fd");
    // Other tests of this process may open and close some at the same time.
    let hoard: Vec<_> = (0..1_000).map(|_| fs::File::open("/dev/null").unwrap()).collect();
    let with = machine.descriptors().unwrap();
    let counted = count(folder, with.limit).unwrap();
    drop(hoard);
    let without = machine.descriptors().unwrap();
    assert!(with.open >= without.open + 500 && with.open <= with.limit, "{with:?}, then {without:?}");
    assert!(counted.abs_diff(with.open) < 500, "{counted} by count, {} by size", with.open);
    assert_eq!(Some(with.limit), getrlimit(Resource::Nofile).current);
    assert!(Machine::at(Path::new("/nowhere")).descriptors().is_err());
}
