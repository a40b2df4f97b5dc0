"""Jobs of the battery with ftplib: usage errands.py HOST PORT USER PASSWORD FOLDER JOBS, where JOBS is a JSON list of lists."""
import ftplib
import json
import sys

host, port, user, password, folder, jobs = sys.argv[1:]
ftp = ftplib.FTP(timeout=20)
ftp.connect(host, int(port))
ftp.login(user, password)
ftp.cwd(folder)


def list_names(into):
    by_nlst, by_mlsd = ftp.nlst(), [name for name, _ in ftp.mlsd()]
    assert sorted(by_nlst) == sorted(by_mlsd), (by_nlst, by_mlsd)
    with open(into, "w") as out:
        out.writelines(name + "\n" for name in by_nlst)


def upload(local, name, offset=None):
    with open(local, "rb") as source:
        source.seek(offset or 0)
        ftp.storbinary(f"STOR {name}", source, rest=offset)


def download(name, local, offset=None):
    with open(local, "ab" if offset else "wb") as target:
        ftp.retrbinary(f"RETR {name}", target.write, rest=offset)


def fetch_by_pattern(pattern, into):
    for name in ftp.nlst(pattern):
        download(name, f"{into}/{name}")


work = {
    "list": list_names,
    "upload": upload,
    "download": download,
    "resume-upload": upload,
    "resume-download": download,
    "rename": ftp.rename,
    "delete": ftp.delete,
    "make-folder": ftp.mkd,
    "fetch-by-pattern": fetch_by_pattern,
}
for kind, *arguments in json.loads(jobs):
    work[kind](*arguments)
assert ftp.quit().startswith("221")
print("all well")
