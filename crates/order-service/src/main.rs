//! The order service: one binary. This crate reads the environment, picks adapters and puts them together; what the
//! service does is told by the crates that it puts together.

mod access;
mod await_database;
mod background;
mod backup;
mod cli;
mod client;
mod config;
mod connection;
mod copy;
mod counted;
mod export;
mod head_fault;
mod head_timer;
mod keys;
mod listen;
mod logging;
mod losses;
mod metrics;
mod migrate;
mod open_store;
mod operators;
mod output;
mod password_file;
#[cfg(feature = "full-tests")]
mod planted_faults;
mod print;
mod process;
mod progress;
mod rebuild;
mod relays;
mod release;
mod replica;
mod republish;
mod restore;
mod resumable;
mod secrets;
mod serve;
mod server;
mod service_manager;
mod settings_file;
mod status;
mod stop_signal;
mod store_url;
mod tail;
mod thread;
mod tls;
mod traces;
mod verify;

use std::process::ExitCode;

// For the C libraries, too: librdkafka frees on one thread what another has allocated, at which malloc of glibc is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    do_without_huge_pages();
    let code = config::read().and_then(cli::run).unwrap_or_else(|failure| {
        if let cli::Failure::Usage(_) = failure {
            // They may be why something is missing.
            config::unknown_variables().iter().for_each(|unknown| logging::warn(unknown));
        }
        // One line for each thing that is wrong, and no backtrace: these are for the person who started it.
        failure.lines().iter().for_each(|line| logging::error(&secrets::without_passwords(line)));
        failure.exit_code()
    });
    logging::flush();
    code
}

/// Memory has been reckoned up by the byte, and the allocator asks the system for huge pages. With those, 2 MiB are taken as soon as a byte
/// of them is: together, what thousands of clients have a little of each came to half as much again. A system that lets nobody say so
/// takes that much more.
fn do_without_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
