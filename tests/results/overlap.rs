//! The archive works on the next page while the one before is verified.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    archive::{TASK_RUN, args, padded},
    results::server::{PLAIN, Results},
    support::command::path,
};

/// Stands between a client and the server, and counts the bytes of the answers.
struct Relay {
    port: u16,
    answered: Arc<AtomicUsize>,
}

impl Relay {
    /// In the servers' network.
    fn start(results: &Results) -> Self {
        let listener = results.network.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let answered = Arc::<AtomicUsize>::default();
        let (counted, network) = (Arc::clone(&answered), results.network.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = network.inside(|| TcpStream::connect(("127.0.0.1", PLAIN)).unwrap());
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(client, server, &AtomicUsize::new(0)));
                let counted = Arc::clone(&counted);
                thread::spawn(move || pass(down, up, &counted));
            }
        });
        Self { port, answered }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicUsize) {
    let mut bytes = [0; 64 << 10];
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            break;
        }
        counted.fetch_add(read, Relaxed);
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Whoever reads the report stops after the first line, so that the verifier cannot go on; what the archive has answered by then is two pages of
/// the three.
#[test]
fn the_second_page_comes_while_the_first_is_still_to_be_verified() {
    let Some(results) = Results::start(false) else { return };
    results.store("default/results/r/records/one", TASK_RUN, &padded(3000));
    results.multiply("default", 3000);
    for scheme in ["grpc", "http"] {
        let relay = Relay::start(&results);
        let address = format!("{scheme}://127.0.0.1:{}", relay.port);
        let args = args(&results, &path("bundle.pem"), &address, &["--parent", "default"]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut whole = results.network.inside(|| command.spawn().unwrap());
        std::io::copy(&mut whole.stdout.take().unwrap(), &mut std::io::sink()).unwrap();
        assert!(whole.wait().unwrap().success(), "{scheme}");
        let all = relay.answered.swap(0, Relaxed);
        assert!(all > 3000 * 3000, "{scheme}: {all} bytes");

        let mut stalled = results.network.inside(|| command.spawn().unwrap());
        let mut first = [0];
        stalled.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        let start = Instant::now();
        // Some of the second page is on its way only after it was asked for.
        while relay.answered.load(Relaxed) < all / 2 {
            let answered = relay.answered.load(Relaxed);
            assert!(start.elapsed() < Duration::from_secs(60), "{scheme}: {answered} of {all} bytes");
            thread::sleep(Duration::from_millis(20));
        }
        stalled.kill().unwrap();
        stalled.wait().unwrap();
    }
}
