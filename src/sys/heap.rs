//! The heap of a program that lives for milliseconds and has one thread: what is given back is kept for the next of its
//! size, and nothing is looked up, locked or returned to the kernel. The allocator of the C library makes about a
//! hundred system calls where this makes one or two, and a third of all instructions of `create`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

const STEP: usize = 16;
/// Above this, sizes are powers of two.
const SMALL_MAX: usize = 512;
const SMALL_CLASSES: usize = SMALL_MAX / STEP;
/// Above this, the C library's own.
const LARGE_MAX: usize = 64 << 10;
const CLASSES: usize = SMALL_CLASSES + (LARGE_MAX / SMALL_MAX).ilog2() as usize;
const CHUNK: usize = 128 << 10;

/// To be the `#[global_allocator]` of a program without threads.
#[derive(Debug)]
pub struct Heap {
    state: UnsafeCell<State>,
}

#[derive(Debug)]
struct State {
    /// What is left of the last chunk.
    next: usize,
    end: usize,
    /// By class: what was given back, each with the address of the one before in its first bytes.
    free: [Option<NonNull<Free>>; CLASSES],
}

#[derive(Debug)]
struct Free {
    below: Option<NonNull<Free>>,
}

// SAFETY: the program that has this as its allocator has one thread (tests/walls.rs), and no signal handlers.
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new() -> Heap {
        Heap { state: UnsafeCell::new(State { next: 0, end: 0, free: [None; CLASSES] }) }
    }
}

impl Default for Heap {
    fn default() -> Self {
        Heap::new()
    }
}

/// The class of a size and alignment, and what it takes. None: not ours.
fn class(layout: Layout) -> Option<(usize, usize)> {
    if layout.align() > STEP || layout.size() > LARGE_MAX {
        return None;
    }
    if layout.size() <= SMALL_MAX {
        let class = layout.size().saturating_sub(1) / STEP;
        return Some((class, (class + 1) * STEP));
    }
    let size = layout.size().next_power_of_two();
    Some((SMALL_CLASSES - 1 + (size / SMALL_MAX).ilog2() as usize, size))
}

impl State {
    fn take(&mut self, class: usize, size: usize) -> *mut u8 {
        if let Some(block) = self.free[class] {
            // SAFETY: a block that was given back is nobody's, and begins with a Free (see `put`).
            self.free[class] = unsafe { block.as_ref() }.below;
            return block.as_ptr().cast();
        }
        if self.end - self.next < size && !self.refill() {
            return std::ptr::null_mut();
        }
        let block = self.next;
        self.next += size;
        std::ptr::with_exposed_provenance_mut(block)
    }

    fn put(&mut self, class: usize, block: NonNull<Free>) {
        // SAFETY: the block is ours again, aligned to STEP and at least as large as a Free.
        unsafe { block.write(Free { below: self.free[class] }) };
        self.free[class] = Some(block);
    }

    fn refill(&mut self) -> bool {
        let Ok(layout) = Layout::from_size_align(CHUNK, STEP) else { return false };
        // SAFETY: the size is not zero.
        let chunk = unsafe { System.alloc(layout) };
        if chunk.is_null() {
            return false;
        }
        self.next = chunk.expose_provenance();
        self.end = self.next + CHUNK;
        true
    }
}

// SAFETY: a block is given out once until it comes back, is as large as its class, and aligned to STEP; what `class`
// does not take is the system's, and the same layout tells at the end whose it was.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            // SAFETY: one thread, and nothing below calls back.
            Some((class, size)) => unsafe { &mut *self.state.get() }.take(class, size),
            // SAFETY: our caller's promise is the system's.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match (class(layout), NonNull::new(block.cast())) {
            // SAFETY: one thread, and nothing below calls back.
            (Some((class, _)), Some(block)) => unsafe { &mut *self.state.get() }.put(class, block),
            // SAFETY: our caller's promise is the system's.
            _ => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: our caller has seen to it that the size does not overflow when it is rounded up.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(new)) {
            (Some(old), Some(new)) if old == new => block,
            // SAFETY: our caller's promise is the system's.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            _ => {
                // SAFETY: both blocks are as large as what is copied, and the new one is nobody's yet.
                unsafe {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn a_class_holds_its_sizes() {
        let mut last = 0;
        for size in 1..=LARGE_MAX {
            let (class, room) = class(layout(size, 8)).unwrap();
            assert!(room >= size && class < CLASSES && (class == last || class == last + 1), "{size}");
            last = class;
        }
        assert_eq!(last, CLASSES - 1);
        assert!(class(layout(LARGE_MAX + 1, 8)).is_none());
        assert!(class(layout(8, 32)).is_none());
    }

    #[test]
    fn blocks_do_not_overlap_and_keep_what_is_in_them() {
        let heap = Heap::new();
        let mut blocks: Vec<(*mut u8, usize, u8)> = Vec::new();
        for round in 0..4000_usize {
            let size = (round * 7919) % 3000 + 1;
            let fill = (round % 251) as u8;
            // SAFETY: each block is given back once, with its layout, and read and written within its size.
            unsafe {
                let block = heap.alloc(layout(size, 8));
                assert!(block.addr().is_multiple_of(STEP));
                block.write_bytes(fill, size);
                blocks.push((block, size, fill));
                if round % 3 == 0 {
                    let (block, size, fill) = blocks.swap_remove((round * 31) % blocks.len());
                    assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == fill));
                    heap.dealloc(block, layout(size, 8));
                }
                if round % 5 == 4 && !blocks.is_empty() {
                    let at = (round * 17) % blocks.len();
                    let (block, size, fill) = blocks[at];
                    let new = (round * 101) % 90_000 + 1;
                    let moved = heap.realloc(block, layout(size, 8), new);
                    assert!(std::slice::from_raw_parts(moved, size.min(new)).iter().all(|byte| *byte == fill));
                    moved.write_bytes(fill, new);
                    blocks[at] = (moved, new, fill);
                }
            }
        }
        for (block, size, fill) in blocks {
            // SAFETY: as above.
            unsafe {
                assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == fill));
                heap.dealloc(block, layout(size, 8));
            }
        }
    }

    #[test]
    fn what_is_given_back_is_given_out_again() {
        let heap = Heap::new();
        // SAFETY: as above.
        unsafe {
            let first = heap.alloc(layout(100, 8));
            heap.dealloc(first, layout(100, 8));
            assert_eq!(heap.alloc(layout(112, 16)), first);
            assert_eq!(heap.realloc(first, layout(112, 16), 97), first);
        }
    }
}
