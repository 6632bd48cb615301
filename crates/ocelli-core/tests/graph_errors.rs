//! What a user does wrong when putting a network together is refused with the layer, the shapes and the way out.

use ocelli_core::ops::{
    Add, BatchNorm, Concat, Conv2d, Dropout, Linear, LocalResponseNorm, MaxPool2d, Prelu, Rbf, Relu, Scale,
    Tanh,
};
use ocelli_core::{Error, Graph, Init, Layer, Op, Shape};

fn layer(name: &str, from: &[&str]) -> Layer {
    let from = from.iter().map(|name| name.to_string()).collect();
    Layer { name: name.to_string(), op: Add {}.into(), from, shares: None }
}

fn build(layers: &[Layer]) -> Result<Graph, Error> {
    Graph::from_layers(&[("x", Shape::from([3]))], layers)
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, message: &str) {
    match result {
        Ok(_) => panic!("it was taken, not refused with: {message}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

/// Adds `op` on inputs of these shapes.
fn add(op: impl Into<Op>, shapes: &[Shape]) -> Result<(), Error> {
    let mut graph = Graph::new();
    let inputs = shapes.iter().enumerate().map(|(i, shape)| graph.input(&format!("x{i}"), *shape));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    graph.add("layer", op, &inputs).map(|_| ())
}

#[test]
fn an_output_that_is_larger_than_any_memory_is_refused() {
    let pool = || MaxPool2d::new(2).padding(1).stride(1);
    let error = add(pool(), &[Shape::from([1 << 36, 1, 1])]).unwrap_err().to_string();
    assert!(error.contains("an output of 68719476736×2×2 is impossible"), "{error}");
    assert!(add(pool(), &[Shape::from([4, 1, 1])]).is_ok());
}

#[test]
fn what_kernels_take_for_0_is_no_divisor() {
    let image = [Shape::from([4, 3, 3])];
    let norm = BatchNorm { epsilon: 1e-40, ..BatchNorm::default() };
    assert!(add(norm, &image).unwrap_err().to_string().contains("epsilon"));
    assert!(add(LocalResponseNorm::new(3).k(1e-40), &image).unwrap_err().to_string().contains("its k is"));
}

#[test]
fn filters_of_a_table_of_connections_do_not_begin_as_the_identity() {
    let conv = || Conv2d::new(2, 3).init(Init::Identity);
    let image = [Shape::from([2, 5, 5])];
    assert!(add(conv(), &image).is_ok() && add(conv().groups(2), &image).is_ok());
    let error = add(conv().connections([[0], [1]]), &image).unwrap_err().to_string();
    assert!(error.contains("identity"), "{error}");
}

#[test]
fn layers_do_not_start_as_nothing_can() {
    let drawn = || Init::Normal { std: f64::NAN };
    let vector = [Shape::from([4])];
    let image = [Shape::from([2, 5, 5])];
    for (result, part) in [
        (add(Linear::new(3).init(drawn()), &vector), "normal: std is NaN"),
        (add(Linear::new(3).bias_init(drawn()), &vector), "normal: std is NaN"),
        (add(Conv2d::new(2, 3).init(drawn()), &image), "normal: std is NaN"),
        (add(Linear::new(3).bias_init(Init::Identity), &vector), "its bias does not see"),
        (add(Conv2d::new(2, 3).bias_init(Init::Identity), &image), "its bias does not see"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "no '{part}' in: {error}");
    }
}

#[test]
fn a_cycle_is_refused_with_its_path() {
    let layers = [
        layer("start", &["x", "x"]),
        layer("a", &["start", "c"]),
        layer("b", &["a", "x"]),
        layer("c", &["b", "start"]),
        layer("end", &["c", "x"]),
    ];
    let path = "the network has a cycle: a reads c reads b reads a; a feed-forward network has none";
    refused(build(&layers), path);
    refused(
        build(&[layer("self", &["x", "self"])]),
        "the network has a cycle: self reads self; a feed-forward network has none",
    );
}

#[test]
fn sharing_in_a_circle_is_a_cycle_too() {
    let shares = |name: &str, owner: &str| Layer {
        name: name.to_string(),
        op: Linear::new(3).into(),
        from: vec!["x".to_string()],
        shares: Some(owner.to_string()),
    };
    let error = build(&[shares("a", "b"), shares("b", "a")]).unwrap_err().to_string();
    assert!(error.starts_with("the network has a cycle: a reads b reads a"), "{error}");
}

#[test]
fn layers_are_ordered_by_what_they_read() {
    let layers =
        [layer("last", &["middle", "x"]), layer("middle", &["first", "x"]), layer("first", &["x", "x"])];
    let graph = build(&layers).unwrap();
    let names: Vec<&str> = graph.nodes().iter().map(|n| n.name()).collect();
    assert_eq!(names, ["x", "first", "middle", "last"]);
    // The output is the layer that stands last, whatever the order of computation.
    assert_eq!(graph.node(graph.output().unwrap()).name(), "first");
}

#[test]
fn names_stand_once_and_exist() {
    let twice = "two layers are named 'a'; give each a name of its own";
    refused(build(&[layer("a", &["x", "x"]), layer("a", &["x", "x"])]), twice);
    let input = "two layers are named 'x'; give each a name of its own";
    refused(build(&[layer("x", &["x", "x"])]), input);
    refused(build(&[layer("a", &["x", "y"])]), "layer 'a' reads 'y', but no layer has that name");
    let mut graph = Graph::new();
    let x = graph.input("x", [3]).unwrap();
    graph.add("a", Tanh {}, [x]).unwrap();
    refused(graph.add("a", Tanh {}, [x]), twice);
    refused(
        graph.add("a b", Tanh {}, [x]),
        "'a b' is no name for a layer: use letters, digits, '.', '_', '-'",
    );
}

#[test]
fn shapes_that_do_not_fit_are_named_with_their_producers() {
    let mut graph = Graph::new();
    let x = graph.input("image", [3, 8, 8]).unwrap();
    let a = graph.add("conv", Conv2d::new(4, 3), [x]).unwrap();
    refused(
        graph.add("sum", Add {}, [x, a]),
        "layer 'sum' (add) does not fit its input: it adds values of one shape, but 3×8×8 and 4×6×6 differ\n  \
         it reads 'image' (3×8×8), 'conv' (4×6×6)",
    );
    refused(
        graph.add("sum", Add {}, [x]),
        "layer 'sum' (add) does not fit its input: it adds two or more inputs, not 1\n  it reads 'image' (3×8×8)",
    );
    refused(
        graph.add("all", Concat {}, [x, a]),
        "layer 'all' (concat) does not fit its input: inputs may differ in their channels alone, but 3×8×8 and 4×6×6 \
         differ more\n  it reads 'image' (3×8×8), 'conv' (4×6×6)",
    );
    refused(
        graph.add("relu", Relu {}, [x, a]),
        "layer 'relu' (relu) does not fit its input: it takes one input, not 2\n  it reads 'image' (3×8×8), 'conv' (4×6×6)",
    );
}

#[test]
fn settings_out_of_range_are_named() {
    let cases: [(Op, &str); 6] = [
        (Dropout { rate: 1.0 }.into(), "dropout has a rate from 0 to below 1, not 1"),
        (
            BatchNorm { momentum: 2.0, ..BatchNorm::default() }.into(),
            "batch_norm: momentum is 2; give a number from 0 to 1",
        ),
        (
            BatchNorm { epsilon: 0.0, ..BatchNorm::default() }.into(),
            "batch_norm: epsilon is 0; give a number above 0 within the range of f32",
        ),
        (Scale { factor: f64::INFINITY }.into(), "it scales by a finite number, not inf"),
        (Prelu { shared: false, start: f64::NAN }.into(), "a slope starts at a finite number, not NaN"),
        (Rbf::new(0).into(), "it needs at least one class"),
    ];
    for (op, reason) in cases {
        let error = add(op, &[Shape::from([4])]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let error = add(Rbf::new(3), &[Shape::from([3, 2, 2])]).unwrap_err().to_string();
    assert!(error.contains("put a flatten layer before them"), "{error}");
}

#[test]
fn ops_read_their_names_aliases_and_defaults_from_files() {
    let read = |text: &str| toml::from_str::<Op>(text).map_err(|e| e.to_string());
    assert_eq!(read("op = 'prelu'").unwrap(), Prelu::default().into());
    assert_eq!(
        read("op = 'probabilistic_relu'\nshared = true").unwrap(),
        Prelu { shared: true, start: 0.25 }.into()
    );
    assert_eq!(
        read("op = 'batch_norm'").unwrap(),
        BatchNorm { momentum: 0.1, epsilon: 1e-5, start: 1.0 }.into()
    );
    assert_eq!(read("op = 'rbf'\nclasses = 10").unwrap(), Rbf::new(10).into());
    assert!(read("op = 'dropout'").unwrap_err().contains("rate"));
    assert!(read("op = 'flatten'\naxis = 1").unwrap_err().contains("axis"));
    for name in Op::NAMES {
        // An op's own settings may be missing, but its name is known.
        let error = read(&format!("op = '{name}'")).err().unwrap_or_default();
        assert!(!error.contains("unknown variant"), "{name}: {error}");
    }
}

#[test]
fn a_convolution_beyond_all_images_is_refused() {
    for conv in [
        Conv2d::new(1, 1).stride(usize::MAX),
        Conv2d::new(1, 1).stride(1 << 62).padding(1 << 62),
        Conv2d::new(1, 1).padding([0, 1 << 40]),
    ] {
        let mut graph = Graph::new();
        let x = graph.input("x", [1, 4, 4]).unwrap();
        let error = graph.add("conv", conv, [x]).unwrap_err().to_string();
        assert!(error.contains("larger than any image"), "{error}");
    }
}

#[test]
fn a_convolution_that_no_memory_holds_is_refused() {
    for (shape, side) in [([64, 1, 1], 1 << 24), ([512, 1, 1], 1 << 24), ([16, 8, 8], 1 << 32)] {
        let mut graph = Graph::new();
        let x = graph.input("x", shape).unwrap();
        let far = Conv2d::new(64, 3).padding(side).dilation(side);
        let error = graph.add("far", far, [x]).unwrap_err().to_string();
        assert!(error.contains("more memory"), "{error}");
    }
}

#[test]
fn multiply_adds_beyond_all_numbers_saturate() {
    let mut graph = Graph::new();
    let x = graph.input("x", [64, 1 << 15, 1 << 15]).unwrap();
    let wide = Conv2d::new(64, 2050).padding(1024).without_bias();
    let wide = graph.add("wide", wide, [x]).unwrap();
    assert_eq!(graph.node(wide).signature().macs, u64::MAX);
}
