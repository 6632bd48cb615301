//! The reference matrix product.

use crate::{Element, Gemm, Write};

/// See [`Gemm`]. Sums run over p upwards; needs no scratch.
#[inline(always)]
pub(crate) fn gemm<T: Element>(gemm: &Gemm, a: &[T], b: &[T], c: &mut [T], _scratch: &mut [T]) {
    check(gemm, a, b, c);
    for i in 0..gemm.m {
        let c = &mut c[i * gemm.c_row..][..gemm.n];
        if gemm.write == Write::Set {
            c.fill(T::ZERO);
        }
        for p in 0..gemm.k {
            let a = a[i * gemm.a[0] + p * gemm.a[1]];
            let b = &b[(p * gemm.b[0]).min(b.len())..];
            // Both are the same; a step that the compiler knows becomes vector code.
            if gemm.b[1] == 1 {
                c.iter_mut().zip(b).for_each(|(c, &b)| *c += a * b);
            } else {
                c.iter_mut().zip(b.iter().step_by(gemm.b[1].max(1))).for_each(|(c, &b)| *c += a * b);
            }
        }
    }
}

/// Names the slice that does not fit.
#[inline(always)]
pub(crate) fn check<T>(gemm: &Gemm, a: &[T], b: &[T], c: &[T]) {
    assert!(a.len() >= gemm.a_len(), "gemm: a has {} elements, {gemm:?} reaches {}", a.len(), gemm.a_len());
    assert!(b.len() >= gemm.b_len(), "gemm: b has {} elements, {gemm:?} reaches {}", b.len(), gemm.b_len());
    assert!(c.len() >= gemm.c_len(), "gemm: c has {} elements, {gemm:?} reaches {}", c.len(), gemm.c_len());
    assert!(gemm.m <= 1 || gemm.c_row >= gemm.n, "gemm: the rows of c overlap in {gemm:?}");
}
