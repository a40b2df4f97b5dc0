use tidegate_types::Rights;

use super::parse::{
    allo, digest, eprt, epsv, host, lang, mff, mfmt, mode, opts, port, rang, rest, stru, type_code,
};
use super::site::site;
use super::{Command, CommandSpec, Extras, HashAlgorithm, Needs, Offer, Shape};

const fn row(
    verb: &'static str,
    needs: Needs,
    right: Rights,
    shape: Shape,
    texts: (&'static str, &'static str, &'static str),
) -> CommandSpec {
    let (feature, syntax, rfc) = texts;
    CommandSpec { verb, needs, right, offer: Offer::Always, shape, feature, syntax, rfc }
}

/// A row that the operator must switch on.
const fn extra(extra: Extras, row: CommandSpec) -> CommandSpec {
    CommandSpec { offer: Offer::Extra(extra), ..row }
}

const fn not_offered(verb: &'static str, needs: Needs, rfc: &'static str) -> CommandSpec {
    let row = row(verb, needs, Rights::NONE, Shape::NotOffered, ("", "", rfc));
    CommandSpec { offer: Offer::Never, ..row }
}

/// A row that means something only where TLS protects the session.
const fn with_tls(row: CommandSpec) -> CommandSpec {
    CommandSpec { offer: Offer::WithTls, ..row }
}

use Needs::{Login, LoginWithArgument, Nothing};

const ANY: Rights = Rights::NONE;

/// Every verb this server knows. Sorted by what they do; looked up by verb.
#[rustfmt::skip] // a table: one row a line
#[expect(clippy::redundant_closure, reason = "a constructor's lifetime is fixed too early for `for<'a> fn`")]
pub static TABLE: &[CommandSpec] = &[
    // Access control (RFC 959 §4.1.1).
    row("USER", Nothing, ANY, Shape::Path(|argument| Command::User(argument)), ("", "USER <name>", "RFC 959 4.1.1")),
    row("PASS", Nothing, ANY, Shape::Raw(|argument| Command::Pass(argument)), ("", "PASS <password>", "RFC 959 4.1.1")),
    row("REIN", Nothing, ANY, Shape::None(Command::Rein), ("", "REIN", "RFC 959 4.1.1")),
    row("QUIT", Nothing, ANY, Shape::Ignored(Command::Quit), ("", "QUIT", "RFC 959 4.1.1")),
    row("CWD", Login, ANY, Shape::Path(|argument| Command::Cwd(argument)), ("", "CWD <directory>", "RFC 959 4.1.1")),
    row("XCWD", Login, ANY, Shape::Path(|argument| Command::Cwd(argument)), ("", "XCWD <directory>", "RFC 775")),
    row("CDUP", Login, ANY, Shape::None(Command::Cdup), ("", "CDUP", "RFC 959 4.1.1")),
    row("XCUP", Login, ANY, Shape::None(Command::Cdup), ("", "XCUP", "RFC 775")),
    // Transfer parameters (RFC 959 §4.1.2, RFC 2428).
    row("TYPE", Login, ANY, Shape::Own(type_code), ("", "TYPE A [N | T] | I | L 8", "RFC 959 4.1.2")),
    row("MODE", Login, ANY, Shape::Own(mode), ("", "MODE S | Z", "RFC 959 4.1.2")),
    row("STRU", Login, ANY, Shape::Own(stru), ("", "STRU F", "RFC 959 4.1.2")),
    row("PASV", Login, ANY, Shape::None(Command::Pasv), ("", "PASV", "RFC 959 4.1.2")),
    row("EPSV", Login, ANY, Shape::Own(epsv), ("EPSV", "EPSV [1 | 2 | ALL]", "RFC 2428 3")),
    row("PORT", Login, ANY, Shape::Own(port), ("", "PORT <h1,h2,h3,h4,p1,p2>", "RFC 959 4.1.2")),
    row("EPRT", Login, ANY, Shape::Own(eprt), ("EPRT", "EPRT |<1 or 2>|<address>|<port>|", "RFC 2428 2")),
    // Transfers (RFC 959 §4.1.3).
    row("RETR", Login, Rights::READ, Shape::Path(|argument| Command::Retr(argument)), ("", "RETR <file>", "RFC 959 4.1.3")),
    row("STOR", Login, Rights::WRITE, Shape::Path(|argument| Command::Stor(argument)), ("", "STOR <file>", "RFC 959 4.1.3")),
    row("STOU", Login, Rights::WRITE, Shape::OptionalPath(|argument| Command::Stou(argument)), ("", "STOU [<file>]", "RFC 959 4.1.3")),
    row("APPE", Login, Rights::WRITE, Shape::Path(|argument| Command::Appe(argument)), ("", "APPE <file>", "RFC 959 4.1.3")),
    row("REST", Login, ANY, Shape::Own(rest), ("REST STREAM", "REST <bytes>", "RFC 3659 5")),
    row("RANG", Login, ANY, Shape::Own(rang), ("RANG STREAM", "RANG <first byte> <last byte>", "draft-bryan-ftp-range")),
    row("ALLO", Login, ANY, Shape::Own(allo), ("", "ALLO <bytes> [R <record size>]", "RFC 959 4.1.3")),
    row("ABOR", Nothing, ANY, Shape::Ignored(Command::Abor), ("", "ABOR", "RFC 959 4.1.3")),
    row("LIST", Login, Rights::LIST, Shape::Listing(|args| Command::List(args.unwrap_or_default())), ("", "LIST [-a] [-A] [-l] [-1] [-R] [--] [<path or pattern>]", "RFC 959 4.1.3")),
    row("NLST", Login, Rights::LIST, Shape::Listing(|args| Command::Nlst(args.unwrap_or_default())), ("", "NLST [-a] [-A] [-l] [-1] [-R] [--] [<path or pattern>]", "RFC 959 4.1.3")),
    row("MLSD", Login, Rights::LIST, Shape::OptionalPath(|argument| Command::Mlsd(argument)), ("", "MLSD [<directory>]", "RFC 3659 7")),
    // Files and directories.
    row("RNFR", Login, Rights::RENAME, Shape::Path(|argument| Command::Rnfr(argument)), ("", "RNFR <path>", "RFC 959 4.1.3")),
    row("RNTO", Login, Rights::RENAME, Shape::Path(|argument| Command::Rnto(argument)), ("", "RNTO <path>", "RFC 959 4.1.3")),
    row("DELE", Login, Rights::DELETE, Shape::Path(|argument| Command::Dele(argument)), ("", "DELE <file>", "RFC 959 4.1.3")),
    row("RMD", Login, Rights::DELETE, Shape::Path(|argument| Command::Rmd(argument)), ("", "RMD <directory>", "RFC 959 4.1.3")),
    row("XRMD", Login, Rights::DELETE, Shape::Path(|argument| Command::Rmd(argument)), ("", "XRMD <directory>", "RFC 775")),
    row("MKD", Login, Rights::MKDIR, Shape::Path(|argument| Command::Mkd(argument)), ("", "MKD <directory>", "RFC 959 4.1.3")),
    row("XMKD", Login, Rights::MKDIR, Shape::Path(|argument| Command::Mkd(argument)), ("", "XMKD <directory>", "RFC 775")),
    row("PWD", Login, ANY, Shape::None(Command::Pwd), ("", "PWD", "RFC 959 4.1.3")),
    row("XPWD", Login, ANY, Shape::None(Command::Pwd), ("", "XPWD", "RFC 775")),
    row("SIZE", Login, Rights::LIST, Shape::Path(|argument| Command::Size(argument)), ("SIZE", "SIZE <file>", "RFC 3659 4")),
    row("MDTM", Login, Rights::LIST, Shape::Path(|argument| Command::Mdtm(argument)), ("MDTM", "MDTM [<YYYYMMDDHHMMSS>] <file>", "RFC 3659 3")),
    row("MFMT", Login, Rights::UTIME, Shape::Own(mfmt), ("MFMT", "MFMT <YYYYMMDDHHMMSS> <file>", "draft-somers-ftp-mfxx 3")),
    row("MFF", Login, ANY, Shape::Own(mff), ("MFF modify;UNIX.mode;", "MFF <fact>=<value>;... <path>", "draft-somers-ftp-mfxx 5")),
    row("HASH", Login, Rights::READ, Shape::Path(|argument| Command::Hash(argument)), ("HASH", "HASH <file>", "draft-bryan-ftpext-hash")),
    row("XCRC", Login, Rights::READ, Shape::Own(|argument| digest(HashAlgorithm::Crc32, argument)), ("XCRC", "XCRC <file> [<start> [<end>]]", "de facto")),
    row("XMD5", Login, Rights::READ, Shape::Own(|argument| digest(HashAlgorithm::Md5, argument)), ("XMD5", "XMD5 <file> [<start> [<end>]]", "de facto")),
    row("XSHA", Login, Rights::READ, Shape::Own(|argument| digest(HashAlgorithm::Sha1, argument)), ("XSHA", "XSHA <file> [<start> [<end>]]", "de facto")),
    row("XSHA1", Login, Rights::READ, Shape::Own(|argument| digest(HashAlgorithm::Sha1, argument)), ("XSHA1", "XSHA1 <file> [<start> [<end>]]", "de facto")),
    row("XSHA256", Login, Rights::READ, Shape::Own(|argument| digest(HashAlgorithm::Sha256, argument)), ("XSHA256", "XSHA256 <file> [<start> [<end>]]", "de facto")),
    row("XSHA512", Login, Rights::READ, Shape::Own(|argument| digest(HashAlgorithm::Sha512, argument)), ("XSHA512", "XSHA512 <file> [<start> [<end>]]", "de facto")),
    extra(Extras::MD5, row("MD5", Login, Rights::READ, Shape::Path(|argument| Command::Md5(argument)), ("MD5", "MD5 <file>", "draft-twine-ftpmd5"))),
    row("AVBL", Login, Rights::LIST, Shape::OptionalPath(|argument| Command::Avbl(argument)), ("AVBL", "AVBL [<directory>]", "draft-peterson-streamlined-ftp-command-extensions")),
    extra(Extras::RMDA, row("RMDA", Login, Rights::DELETE, Shape::Path(|argument| Command::Rmda(argument)), ("RMDA <path>", "RMDA <directory>", "draft-peterson-streamlined-ftp-command-extensions"))),
    extra(Extras::COMB, row("COMB", Login, Rights::WRITE, Shape::Path(|argument| Command::Comb(argument)), ("COMB target;source_list", "COMB \"<target>\" \"<part>\" [...]", "de facto"))),
    row("MLST", Login, Rights::LIST, Shape::OptionalPath(|argument| Command::Mlst(argument)), ("MLST", "MLST [<path>]", "RFC 3659 7")),
    // Information.
    row("STAT", LoginWithArgument, ANY, Shape::Listing(|args| Command::Stat(args)), ("", "STAT [<path>]", "RFC 959 4.1.3")),
    row("SYST", Nothing, ANY, Shape::None(Command::Syst), ("", "SYST", "RFC 959 4.1.3")),
    row("FEAT", Nothing, ANY, Shape::None(Command::Feat), ("", "FEAT", "RFC 2389 3")),
    row("OPTS", Nothing, ANY, Shape::Own(opts), ("UTF8", "OPTS UTF8 ON | MLST [<fact>;...] | HASH [<algorithm>] | MODE Z LEVEL <1-9>", "RFC 2389 4")),
    row("HELP", Nothing, ANY, Shape::OptionalPath(|argument| Command::Help(argument)), ("", "HELP [<command>]", "RFC 959 4.1.3")),
    row("LANG", Nothing, ANY, Shape::Own(lang), ("LANG en*", "LANG [<language tag>]", "RFC 2640 4")),
    row("HOST", Nothing, ANY, Shape::Own(host), ("HOST", "HOST <host name>", "RFC 7151 3")),
    row("CLNT", Nothing, ANY, Shape::Raw(|about| Command::Client { about, asks: false }), ("CLNT", "CLNT <program>", "de facto")),
    row("CSID", Nothing, ANY, Shape::Raw(|about| Command::Client { about, asks: true }), ("CSID", "CSID Name=<program>; Version=<version>;", "draft-peterson-streamlined-ftp-command-extensions")),
    row("NOOP", Nothing, ANY, Shape::Ignored(Command::Noop), ("", "NOOP", "RFC 959 4.1.3")),
    row("SITE", Login, ANY, Shape::Own(site), ("", "SITE <sub-command>: SITE HELP tells them", "RFC 959 4.1.3")),
    // Known, and not offered: 502. Each moves up when its issue makes it work.
    not_offered("ACCT", Nothing, "RFC 959 4.1.1"),
    not_offered("SMNT", Login, "RFC 959 4.1.1"),
    not_offered("AUTH", Nothing, "RFC 2228 3"),
    not_offered("ADAT", Nothing, "RFC 2228 3"),
    with_tls(not_offered("PBSZ", Nothing, "RFC 2228 3")),
    with_tls(not_offered("PROT", Nothing, "RFC 2228 3")),
    not_offered("CCC", Nothing, "RFC 2228 3"),
    not_offered("MIC", Nothing, "RFC 2228 3"),
    not_offered("CONF", Nothing, "RFC 2228 3"),
    not_offered("ENC", Nothing, "RFC 2228 3"),
    not_offered("LPRT", Login, "RFC 1639 4"),
    not_offered("LPSV", Login, "RFC 1639 4"),
    not_offered("MFCT", Login, "draft-somers-ftp-mfxx 4"),
    not_offered("DSIZ", Login, "draft-peterson-streamlined-ftp-command-extensions"),
    not_offered("THMB", Login, "draft-peterson-streamlined-ftp-command-extensions"),
    not_offered("LOCK", Login, "draft-bryan-ftp-lock-03"),
    not_offered("MMD5", Login, "draft-twine-ftpmd5"),
    not_offered("PRET", Login, "de facto (drftpd)"),
    not_offered("CPSV", Login, "de facto (FXP)"),
    not_offered("SSCN", Login, "de facto (FXP)"),
    not_offered("SPSV", Login, "de facto (BlackMoon)"),
    not_offered("ESTA", Login, "Pure-FTPd"),
    not_offered("ESTP", Login, "Pure-FTPd"),
    not_offered("P@SW", Login, "de facto"),
    not_offered("XRSQ", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("XRCP", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("XSEN", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("XSEM", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MAIL", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MLFL", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MSND", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MSOM", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MSAM", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MRSQ", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
    not_offered("MRCP", Nothing, "RFC 737/743/765 (obsolete mail commands)"),
];
