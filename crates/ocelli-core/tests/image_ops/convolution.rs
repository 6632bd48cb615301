//! Convolution: values, gradients, tables of connections, refusals and files.

use ocelli_core::ops::Conv2d;
use ocelli_core::{Init, Op, Shape};

use crate::single::{Single, assert_close, counting, random, refusal};

#[test]
fn correlates_each_window_with_the_kernel_and_adds_the_bias() {
    let layer = Single::new([1, 3, 3], Conv2d::new(1, 2)).set(0, &[1.0, 2.0, 3.0, 4.0]).set(1, &[0.5]);
    // 1·1 + 2·2 + 4·3 + 5·4 = 37, and so on.
    assert_close(&layer.forward(&counting(9)), &[37.5, 47.5, 67.5, 77.5]);

    let derivatives = layer.gradients(&counting(9), &[1.0, 0.0, 0.0, 10.0]);
    assert_close(&derivatives.input, &[1.0, 2.0, 0.0, 3.0, 14.0, 20.0, 0.0, 30.0, 40.0]);
    assert_close(&derivatives.params[0], &[51.0, 62.0, 84.0, 95.0]);
    assert_close(&derivatives.params[1], &[11.0]);
}

#[test]
fn stride_padding_dilation_and_groups_mean_what_they_mean_in_pytorch() {
    let settings = [
        Conv2d::new(4, 3),
        Conv2d::new(4, [3, 1]).padding([1, 0]),
        Conv2d::new(6, 3).stride(2).padding(1),
        Conv2d::new(4, [2, 3]).stride([1, 2]).padding([2, 1]),
        Conv2d::new(4, 2).dilation([2, 3]).padding(1).without_bias(),
        Conv2d::new(4, 3).groups(2).padding(1),
        Conv2d::new(8, 3).groups(4).stride([2, 1]),
        Conv2d::new(2, 1).padding(3),
    ];
    for (seed, op) in settings.into_iter().enumerate() {
        let x = random(2 * 4 * 7 * 6, seed as u64);
        let layer = Single::new([4, 7, 6], op.clone());
        assert_close(&layer.forward(&x), &naive(&op, &layer, [4, 7, 6], &x));
    }
}

/// The equation, as it stands in the documentation.
fn naive(op: &Conv2d, layer: &Single, [inputs, height, width]: [usize; 3], x: &[f64]) -> Vec<f64> {
    let params: Vec<Vec<f64>> =
        layer.graph.layout().entries().iter().map(|e| layer.params.get(e).into_data()).collect();
    let ([kh, kw], depth) = (op.kernel, inputs / op.groups);
    let size = |axis: usize, input: usize| {
        (input + 2 * op.padding[axis] - op.dilation[axis] * (op.kernel[axis] - 1) - 1) / op.stride[axis] + 1
    };
    assert_eq!(layer.shape(), [op.channels, size(0, height), size(1, width)]);
    let mut y = Vec::new();
    for x in x.chunks_exact(inputs * height * width) {
        let pixel = |c: usize, row: usize, column: usize| {
            let (row, column) = (row.checked_sub(op.padding[0])?, column.checked_sub(op.padding[1])?);
            (row < height && column < width).then(|| x[(c * height + row) * width + column])
        };
        for (o, i, j) in product([op.channels, size(0, height), size(1, width)]) {
            let first = o / (op.channels / op.groups) * depth;
            let terms = product([depth, kh, kw]).map(|(c, u, v)| {
                let (row, column) =
                    (i * op.stride[0] + u * op.dilation[0], j * op.stride[1] + v * op.dilation[1]);
                let w = params[0][((o * depth + c) * kh + u) * kw + v];
                w * pixel(first + c, row, column).unwrap_or(0.0)
            });
            y.push(terms.sum::<f64>() + if op.bias { params[1][o] } else { 0.0 });
        }
    }
    y
}

fn product([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

#[test]
fn a_layer_cut_by_output_channels_has_the_gradients_of_its_samples_alone() {
    // 36,928 parameters are too many for partial copies, so the two parts of this batch split the channels.
    let layer = Single::new([64, 8, 8], Conv2d::new(64, 3).padding(1));
    let (x, g) = (random(2 * 64 * 64, 1), random(2 * 64 * 64, 2));
    let both = layer.gradients(&x, &g);
    let (first, second) = (layer.gradients(&x[..4096], &g[..4096]), layer.gradients(&x[4096..], &g[4096..]));
    for i in 0..2 {
        let sums: Vec<f64> = first.params[i].iter().zip(&second.params[i]).map(|(a, b)| a + b).collect();
        assert_close(&both.params[i], &sums);
    }
    assert_close(&both.input, &[first.input, second.input].concat());
}

#[test]
fn an_output_channel_reads_the_connected_inputs_alone() {
    let layer = Single::new([6, 6, 6], Conv2d::new(16, 5).connections(Conv2d::LENET_C3));
    let x = random(6 * 36, 3);
    let y = layer.forward(&x);
    for input in 0..6 {
        for change in [100.0, -100.0] {
            let mut changed = x.clone();
            changed[input * 36..(input + 1) * 36].iter_mut().for_each(|x| *x += change);
            let z = layer.forward(&changed);
            for (output, row) in Conv2d::LENET_C3.iter().enumerate() {
                let same = y[output * 4..][..4] == z[output * 4..][..4];
                assert_eq!(same, !row.contains(&input), "output {output} of input {input}");
            }
        }
    }
}

#[test]
fn a_table_of_connections_is_a_convolution_with_zeros_elsewhere() {
    let table = [vec![2, 0], vec![1]];
    let sparse = Single::new([3, 4, 4], Conv2d::new(2, 2).connections(table.clone()));
    let weights = sparse.params.get(&sparse.graph.layout().entries()[0]).into_data();
    let mut dense_weights = vec![0.0; 2 * 3 * 4];
    for (kernel, (output, input)) in weights.chunks(4).zip([(0, 2), (0, 0), (1, 1)]) {
        dense_weights[(output * 3 + input) * 4..][..4].copy_from_slice(kernel);
    }
    let dense = Single::new([3, 4, 4], Conv2d::new(2, 2)).set(0, &dense_weights);
    let (x, g) = (random(2 * 48, 4), random(2 * 18, 5));
    assert_close(&sparse.forward(&x), &dense.forward(&x));

    let (sparse, dense) = (sparse.gradients(&x, &g), dense.gradients(&x, &g));
    assert_close(&sparse.input, &dense.input);
    assert_close(&sparse.params[1], &dense.params[1]);
    for (kernel, (output, input)) in sparse.params[0].chunks(4).zip([(0, 2), (0, 0), (1, 1)]) {
        assert_close(kernel, &dense.params[0][(output * 3 + input) * 4..][..4]);
    }
}

#[test]
fn refusals_say_what_to_change() {
    let reason = |shape: &[usize], op: Conv2d| {
        let message = refusal(Shape::try_new(shape).unwrap(), op);
        let first = message.lines().next().unwrap();
        first.strip_prefix("layer 'layer' (conv2d) does not fit its input: ").unwrap().to_string()
    };
    let image = &[4, 6, 5];
    assert_eq!(
        reason(&[84], Conv2d::new(8, 3)),
        "it takes an image of channels×height×width, not 84; put it before the flatten layer"
    );
    assert_eq!(
        reason(image, Conv2d::new(8, 3).dilation(3).padding([1, 0])),
        "a kernel that extends over 7×7 does not fit into an image of 6×5 with padding 1×0; \
         use a smaller kernel, more padding or a larger image"
    );
    assert_eq!(
        reason(image, Conv2d::new(8, 3).groups(3)),
        "3 groups do not divide 4 input and 8 output channels evenly; use a common divisor of both"
    );
    assert_eq!(
        reason(image, Conv2d::new(8, 3).stride([1, 0])),
        "its stride is 1×0; give at least 1 in both directions"
    );
    assert_eq!(
        reason(image, Conv2d::new(2, 3).connections([vec![0, 1]])),
        "its table of connections has 1 rows for 2 output channels; give each channel one row"
    );
    assert_eq!(
        reason(image, Conv2d::new(2, 3).connections([vec![0], vec![4]])),
        "its table connects output channel 1 to input channel 4; they go from 0 to 3"
    );
    assert_eq!(
        reason(image, Conv2d::new(2, 3).connections([vec![1, 1], vec![0]])),
        "its table connects output channel 0 to input channel 1 twice; list it once"
    );
    assert_eq!(
        reason(image, Conv2d::new(2, 3).connections([vec![1], vec![]])),
        "its table connects output channel 1 to nothing; list at least one input channel"
    );
    assert_eq!(
        reason(image, Conv2d::new(2, 3).init(Init::Normal { std: -1.0 })),
        "normal: std is -1; give a finite number that is not negative"
    );
    assert!(reason(image, Conv2d::new(usize::MAX, 1)).contains("is impossible"));
    assert!(reason(image, Conv2d::new(1, 1).padding(usize::MAX)).contains("larger than any image"));
}

#[test]
fn files_write_equal_sides_as_one_number_and_leave_out_what_is_usual() {
    let read = |text: &str| toml::from_str::<Op>(text);
    let op = Op::from(Conv2d::new(64, 3).stride(2).padding([1, 0]));
    let text = toml::to_string(&op).unwrap();
    assert_eq!(text, "op = \"conv2d\"\nchannels = 64\nkernel = 3\nstride = 2\npadding = [1, 0]\n");
    assert_eq!(read(&text).unwrap(), op);
    let table = Op::from(Conv2d::new(16, [5, 5]).connections(Conv2d::LENET_C3).without_bias());
    assert_eq!(read(&toml::to_string(&table).unwrap()).unwrap(), table);

    let message = |kernel: &str| {
        let text = format!("op = \"conv2d\"\nchannels = 8\nkernel = {kernel}");
        read(&text).unwrap_err().to_string()
    };
    for kernel in ["-3", "[1, 2, 3]", "[1]", "\"3\"", "1.5"] {
        let found = message(kernel);
        assert!(found.contains("a whole number for height and width, or both as [height, width]"), "{found}");
    }
    assert!(message("3\nstrde = 2").contains("unknown field `strde`"));
}
