//! The connections to one of the two servers.

use std::{
    io::{BufReader, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::{
    frame::Frame,
    step::{Client, Step},
};

/// A server that has not answered for so long will not.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// One server as the clients of a sequence see it.
pub(crate) struct Peer {
    port: u16,
    clients: [Link; Client::COUNT],
    /// Looks after those who wait.
    control: Link,
}

struct Link {
    read: BufReader<TcpStream>,
    write: TcpStream,
    broken: bool,
    /// As `CLIENT ID` answered, of one who may wait.
    id: Option<String>,
}

impl Peer {
    pub(crate) fn connect(port: u16) -> Self {
        Self {
            port,
            clients: std::array::from_fn(|_| Link::connect(port)),
            control: Link::connect(port),
        }
    }

    /// Connects anew, as a client without history.
    pub(crate) fn reconnect(&mut self, client: Client) {
        self.clients[client as usize] = Link::connect(self.port);
    }

    /// The replies to these steps, in order. Neighbours of the same client go out in one write.
    pub(crate) fn run(&mut self, steps: &[&Step]) -> Vec<Frame> {
        let runs = steps.chunk_by(|a, b| a.client == b.client);
        runs.flat_map(|run| self.run_one(run[0].client, run)).collect()
    }

    /// Steps of one client. After `QUIT`, or if the server closed the connection, it connects anew.
    fn run_one(&mut self, client: Client, steps: &[&Step]) -> Vec<Frame> {
        if client.may_wait() {
            let link = &mut self.clients[client as usize];
            return steps.iter().map(|step| link.wait(step, &mut self.control)).collect();
        }
        let mut frames = Vec::new();
        for part in steps.split_inclusive(|step| quits(step)) {
            let link = &mut self.clients[client as usize];
            frames.extend(link.run(part));
            if link.broken || part.last().is_some_and(|step| quits(step)) {
                self.reconnect(client);
            }
        }
        frames
    }

    /// The reply to one command of the first client.
    pub(crate) fn call(&mut self, args: &[&[u8]]) -> Frame {
        let link = &mut self.clients[Client::Main as usize];
        link.send(&encode(args));
        link.receive()
    }
}

impl Link {
    fn connect(port: u16) -> Self {
        let write = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        write.set_nodelay(true).expect("a TCP socket has this option");
        write
            .set_read_timeout(Some(ANSWER_DEADLINE))
            .expect("a TCP socket has this option");
        let read = BufReader::new(write.try_clone().expect("a socket can be cloned"));
        Self {
            read,
            write,
            broken: false,
            id: None,
        }
    }

    fn run(&mut self, steps: &[&Step]) -> Vec<Frame> {
        if steps[0].client == Client::Listener {
            return steps.iter().map(|step| self.listen(step)).collect();
        }
        let requests: Vec<u8> = steps.iter().flat_map(|step| encode(&step.args)).collect();
        self.send(&requests);
        steps.iter().map(|_| self.receive()).collect()
    }

    /// Sends a command that may wait, until it is answered or waits indeed. `ENDWAIT` stands for the end of that.
    fn wait(&mut self, step: &Step, control: &mut Self) -> Frame {
        let id = match self.id.clone() {
            Some(id) => id,
            None => {
                self.send(&encode(&["CLIENT", "ID"]));
                let id = self.receive().int().expect("a client has an id").to_string();
                self.id.insert(id).clone()
            }
        };
        if step.args[0].eq_ignore_ascii_case(b"ENDWAIT") {
            let reason = step.args.get(1).map_or(&b"TIMEOUT"[..], Vec::as_slice);
            control.ask(&[b"CLIENT", b"UNBLOCK", id.as_bytes(), reason]);
            return self.listen_for(Vec::new());
        }
        self.send(&encode(&step.args));
        while !self.has_answer() {
            let told = control.ask(&[b"CLIENT", b"LIST", b"ID", id.as_bytes()]);
            let told = String::from_utf8_lossy(told.bytes().expect("a line about a client")).into_owned();
            let flags = told.split(" flags=").nth(1).and_then(|rest| rest.split(' ').next());
            if flags.is_some_and(|flags| flags.contains('b')) {
                return Frame::Line(b'+', b"waits".to_vec());
            }
        }
        self.receive()
    }

    fn ask(&mut self, args: &[&[u8]]) -> Frame {
        self.send(&encode(args));
        self.receive()
    }

    /// Whether something arrived that was not yet read.
    fn has_answer(&self) -> bool {
        if self.broken || !self.read.buffer().is_empty() {
            return true;
        }
        self.write.set_nonblocking(true).expect("a TCP socket has this option");
        let arrived = self.write.peek(&mut [0]).is_ok();
        self.write.set_nonblocking(false).expect("a TCP socket has this option");
        arrived
    }

    /// Everything that arrives until the answer to a `PING` sent behind this step: subscriptions answer several
    /// times, and messages come unasked.
    fn listen(&mut self, step: &Step) -> Frame {
        self.listen_for(encode(&step.args))
    }

    fn listen_for(&mut self, mut request: Vec<u8>) -> Frame {
        const MARK: &[u8] = b"end of step";
        request.extend(encode(&[b"PING", MARK]));
        self.send(&request);
        let mut frames = Vec::new();
        loop {
            let frame = self.receive();
            if self.broken {
                return frame;
            }
            let mark = |frame: &Frame| frame.bytes() == Some(MARK);
            if mark(&frame) || frame.items().is_some_and(|items| items.len() == 2 && mark(&items[1])) {
                return Frame::List(b'*', frames);
            }
            frames.push(frame);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.broken |= self.write.write_all(bytes).is_err();
    }

    /// The next reply; one of its own kind if there will be none.
    fn receive(&mut self) -> Frame {
        if !self.broken {
            match Frame::read(&mut self.read) {
                Ok(frame) => return frame,
                Err(_) => self.broken = true,
            }
        }
        Frame::Line(b'!', b"the connection is closed".to_vec())
    }
}

fn quits(step: &Step) -> bool {
    step.args[0].eq_ignore_ascii_case(b"QUIT")
}

fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args.iter().map(AsRef::as_ref) {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}
