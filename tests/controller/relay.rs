//! A connection that can be cut: what real servers do not do at will.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// Hands on bytes between whoever connects to it and a server.
pub(crate) struct Relay {
    pub(crate) address: String,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// How often connections were silenced.
    silenced: Arc<AtomicUsize>,
}

/// Hands on bytes until the connection ends, or is silenced: then it stays open.
fn hand_on(mut from: TcpStream, mut to: TcpStream, silenced: Arc<AtomicUsize>) {
    let (begun, mut bytes) = (silenced.load(Relaxed), [0; 8192]);
    thread::spawn(move || {
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if silenced.load(Relaxed) != begun {
                return;
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

impl Relay {
    pub(crate) fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_cut, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let silenced = Arc::new(AtomicUsize::new(0));
        let of_thread = Arc::clone(&silenced);
        let relay = Self { address, is_cut: Arc::clone(&is_cut), open: Arc::clone(&open), silenced };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(onward) = TcpStream::connect(&server) else { continue };
                if is_cut.load(Relaxed) {
                    continue;
                }
                open.lock().unwrap().extend([stream.try_clone().unwrap(), onward.try_clone().unwrap()]);
                let (from, to) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
                hand_on(from, to, Arc::clone(&of_thread));
                hand_on(onward, stream, Arc::clone(&of_thread));
            }
        });
        relay
    }

    /// Ends all connections, and admits no other.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Relaxed);
        self.end_connections();
    }

    /// Ends all connections, as a server does that wants them made again.
    pub(crate) fn end_connections(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connections that there are hand on nothing any more, as if the other end were gone; others do.
    pub(crate) fn silence(&self) {
        self.silenced.fetch_add(1, Relaxed);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Relaxed);
    }
}
