//! The stack machine that a pickle is a program for.

/// Values of a pickle, at most. A batch of CIFAR has about 20,000.
pub(super) const MAX_NODES: usize = 1 << 22;

/// What may be named: how numpy rebuilds an array.
const NAMES: [(&str, &str); 6] = [
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
];

/// A value's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Id(pub(super) usize);

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Node<'a> {
    /// `None`, and values that no batch needs: floating-point numbers.
    Other,
    /// A whole number or a truth value.
    Int(i64),
    /// Bytes; also the text of Python 2.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// A list or a tuple.
    List(Vec<Id>),
    /// A dictionary, in the order of its making.
    Dict(Vec<(Id, Id)>),
    /// A name, as "module.name".
    Name(&'static str, &'static str),
    /// A call that was not made, and what the object would have been given afterwards.
    Call {
        /// What would be called.
        function: Id,
        /// With what.
        arguments: Id,
        /// The state given to the result.
        state: Option<Id>,
    },
}

/// The machine that a pickle is a program for.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack where a list of arguments begins.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let (nodes, stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { bytes, at: 0, nodes, stack, marks, memo }
    }

    /// Runs the program to its end and returns the value that it leaves.
    pub(super) fn run(&mut self) -> Result<Id, String> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                b'.' => return self.pop(),
                // The protocol's number, and the length of a frame, say nothing that is needed.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.push(Node::Other)?,
                b'G' => {
                    self.take(8)?;
                    self.push(Node::Other)?;
                }
                0x88 => self.push(Node::Int(1))?,
                0x89 => self.push(Node::Int(0))?,
                b'K' | b'M' | b'J' | 0x8A => self.int(opcode)?,
                b'U' | b'C' | b'T' | b'B' | 0x8E | 0x96 => {
                    let length = self.length(opcode)?;
                    let bytes = self.take(length)?;
                    self.push(Node::Bytes(bytes))?;
                }
                0x8C | b'X' | 0x8D => {
                    let length = self.length(opcode)?;
                    let text =
                        std::str::from_utf8(self.take(length)?).map_err(|_utf8| "text is not UTF-8")?;
                    self.push(Node::Text(text))?;
                }
                b']' | b')' => self.push(Node::List(Vec::new()))?,
                b'}' => self.push(Node::Dict(Vec::new()))?,
                b't' | b'l' => {
                    let members = self.pop_mark()?;
                    self.push(Node::List(members))?;
                }
                0x85..=0x87 => {
                    let first = self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or(SHORT)?;
                    let members = self.stack.split_off(self.above_mark(first)?);
                    self.push(Node::List(members))?;
                }
                b'a' | b'e' => self.append(opcode)?,
                b's' | b'u' => self.set(opcode)?,
                b'q' | b'r' | 0x94 => self.remember(opcode)?,
                b'h' | b'j' => self.recall(opcode)?,
                b'0' => drop(self.pop()?),
                b'c' | 0x93 => self.name(opcode)?,
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.call(function, arguments)?;
                }
                b'b' => self.build()?,
                other => return Err(format!("operation 0x{other:02x} is not part of one")),
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("it ends too early")?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }

    /// A little-endian number of `count` bytes, at most 8.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, opcode: u8) -> Result<usize, String> {
        let bytes = match opcode {
            b'U' | b'C' | 0x8C => 1,
            0x8D | 0x8E | 0x96 => 8,
            _ => 4,
        };
        usize::try_from(self.number(bytes)?).map_err(|_large| "a length is too large".into())
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), String> {
        if self.nodes.len() == MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} values"));
        }
        self.nodes.push(node);
        self.stack.push(Id(self.nodes.len() - 1));
        Ok(())
    }

    /// A height of the stack that takes nothing from below the last mark.
    fn above_mark(&self, height: usize) -> Result<usize, String> {
        if height < self.marks.last().copied().unwrap_or(0) { Err(SHORT.into()) } else { Ok(height) }
    }

    fn pop(&mut self) -> Result<Id, String> {
        let height = self.stack.len().checked_sub(1).ok_or(SHORT)?;
        self.above_mark(height)?;
        self.stack.pop().ok_or_else(|| SHORT.into())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let height = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(height))
    }

    fn top(&mut self) -> Result<&mut Node<'a>, String> {
        let top = *self.stack.last().ok_or(SHORT)?;
        Ok(&mut self.nodes[top.0])
    }

    fn int(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'K' => self.number(1)? as i64,
            b'M' => self.number(2)? as i64,
            b'J' => i64::from(self.number(4)? as u32 as i32),
            _ => {
                let length = self.number(1)? as usize;
                if length > 8 {
                    return Err("a number is too large".into());
                }
                let value = self.number(length)?;
                // The highest bit of the highest byte is the sign.
                let unused = 64 - 8 * length as u32;
                if length == 0 { 0 } else { (value << unused) as i64 >> unused }
            }
        };
        self.push(Node::Int(value))
    }

    fn append(&mut self, opcode: u8) -> Result<(), String> {
        let members = if opcode == b'a' { vec![self.pop()?] } else { self.pop_mark()? };
        match self.top()? {
            Node::List(list) => list.extend(members),
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, opcode: u8) -> Result<(), String> {
        let members = if opcode == b's' {
            let (value, key) = (self.pop()?, self.pop()?);
            vec![key, value]
        } else {
            self.pop_mark()?
        };
        let (pairs, rest) = members.as_chunks::<2>();
        match self.top()? {
            Node::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err("it sets members of what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        let place = match opcode {
            b'q' => self.number(1)? as usize,
            b'r' => self.number(4)? as usize,
            _ => self.memo.len(),
        };
        if place >= MAX_NODES {
            return Err("it remembers too much".into());
        }
        let top = *self.stack.last().ok_or(SHORT)?;
        if place >= self.memo.len() {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), String> {
        let place = self.number(if opcode == b'h' { 1 } else { 4 })? as usize;
        let id = self.memo.get(place).copied().flatten().ok_or("it recalls what it did not remember")?;
        // The stack grows by numbers only, one for each operation.
        self.stack.push(id);
        Ok(())
    }

    fn name(&mut self, opcode: u8) -> Result<(), String> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let text = |id: Id| match &self.nodes[id.0] {
                Node::Text(text) => Ok(*text),
                _ => Err("a name is no text"),
            };
            (text(module)?, text(name)?)
        };
        match NAMES.iter().find(|known| **known == (module, name)) {
            Some((module, name)) => self.push(Node::Name(module, name)),
            None => Err(format!("it names {module:?}.{name:?}, which nothing in a batch needs")),
        }
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(256).position(|byte| *byte == b'\n').ok_or("a name does not end")?;
        let line = self.take(end + 1)?;
        std::str::from_utf8(&line[..end]).map_err(|_utf8| "a name is not UTF-8".into())
    }

    fn call(&mut self, function: Id, arguments: Id) -> Result<(), String> {
        match &self.nodes[function.0] {
            Node::Name(..) => self.push(Node::Call { function, arguments, state: None }),
            _ => Err("it calls what is no name".into()),
        }
    }

    fn build(&mut self) -> Result<(), String> {
        let given = self.pop()?;
        match self.top()? {
            Node::Call { state: state @ None, .. } => *state = Some(given),
            _ => return Err("it gives a state to what has none".into()),
        }
        Ok(())
    }
}

const SHORT: &str = "values are missing";
