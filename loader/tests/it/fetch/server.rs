//! A server of one file, which answers each connection in the way that it was told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What to do with a connection.
pub(crate) enum Answer {
    /// Send what was asked for, a part too.
    Parts,
    /// Send the whole file, whatever was asked for.
    Whole,
    /// Promise the whole file, and close the connection after so many bytes.
    Cut(usize),
    /// Nothing but this status.
    Status(&'static str),
    /// Send on to the same place, for ever.
    Redirect,
    /// Say something that is no HTTP, before anything was asked.
    Garbage,
    /// Promise a terabyte.
    Huge,
}

/// The server. Its thread ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Gives these answers, one a connection; whoever comes after that finds no server.
    pub(crate) fn start<const N: usize>(file: &[u8], answers: [Answer; N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, file) = (Arc::<Mutex<Vec<String>>>::default(), file.to_vec());
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for answer in answers {
                let mut stream = listener.accept().unwrap().0;
                // A client that has heard enough goes away.
                let _ = serve(&mut stream, &listener, &file, &answer, &log);
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/archive.tar.gz", self.address)
    }

    /// The requests, each with its header fields in lower case.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    stream: &mut TcpStream,
    listener: &TcpListener,
    file: &[u8],
    answer: &Answer,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    if matches!(answer, Answer::Garbage) {
        return stream.write_all(b"220 ready when you are\r\n");
    }
    let request = read(stream)?;
    let first =
        request.split_once("range: bytes=").and_then(|(_, rest)| rest.split_once('-')?.0.parse().ok());
    log.lock().unwrap().push(request);
    let length = file.len();
    let whole =
        format!("HTTP/1.1 200 OK\r\nETag: \"one\"\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    match (answer, first) {
        (Answer::Parts, Some(first)) if first >= length => write!(
            stream,
            "HTTP/1.1 416 Range Not Satisfiable\r\nConnection: close\r\nContent-Range: bytes */{length}\r\nContent-Length: 0\r\n\r\n"
        ),
        (Answer::Parts, Some(first)) => {
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Range: bytes {first}-{}/{length}\r\nContent-Length: {}\r\n\r\n",
                length - 1,
                length - first
            )?;
            stream.write_all(&file[first..])
        }
        (Answer::Parts | Answer::Whole, _) => {
            stream.write_all(whole.as_bytes())?;
            stream.write_all(file)
        }
        (Answer::Cut(bytes), _) => {
            stream.write_all(whole.as_bytes())?;
            stream.write_all(&file[..*bytes])
        }
        (Answer::Status(status), _) => {
            write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        }
        (Answer::Redirect, _) => {
            let again =
                "HTTP/1.1 302 Found\r\nLocation: /again\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(again.as_bytes())?;
            // The client gives up after a few, each over a connection of its own.
            for _ in 0..5 {
                let mut stream = listener.accept()?.0;
                read(&mut stream)?;
                stream.write_all(again.as_bytes())?;
            }
            Ok(())
        }
        (Answer::Huge, _) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1099511627776\r\n\r\n")
        }
        (Answer::Garbage, _) => unreachable!("sent above"),
    }
}

/// A request up to its empty line, in lower case.
fn read(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut request = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        request.push_str(&line);
        request.push('\n');
    }
    Ok(request)
}
