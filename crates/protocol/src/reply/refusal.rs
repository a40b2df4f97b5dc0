use alloc::vec::Vec;

use tidegate_types::{Cause, Refusal};

use crate::number::push_left;

/// Appends the 421 line of `refusal`: one ASCII line, never translated, with the machine-read tail (DESIGN §2.4).
///
/// `421 Too many connections from your address (8 of 8); try again in 30 seconds [cause=address-full retry=30]`
pub fn refusal_line(refusal: &Refusal, out: &mut Vec<u8>) {
    refusal_line_with(refusal, None, out);
}

/// As [`refusal_line`], with what the operator wants to say behind the first sentence.
///
/// `421 The server is shutting down: new disks; try again in 240 seconds [cause=draining retry=240]`
pub fn refusal_line_with(refusal: &Refusal, message: Option<&str>, out: &mut Vec<u8>) {
    write_refusal(b"421 ", refusal, message, out);
}

/// Appends the line for somebody who may never connect: permanent, so no 421 and no retry (DESIGN §2.2).
pub fn denied_line(out: &mut Vec<u8>) {
    out.extend_from_slice(b"530 ");
    out.extend_from_slice(opening(Cause::Denied).as_bytes());
    out.extend_from_slice(b" [cause=");
    out.extend_from_slice(Cause::Denied.as_str().as_bytes());
    out.extend_from_slice(b"]\r\n");
}

/// Appends the reply that refuses one command and keeps the session (DESIGN §2.3): 450 for a transfer, 425 when no data port
/// is free.
///
/// `450 Too many transfers are under way (16 of 16); try again in 9 seconds [cause=transfers-full retry=9]`
pub(crate) fn refused_command(refusal: &Refusal, out: &mut Vec<u8>) {
    let code = if refusal.cause == Cause::DataPorts { b"425 " } else { b"450 " };
    write_refusal(code, refusal, None, out);
}

fn write_refusal(code: &[u8], refusal: &Refusal, message: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(code);
    out.extend_from_slice(opening(refusal.cause).as_bytes());
    if let Some(message) = message {
        out.extend_from_slice(b": ");
        out.extend(message.bytes().filter(|byte| (0x20..0x7f).contains(byte)));
    }
    if let Some(signal) = refusal.signal {
        out.extend_from_slice(b" (");
        out.extend_from_slice(signal.as_str().as_bytes());
        out.push(b')');
    }
    if refusal.limit > 0 {
        out.extend_from_slice(b" (");
        push_left(refusal.in_use.into(), 0, out);
        out.extend_from_slice(b" of ");
        push_left(refusal.limit.into(), 0, out);
        out.push(b')');
    }
    let retry = u64::from(refusal.retry_after_secs.max(1));
    out.extend_from_slice(b"; try again in ");
    push_left(retry, 0, out);
    out.extend_from_slice(if retry == 1 { b" second [cause=" } else { b" seconds [cause=" });
    out.extend_from_slice(refusal.cause.as_str().as_bytes());
    out.extend_from_slice(b" retry=");
    push_left(retry, 0, out);
    out.extend_from_slice(b"]\r\n");
}

/// Returns the sentence before the counts. `Too many connections` stands only where a client helps by opening fewer:
/// lftp lowers its own parallelism when it reads it.
///
const fn opening(cause: Cause) -> &'static str {
    match cause {
        Cause::Denied => "Your address may not use this server",
        Cause::Banned => "Your address is banned for now",
        Cause::Rate => "Connections come too fast",
        Cause::UnauthenticatedFull => "Too many connections that are not logged in",
        Cause::ListenerFull => "This listener is full",
        Cause::HandshakesFull => "Too many TLS handshakes at once",
        Cause::TransfersFull => "Too many transfers are under way",
        Cause::DataPorts => "No data port is free",
        Cause::HandshakeTimeout => "No TLS handshake in time",
        Cause::Kicked => "An operator ended the session",
        Cause::Reclaimed => "The session was idle and its place was needed",
        Cause::CommandFlood => "Commands came too fast",
        Cause::Draining => "The server is shutting down",
        Cause::Overloaded => "The server is overloaded",
        Cause::AddressFull => "Too many connections from your address",
        Cause::ServerFull => "The server is full",
        Cause::AccountFull => "Too many connections of this account",
        Cause::AnonymousFull => "Too many connections of anonymous users",
        Cause::LoginFailures => "Too many failed logins",
        Cause::Idle => "Nothing was said for too long",
        Cause::LoginTimeout => "No login in time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;
    use tidegate_types::SignalKind;

    fn line(cause: Cause, in_use: u32, limit: u32, retry_after_secs: u32) -> String {
        let mut out = Vec::new();
        let refusal = Refusal { cause, signal: None, in_use, limit, retry_after_secs };
        refusal_line(&refusal, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn has_the_form_of_the_contract() {
        assert_eq!(
            line(Cause::AddressFull, 8, 8, 30),
            "421 Too many connections from your address (8 of 8); try again in 30 seconds [cause=address-full retry=30]\r\n"
        );
        assert_eq!(
            line(Cause::Idle, 0, 0, 0),
            "421 Nothing was said for too long; try again in 1 second [cause=idle retry=1]\r\n"
        );
    }

    #[test]
    fn overload_names_its_signal() {
        let overloaded = Refusal::uncounted(Cause::Overloaded, 9);
        let mut out = Vec::new();
        refusal_line(&Refusal { signal: Some(SignalKind::Memory), ..overloaded }, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "421 The server is overloaded (memory); try again in 9 seconds [cause=overloaded retry=9]\r\n"
        );
    }

    #[test]
    fn what_is_no_421_keeps_its_code() {
        let mut out = Vec::new();
        denied_line(&mut out);
        assert_eq!(out, b"530 Your address may not use this server [cause=denied]\r\n");
        out.clear();
        refused_command(&Refusal::uncounted(Cause::DataPorts, 2), &mut out);
        assert_eq!(out, b"425 No data port is free; try again in 2 seconds [cause=data-ports retry=2]\r\n");
        out.clear();
        refused_command(&Refusal::uncounted(Cause::TransfersFull, 1), &mut out);
        assert_eq!(
            out,
            b"450 Too many transfers are under way; try again in 1 second [cause=transfers-full retry=1]\r\n"
        );
    }

    #[test]
    fn a_message_stands_behind_the_first_sentence_and_stays_one_line() {
        let mut out = Vec::new();
        refusal_line_with(
            &Refusal::uncounted(Cause::Draining, 240),
            Some("new disks\r\n230 hello"),
            &mut out,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "421 The server is shutting down: new disks230 hello; try again in 240 seconds [cause=draining retry=240]\r\n"
        );
    }

    #[test]
    fn every_cause_keeps_the_contract() {
        for cause in Cause::ALL {
            let line = line(cause, 3, 3, 7);
            assert!(line.is_ascii() && line.starts_with("421 ") && line.ends_with("\r\n"));
            assert!(line.contains("try again"));
            assert!(line.ends_with(&format!("[cause={} retry=7]\r\n", cause.as_str())));
            assert_eq!(line.lines().count(), 1);
            let own_pool = matches!(
                cause,
                Cause::AddressFull | Cause::AccountFull | Cause::AnonymousFull | Cause::UnauthenticatedFull
            );
            assert_eq!(line.contains("Too many connections"), own_pool, "{line}");
        }
    }
}
