use std::ops::Range;

use ocelli_kernels::{Element, Gemm, Isa, Precision, Write};

use crate::support::{Draw, Guarded, Sum, assert_sums, destination, for_seeds, nan, tables};

#[test]
fn random_products_with_any_strides_agree_with_naive_loops() {
    for_seeds!(400, random_product);
}

fn random_product<T: Element>(draw: &mut Draw) {
    // Mostly small, sometimes thin or just beyond a tile's or block's edge.
    let mut size = || match draw.size(0, 9) {
        0..=1 => 1,
        2..=5 => draw.size(1, 20),
        6..=8 => draw.size(1, 70),
        _ => draw.size(70, 330),
    };
    let (m, n, k) = (size(), size(), size());
    let strides = |draw: &mut Draw, rows: usize, columns: usize| match draw.size(0, 4) {
        0 | 1 => [columns + draw.size(0, 3), 1],
        2 | 3 => [1, rows + draw.size(0, 3)],
        _ => [2 * columns + 1, 2],
    };
    let (a, b) = (strides(draw, m, k), strides(draw, k, n));
    let gemm = Gemm { m, n, k, of: [m, n], a, b, c_row: n + draw.size(0, 3), write: draw.write() };
    check::<T>(draw, gemm);
}

#[test]
fn products_of_the_sizes_of_small_networks_agree_with_naive_loops() {
    let mut draw = Draw::new(1);
    let sizes = [
        (784, 6, 25),
        (100, 16, 150),
        (16, 120, 400),
        (1, 120, 400),
        (1, 512, 784),
        (33, 512, 784),
        (128, 10, 84),
        (120, 400, 1),
        (6, 25, 784),
        (10, 84, 128),
        (49, 200, 600),
        // Beyond a block in each size.
        (115, 345, 400),
        (0, 3, 4),
        (3, 0, 4),
        (3, 4, 0),
    ];
    for (m, n, k) in sizes {
        for write in [Write::Set, Write::Add] {
            for (a, b) in [([k, 1], [n, 1]), ([k, 1], [1, k]), ([1, m], [n, 1]), ([1, m], [1, k])] {
                check::<f32>(&mut draw, Gemm { m, n, k, of: [m, n], a, b, c_row: n, write });
            }
        }
    }
}

#[test]
fn products_are_as_accurate_as_sums_of_fused_multiply_adds() {
    let mut draw = Draw::new(2);
    for k in [32, 100, 576, 4608] {
        let (m, n) = (48, 80);
        let (a, b) = (draw.values::<f32>(m * k), draw.values::<f32>(k * n));
        let (mut exact, mut fused) = (vec![0.0_f64; m * n], vec![0.0_f32; m * n]);
        for i in 0..m {
            for p in 0..k {
                for j in 0..n {
                    exact[i * n + j] += f64::from(a[i * k + p]) * f64::from(b[p * n + j]);
                    fused[i * n + j] = a[i * k + p].mul_add(b[p * n + j], fused[i * n + j]);
                }
            }
        }
        let error = |c: &[f32]| {
            let squares = c.iter().zip(&exact).map(|(c, exact)| (f64::from(*c) - exact).powi(2));
            (squares.sum::<f64>() / (m * n) as f64).sqrt()
        };
        // Portable code may have no fused multiply-add.
        for kernels in tables::<f32>().filter(|kernels| kernels.isa != Isa::Portable) {
            let gemm = Gemm { m, n, k, of: [m, n], a: [k, 1], b: [n, 1], c_row: n, write: Write::Set };
            let mut c = nan::<f32>(m * n);
            (kernels.gemm)(&gemm, &a, &b, &mut c, &mut nan::<f32>(gemm.scratch::<f32>()));
            let [error, bound] = [error(&c), error(&fused)];
            assert!(error <= 1.02 * bound, "{error} > {bound}, {k} terms, {:?}", kernels.isa);
        }
    }
}

#[test]
fn rows_and_columns_have_the_same_bits_however_many_are_computed_together() {
    let mut draw = Draw::new(3);
    // More rows than a product turns, and sums of several blocks.
    let (m, n) = (150, 170);
    let precisions = Isa::ALL.into_iter().flat_map(|isa| Precision::ALL.map(|precision| (isa, precision)));
    for (isa, precision) in precisions.filter(|(isa, _)| isa.available()) {
        let kernels = f32::kernels_of(isa, precision);
        for (k, of_rows) in [(40, 8), (40, 16), (1001, 16), (2500, 3), (2500, 8)] {
            let (a, b) = (draw.values::<f32>(m * k), draw.values::<f32>(k * n));
            let before = draw.values::<f32>(m * n);
            for (strides, write) in [([1, k], Write::Set), ([1, k], Write::Add), ([n, 1], Write::Add)] {
                let product = |c: &mut [f32], rows: Range<usize>, columns: Range<usize>| {
                    let [m, n_of_all] = [rows.len(), n];
                    let n = columns.len();
                    let gemm = Gemm {
                        m,
                        n,
                        k,
                        of: [of_rows, n_of_all],
                        a: [k, 1],
                        b: strides,
                        c_row: n_of_all,
                        write,
                    };
                    let c = &mut c[rows.start * n_of_all + columns.start..];
                    let (a, b) = (&a[rows.start * k..], &b[columns.start * strides[1]..]);
                    (kernels.gemm)(&gemm, a, b, c, &mut nan::<f32>(gemm.scratch::<f32>()));
                };
                let [mut whole, mut by_rows, mut by_columns] = [0; 3].map(|_| before.clone());
                product(&mut whole, 0..m, 0..n);
                for (start, end) in [(0, 3), (3, 19), (19, 100), (100, m)] {
                    product(&mut by_rows, start..end, 0..n);
                }
                for (start, end) in [(0, 2), (2, 16), (16, 112), (112, n)] {
                    product(&mut by_columns, 0..m, start..end);
                }
                let bits = |c: &[f32]| c.iter().map(|c| c.to_bits()).collect::<Vec<_>>();
                for parts in [by_rows, by_columns] {
                    assert_eq!(
                        bits(&whole),
                        bits(&parts),
                        "{k} terms, {strides:?}, {write:?}, {isa:?} {precision:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn numbers_that_are_not_finite_give_none_and_denormals_none_but_small_ones() {
    let (m, n, k) = (32, 48, 64);
    let gemm = Gemm { m, n, k, of: [m, n], a: [k, 1], b: [n, 1], c_row: n, write: Write::Set };
    let b = vec![1.0_f32; k * n];
    for kernels in tables::<f32>() {
        let row = |number: f32| {
            let mut a = vec![1.0_f32; m * k];
            a[5 * k + 40] = number;
            let mut c = nan::<f32>(m * n);
            (kernels.gemm)(&gemm, &a, &b, &mut c, &mut nan::<f32>(gemm.scratch::<f32>()));
            assert!(c.iter().enumerate().all(|(i, c)| i / n == 5 || *c == k as f32), "{:?}", kernels.isa);
            c[5 * n]
        };
        for number in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::from_bits(u32::MAX)] {
            assert!(!row(number).is_finite(), "{number}, {:?}", kernels.isa);
        }
        assert_eq!(row(f32::from_bits(3)), (k - 1) as f32, "{:?}", kernels.isa);
        assert_eq!(row(-2.5), k as f32 - 3.5, "{:?}", kernels.isa);
    }
}

fn check<T: Element>(draw: &mut Draw, gemm: Gemm) {
    let a = Guarded::new(&draw.values::<T>(gemm.a_len()));
    let b = Guarded::new(&draw.values::<T>(gemm.b_len()));
    let before = destination::<T>(draw, gemm.c_len(), gemm.write);
    for kernels in tables::<T>() {
        let mut c = Guarded::new(&before);
        (kernels.gemm)(&gemm, &a, &b, &mut c, &mut Guarded::nan(gemm.scratch::<T>()));
        for i in 0..gemm.m {
            let row = i * gemm.c_row..i * gemm.c_row + gemm.n;
            let want = naive_row(&gemm, &a, &b, &before[row.clone()], i);
            assert_sums(&c[row.clone()], &want, &|| {
                format!("row {i}, {gemm:?}, {:?}, seed {}", kernels.isa, draw.seed)
            });
            let gap = row.end..(row.start + gemm.c_row).min(c.len());
            let same = |(c, before): (&T, &T)| c == before || before.f64().is_nan();
            assert!(c[gap.clone()].iter().zip(&before[gap]).all(same), "wrote between rows: {gemm:?}");
        }
    }
}

fn naive_row<T: Element>(gemm: &Gemm, a: &[T], b: &[T], before: &[T], i: usize) -> Vec<Sum> {
    let mut row = crate::support::sums(before, gemm.write);
    for (j, sum) in row.iter_mut().enumerate() {
        for p in 0..gemm.k {
            let a = a[i * gemm.a[0] + p * gemm.a[1]].f64();
            sum.add(a * b[p * gemm.b[0] + j * gemm.b[1]].f64());
        }
    }
    row
}
