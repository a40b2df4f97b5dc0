use alloc::vec::Vec;

use tidegate_types::{Cause, Moment, Refusal, VirtualPath};

use super::phase::{Parameters, Pending, Phase};
use super::timers::Deadline;
use super::{Action, Actions, GateQuestion, LoginAnswer, RequestId, Secret, ServerSession};
use crate::reply::{self, Reason};

/// Failed logins in one session before it is sent away (PROTOCOL A13).
const LOGINS_DENIED_MAX: u8 = 3;
/// The longest user name, in bytes (PROTOCOL A16).
const USER_BYTES_MAX: usize = 256;
/// The longest password.
const PASSWORD_BYTES_MAX: usize = 1024;

impl ServerSession {
    /// USER: the same 331 for every name. While somebody is logged in it starts from scratch (DESIGN §6.6).
    pub(super) fn user(&mut self, name: &[u8], now: Moment, out: &mut Actions) {
        if name.len() > USER_BYTES_MAX {
            return reply::write(&mut out.wire, Reason::TooLongArgument);
        }
        if self.profile.is_some() {
            self.log_out(now, out);
        }
        self.phase = Phase::NeedPassword { user: name.to_vec() };
        reply::write(&mut out.wire, Reason::LoginPassword);
    }

    /// PASS: 503 without USER, also for somebody who is logged in already.
    pub(super) fn pass(&mut self, password: &[u8], out: &mut Actions) {
        let Phase::NeedPassword { user } = &mut self.phase else {
            let logged_in = self.profile.is_some();
            return reply::write(
                &mut out.wire,
                if logged_in { Reason::LoggedInAlready } else { Reason::NeedUser },
            );
        };
        if password.len() > PASSWORD_BYTES_MAX {
            return reply::write(&mut out.wire, Reason::TooLongArgument);
        }
        let user = core::mem::take(user);
        let request = self.next_request();
        self.phase = Phase::Checking { request };
        out.push(Action::CheckLogin { request, user, password: Secret::new(Vec::from(password)) });
    }

    /// REIN: back to the state after the greeting.
    pub(super) fn rein(&mut self, now: Moment, out: &mut Actions) {
        self.log_out(now, out);
        reply::write(&mut out.wire, Reason::Reinitialised);
    }

    pub(super) fn login_answered(&mut self, request: RequestId, answer: LoginAnswer, out: &mut Actions) {
        if !matches!(self.phase, Phase::Checking { request: awaited } if awaited == request) {
            return;
        }
        match answer {
            LoginAnswer::Accepted(profile) => {
                let request = self.next_request();
                let (account, connections_max) = (profile.account.clone(), profile.connections_max);
                let question = GateQuestion::Login { account, connections_max };
                out.push(Action::AskGate { request, question });
                self.phase = Phase::Entering { request, profile };
            }
            LoginAnswer::Denied { ban } => {
                self.phase = Phase::NeedUser;
                self.logins_denied = self.logins_denied.saturating_add(1);
                let one_too_many = self.logins_denied >= LOGINS_DENIED_MAX;
                let last_try = one_too_many.then_some(Refusal::uncounted(Cause::LoginFailures, 1));
                match ban.or(last_try) {
                    Some(refusal) => self.refuse(&refusal, None, out),
                    None => reply::write(&mut out.wire, Reason::LoginDenied),
                }
            }
            LoginAnswer::Banned(refusal) => self.refuse(&refusal, None, out),
            LoginAnswer::Unavailable => {
                self.phase = Phase::NeedUser;
                reply::write(&mut out.wire, Reason::LoginUnavailable);
            }
        }
    }

    pub(super) fn gate_answered(
        &mut self,
        request: RequestId,
        answer: Result<(), Refusal>,
        now: Moment,
        out: &mut Actions,
    ) {
        if let Phase::Asking { pending: Pending::Place { .. }, .. } = self.phase {
            return self.place_answered(request, answer, now, out);
        }
        if !matches!(&self.phase, Phase::Entering { request: awaited, .. } if *awaited == request) {
            return;
        }
        if let Err(refusal) = answer {
            return self.refuse(&refusal, None, out);
        }
        if let Phase::Entering { profile, .. } = core::mem::replace(&mut self.phase, Phase::Ready) {
            self.profile = Some(profile);
        }
        self.timers.disarm(Deadline::Login);
        self.become_ready(now);
        reply::write(&mut out.wire, Reason::LoginDone);
    }

    /// Forgets everything the client has set and who it was.
    pub(super) fn log_out(&mut self, now: Moment, out: &mut Actions) {
        self.close_route(out);
        self.parameters = Parameters::default();
        self.cwd = VirtualPath::root();
        self.phase = Phase::NeedUser;
        self.timers.disarm(Deadline::Idle);
        if self.profile.take().is_some() {
            out.push(Action::Logout);
            self.timers.arm(Deadline::Login, now, self.settings.timeouts.login);
        }
    }
}
