//! xz, whose blocks are unpacked side by side, each straight into its place.
//!
//! The format: Collin and others, "The .xz File Format", version 1.2.0. A stream is a header, blocks, an index of their
//! sizes, and a footer that says where the index begins.

use std::io::{self, BufReader, Error, ErrorKind, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Crc;
use lzma_rust2::XzReader;

/// Bytes of a stream's header, and of its footer.
const HEADER: u64 = 12;

/// The most memory for the window of a block, in KiB: twice and more what xz's strongest preset takes.
pub(super) const MOST_WINDOW: u32 = 192 << 10;

/// The longest index that is read: 2 million blocks and more.
const MOST_INDEX: u64 = 1 << 25;

/// Reads parts of a file: `read(offset, bytes)` fills `bytes`.
pub(super) trait ReadAt: Sync {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
}

/// Where the blocks of a file lie that is one xz stream.
#[derive(Debug)]
pub(super) struct Stream {
    header: [u8; HEADER as usize],
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    offset: u64,
    /// Its own bytes; padding to a multiple of 4 follows.
    unpadded: u64,
    unpacked: u64,
}

impl Block {
    fn padded(self) -> u64 {
        self.unpadded.next_multiple_of(4)
    }
}

impl Stream {
    /// Reads header, footer and index of a file of `length` bytes; `None` where it is not one whole stream, but several, or
    /// damaged: a reader from front to back tells then.
    pub(super) fn of(file: &impl ReadAt, length: u64) -> Option<Stream> {
        let mut header = [0; HEADER as usize];
        let mut footer = [0; HEADER as usize];
        file.read(0, &mut header).ok()?;
        file.read(length.checked_sub(HEADER)?, &mut footer).ok()?;
        let backward = u32::from_le_bytes([footer[4], footer[5], footer[6], footer[7]]);
        let index_length = (u64::from(backward) + 1) * 4;
        if index_length > MOST_INDEX {
            return None;
        }
        let index_start = length.checked_sub(HEADER + index_length)?;
        let mut index = vec![0; index_length as usize];
        file.read(index_start, &mut index).ok()?;
        let blocks = blocks(&index)?;
        let end = blocks.last().map_or(HEADER, |last| last.offset.saturating_add(last.padded()));
        let whole = footer[..] == footer_of(index_length as usize, [header[6], header[7]])[..];
        (whole && end == index_start).then_some(Stream { header, blocks })
    }

    /// Bytes when unpacked; `None` beyond what can be counted.
    pub(super) fn unpacked(&self) -> Option<u64> {
        self.blocks.iter().try_fold(0u64, |sum, block| sum.checked_add(block.unpacked))
    }

    /// Unpacks `file` into `out`, which has [`Stream::unpacked`] bytes.
    pub(super) fn unpack(&self, file: &impl ReadAt, out: &mut [u8]) -> io::Result<()> {
        let mut rest = out;
        let mut work = Vec::with_capacity(self.blocks.len());
        for &block in &self.blocks {
            let (own, after) = rest.split_at_mut(block.unpacked as usize);
            work.push(Mutex::new((block, own)));
            rest = after;
        }
        let next = AtomicUsize::new(0);
        let share = || -> io::Result<()> {
            while let Some(item) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut item = item.lock().expect("invariant: each block is taken once");
                let (block, own) = &mut *item;
                self.unpack_block(file, *block, own)?;
            }
            Ok(())
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(work.len());
        std::thread::scope(|scope| {
            // A decoder's panic is the file's fault, whichever thread takes the block.
            let shares: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
            let panicked =
                |_| Err(Error::new(ErrorKind::InvalidData, "a block that its decoder does not expect"));
            shares.into_iter().map(|share| share.join().unwrap_or_else(panicked)).fold(Ok(()), Result::and)
        })
    }

    /// A block as a stream of its own, which the decoder takes with all its checks.
    fn unpack_block(&self, file: &impl ReadAt, block: Block, out: &mut [u8]) -> io::Result<()> {
        let index = index_of(block);
        let footer = footer_of(index.len(), [self.header[6], self.header[7]]);
        let packed = Packed { file, next: block.offset, left: block.padded() };
        let packed = BufReader::with_capacity(PIECE, packed);
        let stream = self.header.chain(packed).chain(&index[..]).chain(&footer[..]);
        let mut reader = XzReader::new_mem_limit(stream, false, MOST_WINDOW);
        reader.read_exact(out)?;
        match reader.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(Error::new(ErrorKind::InvalidData, "a block of another size than the index says")),
        }
    }
}

/// Bytes of a block that are read at a time.
const PIECE: usize = 1 << 16;

/// Some bytes of a file, from front to back.
struct Packed<'a, F> {
    file: &'a F,
    next: u64,
    left: u64,
}

impl<F: ReadAt> Read for Packed<'_, F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.left.min(bytes.len() as u64) as usize;
        self.file.read(self.next, &mut bytes[..count])?;
        (self.next, self.left) = (self.next + count as u64, self.left - count as u64);
        Ok(count)
    }
}

/// The records of an index, whose checksum is right.
fn blocks(index: &[u8]) -> Option<Vec<Block>> {
    let (content, checksum) = index.split_last_chunk::<4>()?;
    if crc(content) != *checksum {
        return None;
    }
    let mut rest = content.strip_prefix(&[0])?;
    let records = number(&mut rest)?;
    let mut offset = HEADER;
    let mut blocks = Vec::new();
    for _ in 0..records {
        let block = Block { offset, unpadded: number(&mut rest)?, unpacked: number(&mut rest)? };
        // No block is shorter, and none so long that sums overflow.
        if block.unpadded < 5 || block.unpadded > 1 << 62 {
            return None;
        }
        offset = offset.checked_add(block.padded())?;
        blocks.push(block);
    }
    rest.iter().all(|&b| b == 0).then_some(blocks)
}

/// An index of one block.
fn index_of(block: Block) -> Vec<u8> {
    let mut index = vec![0, 1];
    put(&mut index, block.unpadded);
    put(&mut index, block.unpacked);
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(crc(&index));
    index
}

/// The footer after an index of so many bytes.
fn footer_of(index_length: usize, flags: [u8; 2]) -> Vec<u8> {
    let mut content = ((index_length / 4 - 1) as u32).to_le_bytes().to_vec();
    content.extend(flags);
    [&crc(&content)[..], &content, b"YZ"].concat()
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// A number in groups of 7 bits, the lowest first; the top bit says that more follow.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for group in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
