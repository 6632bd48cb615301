//! The ops on images: values, shapes, parameter counts and refusals worked out by hand.

mod single;

use std::sync::Arc;

use ocelli_core::ops::{
    AdaptiveAvgPool2d, AvgPool2d, Conv2d, GlobalAvgPool, LocalResponseNorm, MaxPool2d, Subsample,
};
use ocelli_core::{Executor, Graph, Init, Op, Params, Plan, PlanOptions, Shape};
use ocelli_kernels::{Isa, Team};
use single::{Single, assert_close, counting, random, refusal};

mod convolution {
    use super::*;

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
            (input + 2 * op.padding[axis] - op.dilation[axis] * (op.kernel[axis] - 1) - 1) / op.stride[axis]
                + 1
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
        let (first, second) =
            (layer.gradients(&x[..4096], &g[..4096]), layer.gradients(&x[4096..], &g[4096..]));
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
        assert!(reason(image, Conv2d::new(1, 1).padding(usize::MAX)).contains("does not fit"));
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
            assert!(
                found.contains("a whole number for height and width, or both as [height, width]"),
                "{found}"
            );
        }
        assert!(message("3\nstrde = 2").contains("unknown field `strde`"));
    }
}

mod lenet5 {
    use super::*;

    /// The layers of LeNet-5 up to C5, without the squashing in between.
    fn graph() -> Graph {
        let mut graph = Graph::new();
        let mut last = graph.input("image", [1, 32, 32]).unwrap();
        let layers: [(&str, Op); 5] = [
            ("c1", Conv2d::new(6, 5).into()),
            ("s2", Subsample::new(2).into()),
            ("c3", Conv2d::new(16, 5).connections(Conv2d::LENET_C3).into()),
            ("s4", Subsample::new(2).into()),
            ("c5", Conv2d::new(120, 5).into()),
        ];
        for (name, op) in layers {
            last = graph.add(name, op, [last]).unwrap();
        }
        graph
    }

    #[test]
    fn has_the_shapes_parameters_and_connections_of_the_paper() {
        let graph = graph();
        // Name, shape, trainable parameters, connections (biases counted once per unit).
        let paper = [
            ("c1", "6×28×28", 156, 122_304),
            ("s2", "6×14×14", 12, 5_880),
            ("c3", "16×10×10", 1_516, 151_600),
            ("s4", "16×5×5", 32, 2_000),
            ("c5", "120×1×1", 48_120, 48_120),
        ];
        for (name, shape, parameters, connections) in paper {
            let node = graph.node(graph.find(name).unwrap());
            let signature = node.signature();
            assert_eq!(node.shape().to_string(), shape, "{name}");
            let found: usize = signature.params.iter().map(|spec| spec.shape.len()).sum();
            assert_eq!(found, parameters, "parameters of {name}");
            assert_eq!(signature.macs + node.shape().len() as u64, connections, "connections of {name}");
        }
        let weight = graph.layout().find("c3.weight").unwrap();
        assert_eq!(weight.range.len(), 1_500);
    }

    #[test]
    fn weights_start_within_2_4_over_the_fan_in() {
        let mut graph = Graph::new();
        let x = graph.input("x", [6, 14, 14]).unwrap();
        let init = Init::UniformFanIn { a: 2.4 };
        let conv = Conv2d::new(16, 5).connections(Conv2d::LENET_C3).init(init);
        let c3 = graph.add("c3", conv, [x]).unwrap();
        graph.add("s4", Subsample::new(2), [c3]).unwrap();
        let params = Params::<f64>::initialised(graph.layout(), 1).unwrap();
        let largest = |name: &str| {
            let values = params.get(graph.layout().find(name).unwrap());
            values.data().iter().fold(0.0f64, |m, v| m.max(v.abs()))
        };
        // 60 connections of 25 taps make 93 inputs for the average of 16 units.
        let bound = 2.4 / 93.0;
        assert!(largest("c3.weight") <= bound && largest("c3.weight") > 0.9 * bound);
        assert!(largest("s4.coefficient") <= 0.6 && largest("s4.coefficient") > 0.3);
        assert_eq!(largest("s4.bias"), 0.0);
    }

    #[test]
    fn single_and_double_precision_agree_on_any_machine() {
        let graph = Arc::new(graph());
        let plan = Arc::new(Plan::new(&graph, PlanOptions::evaluate(2)).unwrap());
        let team = Arc::new(Team::new(1).unwrap());
        let x = random(2 * 1024, 7);
        let double = Params::<f64>::initialised(graph.layout(), 3).unwrap();
        let mut single = Params::<f32>::zeroed(graph.layout()).unwrap();
        single.data_mut().iter_mut().zip(double.data()).for_each(|(to, &from)| *to = from as f32);
        let mut exact = Executor::new(Arc::clone(&plan), Arc::clone(&team), Isa::Portable).unwrap();
        let mut fast = Executor::new(plan, team, Isa::detect()).unwrap();
        let narrow: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let exact = exact.forward(&double, &[&x], 2);
        for (found, expected) in fast.forward(&single, &[&narrow], 2).iter().zip(exact) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }
}

mod pooling {
    use super::*;

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
        assert!(
            refusal([8, 4, 4], AvgPool2d::new(3).padding(2)).contains("more than half the window of 3×3")
        );
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
}

mod subsampling {
    use super::*;

    #[test]
    fn scales_and_shifts_the_sum_of_each_window() {
        let layer = Single::new([2, 2, 5], Subsample::new(2)).set(0, &[0.5, -1.0]).set(1, &[1.0, 2.0]);
        let y = layer.forward(&counting(20));
        // Sums 1+2+6+7 = 16 and 24, then 56 and 64; the fifth column is not covered.
        assert_close(&y, &[9.0, 13.0, -54.0, -62.0]);

        let derivatives = layer.gradients(&counting(20), &[1.0, 2.0, 3.0, 4.0]);
        let first = [0.5, 0.5, 1.0, 1.0, 0.0];
        let second = [-3.0, -3.0, -4.0, -4.0, 0.0];
        assert_close(&derivatives.input, &[first, first, second, second].concat());
        assert_close(&derivatives.params[0], &[16.0 + 2.0 * 24.0, 3.0 * 56.0 + 4.0 * 64.0]);
        assert_close(&derivatives.params[1], &[3.0, 7.0]);
    }

    #[test]
    fn several_samples_add_up_their_gradients() {
        let layer = Single::new([3, 4, 4], Subsample::new([2, 4]));
        let (x, g) = (random(3 * 48, 8), random(3 * 6, 9));
        let all = layer.gradients(&x, &g);
        let mut sums = vec![vec![0.0; 3]; 2];
        for (x, g) in x.chunks(48).zip(g.chunks(6)) {
            let one = layer.gradients(x, g);
            sums.iter_mut()
                .zip(&one.params)
                .for_each(|(s, p)| s.iter_mut().zip(p).for_each(|(s, p)| *s += p));
        }
        assert_close(&all.params[0], &sums[0]);
        assert_close(&all.params[1], &sums[1]);
    }
}

mod response {
    use super::*;

    #[test]
    fn divides_by_the_mean_square_of_the_neighbouring_channels() {
        let op = LocalResponseNorm::new(3).alpha(3.0).beta(0.5).k(1.0);
        let layer = Single::new([4, 1, 1], op);
        let y = layer.forward(&[1.0, 2.0, 3.0, 4.0]);
        // d = 1 + x² of the channel and its neighbours: 6, 15, 30, 26.
        let expected = [1.0 / 6f64.sqrt(), 2.0 / 15f64.sqrt(), 3.0 / 30f64.sqrt(), 4.0 / 26f64.sqrt()];
        assert_close(&y, &expected);
    }

    #[test]
    fn an_even_window_reaches_further_back_and_a_huge_one_sees_every_channel() {
        let even = Single::new([3, 1, 1], LocalResponseNorm::new(2).alpha(2.0).beta(1.0).k(1.0));
        assert_close(&even.forward(&[1.0, 2.0, 3.0]), &[1.0 / 2.0, 2.0 / 6.0, 3.0 / 14.0]);
        let huge = LocalResponseNorm::new(usize::MAX).alpha(usize::MAX as f64).beta(1.0).k(1.0);
        let huge = Single::new([3, 1, 1], huge);
        assert_close(&huge.forward(&[1.0, 2.0, 3.0]), &[1.0 / 15.0, 2.0 / 15.0, 3.0 / 15.0]);
    }

    #[test]
    fn pixels_and_samples_do_not_see_each_other() {
        let layer = Single::new([5, 2, 3], LocalResponseNorm::default().alpha(2.0));
        let x = random(2 * 30, 10);
        let y = layer.forward(&x);
        let alone = Single::new([5, 1, 1], LocalResponseNorm::default().alpha(2.0));
        for (sample, pixel) in [(0, 0), (0, 5), (1, 2)] {
            let channels = |of: &[f64]| (0..5).map(|c| of[sample * 30 + c * 6 + pixel]).collect::<Vec<_>>();
            assert_close(&channels(&y), &alone.forward(&channels(&x)));
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_the_output() {
        for op in
            [LocalResponseNorm::default().alpha(1.5), LocalResponseNorm::new(4).alpha(2.0).beta(1.2).k(0.7)]
        {
            let layer = Single::new([6, 1, 2], op);
            let (x, g) = (random(12, 11), random(12, 12));
            let dx = layer.gradients(&x, &g).input;
            for i in 0..12 {
                let at = |change: f64| {
                    let mut x = x.clone();
                    x[i] += change;
                    layer.forward(&x).iter().zip(&g).map(|(y, g)| y * g).sum::<f64>()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((dx[i] - slope).abs() < 1e-7, "{} is not {slope} at {i}", dx[i]);
            }
        }
    }

    #[test]
    fn refuses_settings_that_divide_by_nothing() {
        assert!(
            refusal([8, 2, 2], LocalResponseNorm::default().k(0.0))
                .contains("its k is 0; give a number above 0")
        );
        assert!(refusal([8, 2, 2], LocalResponseNorm::new(0)).contains("its size is 0; give at least 1"));
    }
}
