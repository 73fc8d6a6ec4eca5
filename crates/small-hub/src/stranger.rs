use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

/// How often a connection that hears nothing looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// What a [`Stranger`] answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// 404, and no more.
    NotFound,
    /// Headers, for ever.
    EndlessHeaders,
    /// "100 Continue", for ever.
    EndlessContinue,
}

/// A server that is no Hub: it keeps every byte that arrives, and answers badly. What must reach nobody else must not
/// be among what it has heard.
pub struct Stranger {
    url: String,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    heard: Mutex<Vec<u8>>,
    sent: AtomicU64,
    over: AtomicBool,
}

impl Stranger {
    pub fn start(says: Says) -> Result<Stranger> {
        let tcp = TcpListener::bind("127.0.0.1:0").map_err(Error::Listen)?;
        let url = format!("http://{}", tcp.local_addr().map_err(Error::Listen)?);
        let kept = Arc::new(Kept::default());
        let shared = kept.clone();
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                // A connection that breaks is the client's wish.
                std::thread::spawn(move || serve(stream, says, &shared).ok());
            }
        });
        Ok(Stranger { url, kept })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that has arrived, of all connections.
    pub fn heard(&self) -> String {
        let heard = self.kept.heard.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Bytes that clients have let it send.
    pub fn sent(&self) -> u64 {
        self.kept.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.kept.over.store(true, Ordering::Relaxed);
        // The listener waits for a connection, and ends at this one.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(mut stream: TcpStream, says: Says, kept: &Kept) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LOOK))?;
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if !hear(&mut stream, &mut request, kept)? {
            return Ok(());
        }
    }
    let mut send = |text: &str| {
        stream.write_all(text.as_bytes())?;
        kept.sent.fetch_add(text.len() as u64, Ordering::Relaxed);
        Ok::<_, std::io::Error>(())
    };
    let (start, more) = match says {
        Says::NotFound => ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", None),
        Says::EndlessHeaders => {
            ("HTTP/1.1 200 OK\r\n", Some(format!("x-more: {}\r\n", "a".repeat(1000)).repeat(60)))
        }
        Says::EndlessContinue => ("", Some("HTTP/1.1 100 Continue\r\n\r\n".repeat(100))),
    };
    send(start)?;
    while let Some(more) = more.as_ref().filter(|_| !kept.over.load(Ordering::Relaxed)) {
        send(more)?;
        if says == Says::EndlessContinue {
            // Enough to keep a client waiting, and not so much that its machine is busy with nothing else.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // The rest of the request is heard as well.
    while hear(&mut stream, &mut request, kept)? {}
    Ok(())
}

/// Whether the connection is still there, after hearing what has come.
fn hear(stream: &mut TcpStream, request: &mut Vec<u8>, kept: &Kept) -> std::io::Result<bool> {
    let mut piece = [0; 8192];
    match stream.read(&mut piece) {
        Ok(0) => Ok(false),
        Ok(count) => {
            request.extend_from_slice(&piece[..count]);
            kept.heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..count]);
            Ok(true)
        }
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
        {
            Ok(!kept.over.load(Ordering::Relaxed))
        }
        Err(error) => Err(error),
    }
}
