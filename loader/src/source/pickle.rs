//! Python's pickle format, as far as batches of CIFAR use it. Nothing is executed.
//!
//! A pickle is a program for a small stack machine that can call anything in Python. Here, a call is only
//! written down ([`Node::Call`]), and only for the few names that rebuild a numpy array; whoever reads
//! the result sees what was meant. Every other name is an error. Source: CPython's `pickletools`.
//!
//! Values lie in one list and refer to each other by number, so that a pickle that nests a million deep,
//! or refers to itself, costs nothing but its own length.

mod machine;

pub(super) use machine::Node;
use machine::{Id, Machine};

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle of any protocol from 2 on. An error says where it is damaged, or what it holds that no batch of
    /// CIFAR does.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine::new(bytes);
        let root = machine
            .run()
            .map_err(|reason| format!("not a pickle of a CIFAR batch: {reason} at offset {}", machine.at))?;
        Ok(Self { nodes: machine.nodes, root })
    }

    /// Returns the value that was pickled.
    pub(super) fn root(&self) -> &Node<'a> {
        self.node(self.root)
    }

    /// Returns a value by its number.
    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id.0]
    }

    /// Returns what a dictionary has under `key`, written as text or bytes.
    pub(super) fn get(&self, dict: &Node<'a>, key: &str) -> Option<&Node<'a>> {
        let Node::Dict(entries) = dict else { return None };
        let found = entries.iter().find(|(name, _)| match self.node(*name) {
            Node::Bytes(bytes) => *bytes == key.as_bytes(),
            Node::Text(text) => *text == key,
            _ => false,
        });
        found.map(|(_, value)| self.node(*value))
    }

    /// Returns the members of a list or tuple.
    pub(super) fn list(&self, node: &Node<'a>) -> Option<impl ExactSizeIterator<Item = &Node<'a>>> {
        let Node::List(ids) = node else { return None };
        Some(ids.iter().map(|id| self.node(*id)))
    }

    /// Returns shape and values of a numpy array of bytes, row after row.
    pub(super) fn byte_array(&self, node: &Node<'a>) -> Option<(Vec<usize>, &'a [u8])> {
        let Node::Call { function, arguments, state } = node else { return None };
        let Node::Name(_, function) = self.node(*function) else { return None };
        let (shape, dtype, rows, values) = match (*function, state) {
            // The state of an array: version, shape, type, column order, bytes.
            ("_reconstruct", Some(state)) => {
                let parts: Vec<_> = self.list(self.node(*state))?.collect();
                let [_, shape, dtype, Node::Int(0), values] = parts[..] else { return None };
                (shape, dtype, true, values)
            }
            // Protocol 5: bytes, type, shape, order.
            ("_frombuffer", None) => {
                let parts: Vec<_> = self.list(self.node(*arguments))?.collect();
                let [values, dtype, shape, Node::Text(order)] = parts[..] else { return None };
                (shape, dtype, *order == "C", values)
            }
            _ => return None,
        };
        let Node::Bytes(values) = values else { return None };
        let shape: Option<Vec<usize>> = self
            .list(shape)?
            .map(|side| match side {
                Node::Int(side) => usize::try_from(*side).ok(),
                _ => None,
            })
            .collect();
        (rows && self.is_byte_type(dtype)).then_some(())?;
        Some((shape?, values))
    }

    /// `dtype('u1')`, with whatever else is said about it.
    fn is_byte_type(&self, node: &Node<'a>) -> bool {
        let Node::Call { function, arguments, .. } = node else { return false };
        let first = self.list(self.node(*arguments)).and_then(|mut arguments| arguments.next());
        *self.node(*function) == Node::Name("numpy", "dtype")
            && matches!(first, Some(Node::Text("u1") | Node::Bytes(b"u1")))
    }
}

#[cfg(test)]
mod tests {
    use super::machine::MAX_NODES;
    use super::*;
    use proptest::prelude::*;

    fn refused(bytes: &[u8]) -> String {
        Pickle::read(bytes).unwrap_err()
    }

    /// What numpy of 2009 wrote for `{'data': array([[1, 2], [3, 4]], dtype=uint8), 'labels': [7, 300]}`.
    const OLD: &[u8] = b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n\
        q\x04K\x00\x85q\x05U\x01b\x87q\x06Rq\x07(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x08U\x02u1q\x09K\x00K\x01\x87\
        q\x0aRq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x02\x03\x04tbU\x06labels\
        ](K\x07M\x2c\x01eu.";

    #[test]
    fn an_old_batch_is_read() {
        let pickle = Pickle::read(OLD).unwrap();
        let data = pickle.get(pickle.root(), "data").unwrap();
        assert_eq!(pickle.byte_array(data), Some((vec![2, 2], [1, 2, 3, 4].as_slice())));
        let labels = pickle.get(pickle.root(), "labels").unwrap();
        assert!(pickle.list(labels).unwrap().eq(&[Node::Int(7), Node::Int(300)]));
        assert_eq!(pickle.get(pickle.root(), "filenames"), None);
    }

    #[test]
    fn what_would_run_code_is_refused_by_name() {
        let message = refused(b"\x80\x02cos\nsystem\nU\x04true\x85R.");
        assert_eq!(
            message,
            "not a pickle of a CIFAR batch: it names \"os\".\"system\", which nothing in a batch needs at offset 13"
        );
        assert!(refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.").contains("\"builtins\".\"eval\""));
        // Operations that make objects of classes are not known at all.
        for operation in [b'i', b'o', 0x81, 0x92, b'P', b'Q', 0x82] {
            assert!(refused(&[0x80, 2, operation]).contains("is not part of one"));
        }
    }

    #[test]
    fn a_batch_cut_short_is_an_error_wherever_it_is_cut() {
        for end in 0..OLD.len() {
            assert!(Pickle::read(&OLD[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn numbers_keep_their_signs() {
        for (bytes, value) in [
            (b"\x80\x02J\xfe\xff\xff\xff.".as_slice(), -2),
            (b"\x80\x02\x8a\x00.", 0),
            (b"\x80\x02\x8a\x01\xff.", -1),
            (b"\x80\x02\x8a\x02\xff\x00.", 255),
            (b"\x80\x02\x88.", 1),
        ] {
            assert_eq!(*Pickle::read(bytes).unwrap().root(), Node::Int(value));
        }
    }

    #[test]
    fn depth_and_loops_cost_nothing() {
        // A list in a list, a million deep; dropping it must not recurse.
        let deep =
            [b"\x80\x02".to_vec(), b"]".repeat(1_000_000), b"a".repeat(999_999), b".".to_vec()].concat();
        assert!(Pickle::read(&deep).is_ok());
        // A list that holds itself.
        assert!(Pickle::read(b"\x80\x02]q\x00h\x00a.").is_ok());
        let many = [b"N".repeat(MAX_NODES + 1), b".".to_vec()].concat();
        assert!(refused(&many).contains("more than 4194304 values"));
        // A promise of more bytes than there are reserves nothing.
        assert!(refused(b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\x7f").contains("ends too early"));
    }

    proptest! {
        #[test]
        fn arbitrary_and_damaged_bytes_never_panic(noise: Vec<u8>, place in 0..OLD.len(), byte: u8) {
            drop(Pickle::read(&noise));
            let mut damaged = OLD.to_vec();
            damaged[place] = byte;
            if let Ok(pickle) = Pickle::read(&damaged) {
                drop(pickle.get(pickle.root(), "data").map(|data| pickle.byte_array(data)));
            }
        }
    }
}
