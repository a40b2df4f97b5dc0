"""A day's work with ftputil: usage ftputil_day.py HOST PORT USER PASSWORD. Prints `all well` at the end."""
import ftplib
import os
import sys
import time
from datetime import datetime, timedelta, timezone

import ftputil
import ftputil.error
import ftputil.session

host_name, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
factory = ftputil.session.session_factory(port=port, encoding="utf-8")


def read(host, path):
    with host.open(path, "rb") as source:
        return source.read()


def write(host, path, content):
    with host.open(path, "wb") as target:
        target.write(content)


def walk(host, top):
    return sorted((root, sorted(folders), sorted(files)) for root, folders, files in host.walk(top))


def dated(path, when):
    """Sets the time of a file with MFMT, for which ftputil has no call."""
    with ftplib.FTP(timeout=20) as ftp:
        ftp.connect(host_name, port)
        ftp.login(user, password)
        stamp = when.strftime("%Y%m%d%H%M%S")
        assert ftp.sendcmd(f"MFMT {stamp} {path}").startswith("213 "), path


with ftputil.FTPHost(host_name, user, password, session_factory=factory) as host:
    # The listing's times are UTC; ftputil finds that out with a file of its own, which it removes.
    host.synchronize_times()
    assert host.time_shift() == 0.0, host.time_shift()
    assert host.listdir("/") == [], host.listdir("/")
    assert host.getcwd() == "/"

    # Folders within folders, with blanks and in any script.
    deep = "/with  two blanks/grüße/日本語"
    host.makedirs(deep)
    host.makedirs(deep, exist_ok=True)
    assert host.path.isdir(deep) and not host.path.isfile(deep)

    # Binary, larger than any buffer.
    content = os.urandom(3_000_000)
    write(host, deep + "/été 1.bin", content)
    assert read(host, deep + "/été 1.bin") == content
    assert host.path.getsize(deep + "/été 1.bin") == len(content)
    # Text.
    text = "eins\nzwei — drei\nvier"
    with host.open("/with  two blanks/text", "w", encoding="utf-8") as target:
        target.write(text)
    with host.open("/with  two blanks/text", "r", encoding="utf-8") as source:
        assert source.readline() == "eins\n"
        assert source.read() == text[5:]
    assert read(host, "/with  two blanks/text") == text.encode()
    # From an offset.
    with host.open(deep + "/été 1.bin", "rb", rest=2_999_990) as source:
        assert source.read() == content[-10:]
    # Two files open at the same time.
    with host.open(deep + "/été 1.bin", "rb") as one, host.open("/with  two blanks/text", "rb") as two:
        assert one.read(10) == content[:10] and two.read(4) == b"eins" and one.read(10) == content[10:20]

    # stat: sizes and times, both forms of LIST's date.
    stat = host.stat("/with  two blanks/text")
    assert stat.st_size == len(text.encode()), stat
    assert abs(stat.st_mtime - time.time()) < 120, (stat.st_mtime, time.time())
    recent = (datetime.now(timezone.utc) - timedelta(days=40)).replace(second=0, microsecond=0)
    for when, seen in (
        (recent, recent),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc), datetime(2020, 1, 2, tzinfo=timezone.utc)),
    ):
        dated("/with  two blanks/text", when)
        host.stat_cache.clear()
        stat = host.stat("/with  two blanks/text")
        assert stat.st_mtime == seen.timestamp(), (stat.st_mtime, seen)

    # Names a parser of lines may lose.
    names = [" leading", "trailing ", "a  b", "a;b=c", "-dash", "#", "-> x", "ünï", "日本"]
    host.mkdir("/names")
    for name in names:
        write(host, "/names/" + name, name.encode())
    shown = host.listdir("/names")
    # ftputil takes the blanks before a name for those between columns.
    assert sorted(shown) == sorted(name.lstrip() for name in names), shown
    for name in names:
        assert read(host, "/names/" + name) == name.encode(), name

    assert walk(host, "/with  two blanks") == [
        ("/with  two blanks", ["grüße"], ["text"]),
        ("/with  two blanks/grüße", ["日本語"], []),
        (deep, [], ["été 1.bin"]),
    ], walk(host, "/with  two blanks")

    # Renaming, over folders too, and onto a file that is there.
    host.rename(deep + "/été 1.bin", "/été 2")
    assert not host.path.exists(deep + "/été 1.bin") and read(host, "/été 2") == content
    write(host, "/old", b"old")
    host.rename("/été 2", "/old")
    assert read(host, "/old") == content
    host.rename("/with  two blanks", "/moved")
    assert host.listdir("/moved/grüße") == ["日本語"]
    host.chdir("/moved/grüße")
    assert host.getcwd() == "/moved/grüße" and host.path.exists("日本語")
    host.chdir("/")

    # What is not there, and what is not empty, is said.
    for act in (
        lambda: host.remove("/nothing"),
        lambda: host.rmdir("/moved"),
        lambda: host.mkdir("/moved"),
        lambda: read(host, "/nothing"),
        lambda: host.stat("/nothing"),
    ):
        try:
            act()
        except (ftputil.error.PermanentError, ftputil.error.FTPIOError):
            pass
        else:
            raise SystemExit("an error was expected")

    host.remove("/old")
    for name in names:
        host._session.delete("/names/" + name)
    host.stat_cache.clear()
    host.rmdir("/names")
    host.rmtree("/moved")
    assert host.listdir("/") == [], host.listdir("/")
print("all well")
