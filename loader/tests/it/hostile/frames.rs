//! HTTP/2 frames as an enemy writes them (RFC 9113, section 4.1; headers as in RFC 7541, never indexed): just
//! enough to say what no honest library would.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An integer in the low `bits` of a byte that begins with zeroes, and as many more as it needs.
fn integer(value: usize, bits: u32) -> Vec<u8> {
    let max = (1 << bits) - 1;
    if value < max {
        return vec![value as u8];
    }
    let (mut bytes, mut rest) = (vec![max as u8], value - max);
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// A header in full, which nobody is asked to remember.
pub(crate) fn header(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0x10], &*integer(name.len(), 7), name.as_bytes(), &*integer(value.len(), 7), value].concat()
}

/// The headers of a call to open a stream of batches, and `more`.
pub(crate) fn call(more: &[(&str, &[u8])]) -> Vec<u8> {
    [
        (":method", &b"POST"[..]),
        (":scheme", b"http"),
        (":path", b"/mixfeed.v1.LoaderService/StreamBatches"),
        (":authority", b"loader"),
        ("content-type", b"application/grpc"),
        ("te", b"trailers"),
    ]
    .iter()
    .chain(more)
    .flat_map(|(name, value)| header(name, value))
    .collect()
}

/// What an honest client begins with.
pub(crate) fn greeting() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// The frames in what was received, as kind, flags and stream; one that is cut short is left out.
pub(crate) fn read(mut bytes: &[u8]) -> Vec<(u8, u8, u32)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some(rest) = rest.get(length..) else { break };
        frames.push((head[3], head[4], u32::from_be_bytes(head[5..9].try_into().unwrap())));
        bytes = rest;
    }
    frames
}
