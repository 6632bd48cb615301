//! Whether there is a matrix unit, and its configuration.

use std::arch::asm;
use std::sync::OnceLock;

/// Whether the CPU has tiles of bf16 and the operating system lets this process use them.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_tiles() && keeps_tiles() && permits_tiles())
}

/// What CPUID says: leaf 7, AMX-BF16 and AMX-TILE. Whatever has these can round vectors to bf16 too.
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    __cpuid(0).eax >= 7 && {
        let features = __cpuid_count(7, 0).edx;
        features & (1 << 22) != 0 && features & (1 << 24) != 0 && is_x86_feature_detected!("avx512bf16")
    }
}

/// Whether the operating system saves the tiles' configuration and data when it switches threads.
fn keeps_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, _xgetbv};
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: the CPU has XGETBV where OSXSAVE is set.
    let kept = unsafe {
        #[target_feature(enable = "xsave")]
        unsafe fn kept() -> u64 {
            // SAFETY: the caller's promise.
            unsafe { _xgetbv(0) }
        }
        kept()
    };
    kept >> 17 & 0b11 == 0b11
}

/// Linux gives a process its tiles on request: they make every thread's saved state larger by 8 KiB.
#[cfg(target_os = "linux")]
fn permits_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let answer: i64;
    // SAFETY: this system call reads its two arguments and touches no memory of the process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

#[cfg(not(target_os = "linux"))]
fn permits_tiles() -> bool {
    false
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight tiles as 16 rows of 64 bytes.
static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Configured tiles, until it is dropped: a thread with tiles in use is slower to switch.
pub(crate) struct Tiles(());

impl Tiles {
    /// # Safety
    /// [`available`].
    pub(crate) unsafe fn new() -> Tiles {
        // SAFETY: the caller's promise; the configuration is whole.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly, preserves_flags))
        };
        Tiles(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles could be configured, so there are some.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}
