//! `tidegate sessions --watch`: the live view on a terminal. Three threads feed one channel: keys, the server's news, signals; the
//! model takes them in and is drawn.

mod draw;
mod model;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tidegate_admin::Client;
use tidegate_admin::message::{KickAnswer, Request, Status};
use tokio::signal::unix::{SignalKind, signal};

use super::{Done, Trouble, connect, sessions};
use crate::args::ServerArgs;
use crate::{Exit, console};
use draw::draw;
use model::{Effect, Input, Model, News};

/// How often the server is asked.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// In how many seconds the client of a session that is ended here may come back.
const KICK_RETRY_SECS: u32 = 1;

/// Shows the sessions until the user or a signal ends it; the terminal is left as it was.
pub(super) fn run(client: Client, server: &ServerArgs) -> Done {
    if let (0, _) | (_, 0) = ratatui::crossterm::terminal::size().map_err(|error| failed(&error))? {
        return Err(Trouble::new(
            Exit::Failed,
            "the terminal does not say how large it is",
            "tell it with `stty rows 24 cols 80`, or leave out --watch",
        ));
    }
    let (inputs, received) = channel();
    let (orders, ordered) = channel();
    watch_signals(inputs.clone()).map_err(|error| failed(&error))?;
    let screen = Screen::enter().map_err(|error| failed(&error))?;
    let keys = inputs.clone();
    std::thread::spawn(move || forward_keys(&keys));
    let server = server.clone();
    std::thread::spawn(move || ask_server(client, &server, &ordered, &inputs));
    show(screen, &received, &orders).map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Trouble {
    Trouble::new(
        Exit::Failed,
        format!("cannot use the terminal: {error}"),
        "`tidegate sessions` without --watch needs none",
    )
}

/// The alternate screen of the terminal in raw mode; dropping it leaves both, a panic does too.
struct Screen(DefaultTerminal);

impl Screen {
    fn enter() -> io::Result<Self> {
        // Sets a panic hook that restores the terminal before the message is written.
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // It may have got half way; the first error tells more.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing is left to be tried.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

fn show(mut screen: Screen, inputs: &Receiver<Input>, orders: &Sender<u64>) -> io::Result<()> {
    let mut model = Model::new(console::may_colour());
    loop {
        screen.0.draw(|frame| draw(frame, &model))?;
        let Ok(input) = inputs.recv() else { return Ok(()) };
        match model.take(input) {
            Effect::None => {}
            Effect::Quit => return Ok(()),
            // The thread is there as long as this one.
            Effect::Kick(id) => drop(orders.send(id)),
        }
    }
}

/// Turns keys and changes of size into inputs until nobody listens or the terminal is gone.
fn forward_keys(inputs: &Sender<Input>) {
    loop {
        let input = match event::read() {
            Ok(Event::Key(key)) => Input::Key(key),
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(_) => Input::Stop,
        };
        let is_last = matches!(input, Input::Stop);
        if inputs.send(input).is_err() || is_last {
            return;
        }
    }
}

/// Asks for news each second, and ends the sessions it is told to.
fn ask_server(client: Client, server: &ServerArgs, orders: &Receiver<u64>, inputs: &Sender<Input>) {
    let mut client = Some(client);
    loop {
        let news = news(&mut client, server);
        if inputs.send(Input::News(Box::new(news))).is_err() {
            return;
        }
        match orders.recv_timeout(EVERY) {
            Ok(id) => {
                let done = kick(&mut client, server, id);
                if inputs.send(Input::Kicked(id, done)).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Asks how the server is and who is inside. A connection that broke is made anew the next time.
fn news(client: &mut Option<Client>, server: &ServerArgs) -> Result<News, String> {
    with(client, server, |client| {
        let status: Status = client.call(&Request::Status {})?;
        Ok(News { status, sessions: sessions::fetch(client)? })
    })
}

fn kick(client: &mut Option<Client>, server: &ServerArgs, id: u64) -> Result<(), String> {
    with(client, server, |client| {
        let _: KickAnswer = client.call(&Request::Kick { id, retry: KICK_RETRY_SECS })?;
        Ok(())
    })
}

fn with<T>(
    client: &mut Option<Client>,
    server: &ServerArgs,
    work: impl FnOnce(&mut Client) -> Result<T, tidegate_admin::ClientError>,
) -> Result<T, String> {
    let mut open = match client.take() {
        Some(open) => open,
        None => connect(server).map_err(|trouble| trouble.words().0)?,
    };
    let done = work(&mut open);
    // After an answer, also one that says no, the connection is in order.
    if matches!(done, Ok(_) | Err(tidegate_admin::ClientError::Refused(_))) {
        *client = Some(open);
    }
    done.map_err(|error| error.to_string())
}

/// Ends the view on SIGTERM, SIGINT and SIGHUP, in order.
fn watch_signals(inputs: Sender<Input>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt, mut hangup) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        // Nobody listens when the view has ended already.
        let _ = inputs.send(Input::Stop);
    });
    Ok(())
}
