"""A day's work with ftplib: usage ftplib_day.py HOST PORT USER PASSWORD. Prints `all well` at the end."""
import ftplib
import io
import os
import re
import sys
import time

host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def connect():
    ftp = ftplib.FTP(timeout=20)
    ftp.connect(host, port)
    ftp.login(user, password)
    return ftp


def fetch(ftp, name, rest=None):
    parts = []
    ftp.retrbinary(f"RETR {name}", parts.append, rest=rest)
    return b"".join(parts)


def wait_until_received(ftp, least):
    """Asks with STAT, which is answered during a transfer, until `least` bytes have arrived."""
    until = time.monotonic() + 20
    while True:
        status = ftp.sendcmd("STAT")
        found = re.search(r"Receiving file \((\d+) bytes\)", status)
        if found and int(found[1]) >= least:
            return
        assert time.monotonic() < until, status


def cut_upload(ftp, name, content):
    """Uploads `content` in part and cuts it with ABOR."""
    data = ftp.transfercmd(f"STOR {name}")
    data.sendall(content)
    wait_until_received(ftp, min(len(content), 100_000))
    reply = ftp.abort()
    assert reply[:3] in ("426", "226"), reply
    if reply[:3] == "426":
        assert ftp.getresp().startswith("226")
    data.close()


ftp = connect()
assert ftp.getwelcome().startswith("220")
assert ftp.pwd() == "/"
assert ftp.mkd('a "quoted" folder') == '/a "quoted" folder'
ftp.cwd('a "quoted" folder')
assert ftp.pwd() == '/a "quoted" folder'

content = os.urandom(3_000_000)
ftp.storbinary("STOR été.bin", io.BytesIO(content))
assert fetch(ftp, "été.bin") == content
assert ftp.size("été.bin") == len(content)
assert ftp.nlst() == ["été.bin"]
facts = dict(ftp.mlsd())["été.bin"]
assert facts["type"] == "file" and facts["size"] == str(len(content)), facts
assert set("adfrw") <= set(facts["perm"]), facts
lines = []
ftp.dir(lines.append)
assert len(lines) == 1 and lines[0].endswith(" été.bin"), lines
assert lines[0].split(None, 8)[4] == str(len(content)), lines

# Text: lines go over the wire with CRLF and stand in the file with LF.
ftp.storlines("STOR text", io.BytesIO(b"one\ntwo\n"))
got = []
ftp.retrlines("RETR text", got.append)
assert got == ["one", "two"], got
ftp.voidcmd("TYPE I")
assert fetch(ftp, "text") == b"one\ntwo\n"
ftp.delete("text")

# A download that is cut goes on where it stopped.
half = len(content) // 2
with ftp.transfercmd("RETR été.bin") as data:
    received = data.recv(1000)
try:
    ftp.voidresp()
except ftplib.error_temp as cut:
    assert str(cut).startswith("426"), cut
assert received + fetch(ftp, "été.bin", rest=len(received)) == content

# An upload that is cut goes on too: ABOR, then REST and STOR.
cut_upload(ftp, "later.bin", content[:half])
kept = ftp.size("later.bin")
assert 0 < kept <= half, kept
ftp.storbinary("STOR later.bin", io.BytesIO(content[kept:]), rest=kept)
assert fetch(ftp, "later.bin") == content

# And once more with APPE.
cut_upload(ftp, "more.bin", content[:half])
kept = ftp.size("more.bin")
ftp.storbinary("APPE more.bin", io.BytesIO(content[kept:]))
assert fetch(ftp, "more.bin") == content

# Old files stay whole when their replacement is cut.
cut_upload(ftp, "été.bin", b"half of something else")
assert fetch(ftp, "été.bin") == content

ftp.rename("été.bin", "renamed")
assert ftp.sendcmd("MFMT 20200102030405 renamed").startswith("213 Modify=20200102030405; ")
assert ftp.sendcmd("MDTM renamed") == "213 20200102030405"
for name in ("renamed", "later.bin", "more.bin"):
    ftp.delete(name)
try:
    fetch(ftp, "renamed")
    raise SystemExit("a deleted file was served")
except ftplib.error_perm as error:
    assert str(error).startswith("550"), error
ftp.cwd("..")
ftp.rmd('a "quoted" folder')
assert ftp.nlst() == []

# Active mode.
ftp.set_pasv(False)
ftp.storbinary("STOR empty", io.BytesIO(b""))
assert fetch(ftp, "empty") == b""
ftp.delete("empty")
assert ftp.quit().startswith("221")
print("all well")
