//! A bare, blocking client: one command, one answer, and the pushes in the order in which they came.
//!
//! A test of a server must not stand on a client library that retries, pools or reorders. This one does nothing
//! but read and write, over TCP or straight on an engine.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use larder_engine::{Engine, PushSink, Reply, Session};
use parking_lot::Mutex;

use crate::Answer;

/// One connection to a server or one session on an engine.
///
/// ```
/// use larder_engine::Engine;
/// use larder_testkit::{Answer, Wire};
///
/// let mut wire = Wire::embedded(&Engine::new());
/// assert_eq!(wire.call(&["GET", "absent"]), Ok(Answer::Nil));
/// ```
#[derive(Debug)]
pub struct Wire {
    link: Link,
    pushes: Vec<Answer>,
}

#[derive(Debug)]
enum Link {
    Tcp {
        read: BufReader<TcpStream>,
        write: TcpStream,
    },
    Engine {
        session: Session,
        pushed: Arc<Pushed>,
    },
}

/// Collects what an engine pushes to a session.
#[derive(Debug, Default)]
struct Pushed(Mutex<Vec<Answer>>);

impl PushSink for Pushed {
    fn push(&self, message: Reply) -> bool {
        self.0.lock().push(message.into());
        true
    }
}

impl Wire {
    /// Connects to a server on loopback.
    ///
    /// # Panics
    /// If nothing listens there.
    #[must_use]
    pub fn tcp(port: u16) -> Self {
        let write = TcpStream::connect(("127.0.0.1", port)).expect("a server listens on this port");
        write.set_nodelay(true).expect("a TCP socket can be told not to delay");
        let read = BufReader::new(write.try_clone().expect("a socket can be cloned"));
        Self {
            link: Link::Tcp { read, write },
            pushes: Vec::new(),
        }
    }

    /// Opens a session on `engine`.
    #[must_use]
    pub fn embedded(engine: &Engine) -> Self {
        let pushed = Arc::new(Pushed::default());
        let session = engine.connect_with(pushed.clone());
        Self {
            link: Link::Engine { session, pushed },
            pushes: Vec::new(),
        }
    }

    /// Sends one command and waits for its answer. Pushes that come first are kept for [`pushes`](Self::pushes).
    ///
    /// # Errors
    /// The text of an error reply.
    ///
    /// # Panics
    /// If the connection breaks, or what arrives is not RESP.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Answer, String> {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let answer = match &mut self.link {
            Link::Tcp { read, write } => {
                write.write_all(&encode(&args)).expect("the connection stands");
                loop {
                    match decode(read).expect("the server answers in RESP") {
                        Frame::Push(push) => self.pushes.push(push),
                        Frame::Reply(answer) => break answer,
                    }
                }
            }
            Link::Engine { session, pushed } => {
                let reply = session.execute(&args);
                self.pushes.append(&mut pushed.0.lock());
                reply.into()
            }
        };
        match answer {
            Answer::Error(text) => Err(text),
            other => Ok(other),
        }
    }

    /// Everything pushed so far, each push once, in order.
    pub fn pushes(&mut self) -> Vec<Answer> {
        if let Link::Engine { pushed, .. } = &self.link {
            self.pushes.append(&mut pushed.0.lock());
        }
        std::mem::take(&mut self.pushes)
    }
}

enum Frame {
    Reply(Answer),
    Push(Answer),
}

fn encode(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn decode(read: &mut BufReader<TcpStream>) -> io::Result<Frame> {
    let mut line = Vec::new();
    read.read_until(b'\n', &mut line)?;
    let Some(text) = line
        .strip_suffix(b"\r\n")
        .and_then(|line| std::str::from_utf8(line).ok())
    else {
        return Err(io::Error::other("a line without an end, or not of text"));
    };
    let (kind, rest) = text
        .split_at_checked(1)
        .ok_or_else(|| io::Error::other("an empty line"))?;
    let answer = match kind {
        "+" | "," | "(" => Answer::Bytes(rest.as_bytes().to_vec()),
        "-" => Answer::Error(rest.to_owned()),
        ":" => Answer::Int(number(rest)?),
        "#" => Answer::Int(i64::from(rest == "t")),
        "_" => Answer::Nil,
        "$" => bulk(read, number(rest)?)?,
        "=" => match bulk(read, number(rest)?)? {
            // A format of three letters and a colon comes first.
            Answer::Bytes(bytes) => Answer::Bytes(bytes.get(4..).unwrap_or_default().to_vec()),
            other => other,
        },
        "*" | "~" | ">" => list(read, number(rest)?)?,
        "%" => list(read, number(rest)? * 2)?,
        other => return Err(io::Error::other(format!("`{other}` begins no RESP value"))),
    };
    Ok(if kind == ">" {
        Frame::Push(answer)
    } else {
        Frame::Reply(answer)
    })
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(io::Error::other)
}

fn bulk(read: &mut BufReader<TcpStream>, length: i64) -> io::Result<Answer> {
    let Ok(length) = usize::try_from(length) else {
        return Ok(Answer::Nil);
    };
    let mut bytes = vec![0; length + 2];
    read.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(Answer::Bytes(bytes))
}

fn list(read: &mut BufReader<TcpStream>, length: i64) -> io::Result<Answer> {
    let Ok(length) = usize::try_from(length) else {
        return Ok(Answer::Nil);
    };
    let items = (0..length).map(|_| match decode(read)? {
        Frame::Reply(answer) => Ok(answer),
        Frame::Push(_) => Err(io::Error::other("a push inside a reply")),
    });
    items.collect::<io::Result<_>>().map(Answer::List)
}
