//! Who may end a run: SIGINT, SIGTERM, ENTER on a terminal. The first asks, a second signal forces.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::live::Stop;

/// Signals that come closer together are one request.
const ONE_REQUEST: Duration = Duration::from_millis(25);

/// Two threads that listen while this lives.
#[derive(Debug)]
pub struct Interrupts {
    signals: Handle,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Interrupts {
    /// Listens and raises `stop`.
    ///
    /// # Errors
    /// The system refuses a signal handler or a thread.
    pub fn listen(stop: &Stop) -> io::Result<Self> {
        let signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = vec![spawn("signals", {
            let stop = stop.clone();
            move || obey(signals, &stop)
        })?];
        if io::stdin().is_terminal() {
            let (stop, over) = (stop.clone(), Arc::clone(&over));
            threads.push(spawn("enter", move || await_enter(&stop, &over))?);
        }
        Ok(Self { signals: handle, over, threads })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.signals.close();
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn obey(mut signals: Signals, stop: &Stop) {
    if signals.forever().next().is_none() {
        return;
    }
    tracing::info!("stopping: finishing what is in flight; once more to force");
    stop.request();
    // A wrapper may pass on what the whole process group was sent: one request, told twice.
    std::thread::sleep(ONE_REQUEST);
    signals.pending().for_each(drop);
    if let Some(signal) = signals.forever().next() {
        tracing::warn!("forced to end; what is in flight stays pending and is taken up by the next process");
        std::process::exit(128 + signal);
    }
}

/// Looks at the terminal four times a second, so that it can end without a key.
fn await_enter(stop: &Stop, over: &AtomicBool) {
    let glance = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
    while !over.load(Ordering::SeqCst) && !stop.is_requested() {
        let stdin = io::stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut ready, Some(&glance)) {
            Ok(0) => {}
            Ok(_) => {
                let mut line = String::new();
                // The end of the input is no ENTER: a terminal that went away stops nothing.
                if matches!(stdin.read_line(&mut line), Ok(read) if read > 0) {
                    tracing::info!("stopping: ENTER was pressed");
                    stop.request();
                }
                return;
            }
            Err(_) => return,
        }
    }
}
