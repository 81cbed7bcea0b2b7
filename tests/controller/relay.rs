//! A connection that can be cut: what real servers do not do at will.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

/// Hands on bytes between whoever connects to it and a server.
pub(crate) struct Relay {
    pub(crate) address: String,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    pub(crate) fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_cut, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let relay = Self { address, is_cut: Arc::clone(&is_cut), open: Arc::clone(&open) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(onward) = TcpStream::connect(&server) else { continue };
                if is_cut.load(Relaxed) {
                    continue;
                }
                open.lock().unwrap().extend([stream.try_clone().unwrap(), onward.try_clone().unwrap()]);
                let (mut from, mut to) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                thread::spawn(move || {
                    let (mut from, mut to) = (onward, stream);
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
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

    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Relaxed);
    }
}
