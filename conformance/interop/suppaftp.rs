//! suppaftp: the FTP client library of Rust.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use suppaftp::FtpStream;
use suppaftp::list::ListParser;
use suppaftp::types::FileType;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::battery::{FOLDER, Job, Worker};

pub(crate) struct Suppaftp;

impl Worker for Suppaftp {
    fn name(&self) -> &'static str {
        "suppaftp"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let mut ftp = FtpStream::connect_timeout(subject.address(), PATIENCE).unwrap();
        // Each call locks the connection until its statement ends.
        ftp.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        ftp.get_ref().set_write_timeout(Some(PATIENCE)).unwrap();
        ftp.login(USER, PASSWORD).unwrap();
        ftp.transfer_type(FileType::Binary).unwrap();
        ftp.cwd(FOLDER).unwrap();
        for job in jobs {
            work(&mut ftp, job);
        }
        ftp.quit().unwrap();
    }
}

fn work(ftp: &mut FtpStream, job: &Job) {
    match job {
        Job::List { into } => fs::write(into, names(ftp).join("\n") + "\n").unwrap(),
        Job::Upload { local, name } => upload(ftp, local, name, 0),
        Job::Download { name, local } => download(ftp, name, File::create(local).unwrap(), 0),
        Job::ResumeUpload { local, name, offset } => upload(ftp, local, name, *offset),
        Job::ResumeDownload { name, local, offset } => {
            download(ftp, name, File::options().append(true).open(local).unwrap(), *offset);
        }
        Job::Rename { from, to } => ftp.rename(from, to).unwrap(),
        Job::Delete { name } => ftp.rm(name).unwrap(),
        Job::MakeFolder { name } => ftp.mkdir(name).unwrap(),
        Job::FetchByPattern { pattern, into } => {
            for name in ftp.nlst(Some(pattern)).unwrap() {
                download(ftp, &name, File::create(into.join(&name)).unwrap(), 0);
            }
        }
    }
}

/// Returns the names by NLST; MLSD and LIST with the client's own parsers must agree.
fn names(ftp: &mut FtpStream) -> Vec<String> {
    let sorted = |names: Vec<String>| {
        let mut names = names;
        names.sort();
        names
    };
    let by_nlst = sorted(ftp.nlst(None).unwrap());
    let by_mlsd = ftp.mlsd(None).unwrap();
    let by_mlsd = by_mlsd.iter().map(|line| ListParser::parse_mlsd(line).unwrap().name().to_owned());
    assert_eq!(sorted(by_mlsd.collect()), by_nlst);
    let by_list = ftp.list(None).unwrap();
    let by_list = by_list.iter().map(|line| ListParser::parse_posix(line).unwrap().name().to_owned());
    // Its parser of LIST takes the spaces before a name for those between columns.
    let trimmed = by_nlst.iter().map(|name| name.trim_start().to_owned());
    assert_eq!(sorted(by_list.collect()), sorted(trimmed.collect()));
    by_nlst
}

fn upload(ftp: &mut FtpStream, local: &Path, name: &str, offset: usize) {
    let mut source = File::open(local).unwrap();
    source.seek(SeekFrom::Start(offset as u64)).unwrap();
    ftp.resume_transfer(offset).unwrap();
    ftp.put_file(name, &mut source).unwrap();
}

fn download(ftp: &mut FtpStream, name: &str, mut target: File, offset: usize) {
    ftp.resume_transfer(offset).unwrap();
    let mut stream = ftp.retr_as_stream(name).unwrap();
    io::copy(&mut stream, &mut target).unwrap();
    stream.finish().unwrap();
}
