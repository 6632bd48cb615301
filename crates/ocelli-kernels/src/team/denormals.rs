//! Flushing denormal numbers to zero: they cost a hundred times a normal operation and carry no information here.
#![allow(unsafe_code)]

use std::marker::PhantomData;

/// While it lives, this thread's floating-point unit treats denormal operands and results as 0.
pub(super) struct FlushDenormals {
    before: Control,
    /// The setting is the thread's, so it must not move to another.
    _thread: PhantomData<*const ()>,
}

impl FlushDenormals {
    pub(super) fn new() -> FlushDenormals {
        let before = read();
        write(before | FLUSH);
        FlushDenormals { before, _thread: PhantomData }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        write(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
type Control = u32;
/// Flush to zero (bit 15) and denormals are zero (bit 6) of MXCSR.
#[cfg(target_arch = "x86_64")]
const FLUSH: Control = 1 << 15 | 1 << 6;

#[cfg(target_arch = "x86_64")]
fn read() -> Control {
    let mut control = 0;
    // SAFETY: stores MXCSR to a local of its size; SSE is part of x86-64.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags)) };
    control
}

#[cfg(target_arch = "x86_64")]
fn write(control: Control) {
    // SAFETY: loads MXCSR from a local that holds what `read` gave, with the two flush bits changed at most;
    // rounding and exception masks stay, which is what compiled code relies on.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
type Control = u64;
/// Flush to zero (bit 24) of FPCR: operands and results alike.
#[cfg(target_arch = "aarch64")]
const FLUSH: Control = 1 << 24;

#[cfg(target_arch = "aarch64")]
fn read() -> Control {
    let control;
    // SAFETY: reads FPCR, which is accessible in user mode.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
    control
}

#[cfg(target_arch = "aarch64")]
fn write(control: Control) {
    // SAFETY: writes FPCR with what `read` gave, with the flush bit changed at most.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Control = u32;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FLUSH: Control = 0;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn read() -> Control {
    0
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn write(_control: Control) {}
