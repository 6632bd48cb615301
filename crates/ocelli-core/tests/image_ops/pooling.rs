//! Pooling: PyTorch's shapes and values worked out by hand, refusals and files.

use ocelli_core::Op;
use ocelli_core::ops::{AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d};

use crate::single::{Single, assert_close, counting, refusal};

#[test]
fn output_sizes_are_those_of_pytorch() {
    let rows = |op: Op, input: usize| Single::new([1, input, input], op).shape()[1];
    assert_eq!(rows(MaxPool2d::new(2).into(), 5), 2);
    assert_eq!(rows(MaxPool2d::new(2).ceil_mode().into(), 5), 3);
    assert_eq!(rows(MaxPool2d::new(3).stride(2).into(), 55), 27);
    assert_eq!(rows(MaxPool2d::new(3).stride(2).padding(1).into(), 112), 56);
    assert_eq!(rows(MaxPool2d::new(3).stride(2).ceil_mode().into(), 112), 56);
    assert_eq!(rows(AvgPool2d::new(3).stride(2).padding(1).ceil_mode().into(), 4), 3);
    // A third window would start at row 3, in the padding below the image.
    assert_eq!(rows(MaxPool2d::new(2).padding(1).ceil_mode().into(), 3), 2);
    // A window that hangs over is one that starts inside.
    assert_eq!(rows(AvgPool2d::new(3).stride(2).ceil_mode().into(), 2), 1);
}

#[test]
fn the_maximum_takes_the_gradient() {
    let layer = Single::new([1, 4, 4], MaxPool2d::new(3).stride(2).padding(1).ceil_mode());
    let y = layer.forward(&counting(16));
    assert_eq!(y, [6.0, 8.0, 8.0, 14.0, 16.0, 16.0, 14.0, 16.0, 16.0]);
    let dx = layer.gradients(&counting(16), &counting(9)).input;
    let expected = [(5, 1.0), (7, 2.0 + 3.0), (13, 4.0 + 7.0), (15, 5.0 + 6.0 + 8.0 + 9.0)];
    let mut all = [0.0; 16];
    expected.iter().for_each(|&(at, g)| all[at] = g);
    assert_close(&dx, &all);
}

#[test]
fn padding_never_wins_and_the_first_of_equals_does() {
    let layer = Single::new([2, 2, 2], MaxPool2d::new([2, 3]).stride(2).padding([0, 1]));
    let x = [-3.0, -1.0, -2.0, -1.0, 5.0, 5.0, 5.0, 5.0];
    assert_eq!(layer.forward(&x), [-1.0, 5.0]);
    assert_close(&layer.gradients(&x, &[1.0, 1.0]).input, &[0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_mean_counts_the_padding_unless_told_otherwise_and_never_what_hangs_over_it() {
    let pool = AvgPool2d::new(3).stride(2).padding(1).ceil_mode();
    let counted = Single::new([1, 4, 4], pool.clone()).forward(&counting(16));
    let ninth = |sum: f64| sum / 9.0;
    let row = |a: f64, b: f64, c: f64| [a, b, c];
    let rows = [row(ninth(14.0), ninth(30.0), 2.0), row(ninth(57.0), 11.0, 6.0), row(4.5, 7.5, 4.0)];
    assert_close(&counted, rows.as_flattened());

    let alone = Single::new([1, 4, 4], pool.without_padding_counted());
    assert_close(&alone.forward(&counting(16)), &[3.5, 5.0, 6.0, 9.5, 11.0, 12.0, 13.5, 15.0, 16.0]);
    let dx = alone.gradients(&counting(16), &[4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0]).input;
    let mut expected = [0.0; 16];
    [0, 1, 4, 5].iter().for_each(|&at| expected[at] = 1.0);
    expected[15] = 3.0;
    assert_close(&dx, &expected);
}

#[test]
fn the_global_mean_is_one_pixel_per_channel() {
    let layer = Single::new([2, 3, 4], GlobalAvgPool {});
    assert_eq!(layer.shape(), [2, 1, 1]);
    assert_close(&layer.forward(&counting(24)), &[6.5, 18.5]);
    let dx = layer.gradients(&counting(24), &[12.0, 24.0]).input;
    assert_close(&dx, &[[1.0; 12], [2.0; 12]].concat());
}

#[test]
fn adaptive_windows_cover_the_image_as_in_pytorch() {
    let wide = Single::new([1, 1, 5], AdaptiveAvgPool2d::new([1, 3]));
    assert_close(&wide.forward(&[0.0, 1.0, 2.0, 3.0, 4.0]), &[0.5, 2.0, 3.5]);
    let dx = wide.gradients(&[0.0; 5], &[2.0, 3.0, 4.0]).input;
    assert_close(&dx, &[1.0, 1.0 + 1.0, 1.0, 1.0 + 2.0, 2.0]);
    // More windows than pixels repeat pixels.
    let larger = Single::new([1, 2, 1], AdaptiveAvgPool2d::new([3, 1]));
    assert_close(&larger.forward(&[1.0, 3.0]), &[1.0, 2.0, 3.0]);
    let even = Single::new([1, 2, 4], AdaptiveAvgPool2d::new([1, 2]));
    assert_close(&even.forward(&counting(8)), &[3.5, 5.5]);
}

#[test]
fn refusals_say_what_to_change() {
    let message = refusal([8, 4, 6], MaxPool2d::new(5));
    assert_eq!(
        message,
        "layer 'layer' (max_pool2d) does not fit its input: a window of 5×5 does not fit into an image of 4×6 \
         with padding 0×0; use a smaller window or a larger image\n  it reads 'image' (8×4×6)"
    );
    assert!(refusal([8, 4, 4], AvgPool2d::new(3).padding(2)).contains("more than half the window of 3×3"));
    assert!(refusal([8, 4, 4], AvgPool2d::new(2).stride(0)).contains("its stride is 0×0"));
    assert!(refusal([8, 4, 4], MaxPool2d::new(0)).contains("its window is 0×0"));
    assert!(refusal([8, 4, 4], MaxPool2d::new(usize::MAX)).contains("is too large"));
    assert!(refusal([8, 4, 4], AdaptiveAvgPool2d::new([0, 1])).contains("give a size of at least 1"));
    assert!(refusal([8], GlobalAvgPool {}).contains("it takes an image"));
}

#[test]
fn files_say_a_stride_only_where_it_is_not_the_window() {
    let ops = [
        (Op::from(MaxPool2d::new(2)), "op = \"max_pool2d\"\nkernel = 2\n"),
        (
            Op::from(AvgPool2d::new([3, 2]).stride(2).padding(1).ceil_mode().without_padding_counted()),
            "op = \"avg_pool2d\"\nkernel = [3, 2]\nstride = 2\npadding = 1\nceil_mode = true\ncount_padding = false\n",
        ),
        (Op::from(GlobalAvgPool {}), "op = \"global_avg_pool\"\n"),
        (Op::from(AdaptiveAvgPool2d::new(6)), "op = \"adaptive_avg_pool2d\"\nsize = 6\n"),
    ];
    for (op, text) in ops {
        assert_eq!(toml::to_string(&op).unwrap(), text);
        assert_eq!(toml::from_str::<Op>(text).unwrap(), op);
    }
}
