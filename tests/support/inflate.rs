//! DEFLATE (RFC 1951), decoding only: a reading of compressed messages that shares nothing with the code that wrote them.

struct Bits<'a> {
    data: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for i in 0..count {
            let byte = self.data.get(self.position / 8)?;
            value |= usize::from(byte >> (self.position % 8) & 1) << i;
            self.position += 1;
        }
        Some(value)
    }
}

/// A canonical Huffman code: how many codes of each length, and the symbols in order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Code {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        for length in 1..16 {
            let of_length = lengths.iter().enumerate().filter(|(_, l)| **l == length).map(|(symbol, _)| symbol);
            symbols.extend(of_length);
            counts[length] = lengths.iter().filter(|l| **l == length).count();
        }
        Code { counts, symbols }
    }

    fn symbol(&self, bits: &mut Bits) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// The bytes that a raw DEFLATE stream stands for; `None` if it is damaged.
pub fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits { data, position: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.position = bits.position.div_ceil(8) * 8;
                let length = bits.take(16)?;
                (bits.take(16)? == length ^ 0xffff).then_some(())?;
                let start = bits.position / 8;
                out.extend_from_slice(data.get(start..start + length)?);
                bits.position += length * 8;
            }
            1 => {
                let lengths: Vec<usize> =
                    [(8, 144), (9, 112), (7, 24), (8, 8)].iter().flat_map(|(l, n)| vec![*l; *n]).collect();
                block(&mut bits, &mut out, &Code::new(&lengths), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                block(&mut bits, &mut out, &literals, &distances)?;
            }
            _ => return None,
        }
        if last {
            return Some(out);
        }
    }
}

/// The two codes of a block that brings its own.
fn codes(bits: &mut Bits) -> Option<(Code, Code)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances, lengths) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    let mut of_lengths = [0; 19];
    for place in &ORDER[..lengths] {
        of_lengths[*place] = bits.take(3)?;
    }
    let of_lengths = Code::new(&of_lengths);
    let mut all = Vec::new();
    while all.len() < literals + distances {
        let (value, times) = match of_lengths.symbol(bits)? {
            16 => (*all.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        all.extend(std::iter::repeat_n(value, times));
    }
    Some((Code::new(&all[..literals]), Code::new(&all[literals..])))
}

fn block(bits: &mut Bits, out: &mut Vec<u8>, literals: &Code, distances: &Code) -> Option<()> {
    loop {
        match literals.symbol(bits)? {
            symbol @ 0..256 => out.push(symbol as u8),
            256 => return Some(()),
            symbol => {
                let length = match symbol - 257 {
                    n @ 0..8 => n + 3,
                    28 => 258,
                    n => {
                        let extra = (n - 4) / 4;
                        ((n % 4 + 4) << extra) + 3 + bits.take(extra)?
                    }
                };
                let distance = match distances.symbol(bits)? {
                    n @ 0..4 => n + 1,
                    n => {
                        let extra = (n - 2) / 2;
                        ((n % 2 + 2) << extra) + 1 + bits.take(extra)?
                    }
                };
                let start = out.len().checked_sub(distance)?;
                for i in start..start + length {
                    out.push(out[i]);
                }
            }
        }
    }
}
