use alloc::vec::Vec;

use tidegate_types::{Cause, Refusal};

use crate::number::push_left;

/// Appends the 421 line of `refusal`: one ASCII line, never translated, with the machine-read tail (DESIGN §2.4).
///
/// `421 Too many connections from your address (8 of 8); try again in 30 seconds [cause=address-full retry=30]`
pub fn refusal_line(refusal: &Refusal, out: &mut Vec<u8>) {
    out.extend_from_slice(b"421 ");
    out.extend_from_slice(opening(refusal.cause).as_bytes());
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
/// `denied` is permanent, and a refused transfer keeps its session: what is said then is no 421 (DESIGN §2.2, §2.3), and their
/// sentences here stand in logs and explanations only.
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
