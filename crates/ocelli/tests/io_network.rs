//! Network files: what they say, what is written back, and what is refused with which words.

use ocelli::io::{ErrorKind, IoError, Network};
use ocelli_core::ops::{
    Add, Conv2d, Dropout, Flatten, LeakyRelu, Linear, Rbf, Relu, ScaledTanh, Subsample, Tanh,
};
use ocelli_core::{Graph, Init, Op};

const LENET: &str = r#"ocelli-network = 1
name = "lenet"
input = [1, 28, 28]
layers = [
  { name = "conv1", op = "conv2d", channels = 6, kernel = 5, padding = 2 },
  { op = "tanh" },
  { op = "avg_pool2d", kernel = 2 },
  { name = "conv2", op = "conv2d", channels = 16, kernel = 5 },
  { op = "tanh" },
  { op = "avg_pool2d", kernel = 2 },
  { op = "flatten" },
  { name = "fc1", op = "linear", features = 120 },
  { op = "tanh" },
  { name = "fc2", op = "linear", features = 84 },
  { op = "tanh" },
  { name = "fc3", op = "linear", features = "classes" },
]
"#;

fn read(text: &str) -> Result<Network, IoError> {
    Network::from_toml(text, "net.toml", Some(10))
}

/// The message that a text is refused with.
fn refused(text: &str) -> String {
    let error = read(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::Usage);
    error.to_string()
}

/// A network of these layers on an image of 3×8×8.
fn layers(layers: &str) -> String {
    format!("ocelli-network = 1\nname = \"n\"\ninput = [3, 8, 8]\nlayers = [\n{layers}\n]\n")
}

/// Graphs are the same if their nodes, parameters and output are.
fn assert_same(a: &Graph, b: &Graph) {
    let inputs = |g: &Graph| g.inputs().map(|v| format!("{:?}", g.node(v))).collect::<Vec<_>>();
    assert_eq!(a.layers(), b.layers());
    assert_eq!(inputs(a), inputs(b));
    assert_eq!(format!("{:?}", a.layout()), format!("{:?}", b.layout()));
    let output = |g: &Graph| g.output().map(|v| g.node(v).name().to_string()).ok();
    assert_eq!(output(a), output(b));
}

fn assert_comes_back(network: &Network) {
    let text = network.to_toml();
    let again = Network::from_toml(&text, "written", None).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_same(&again.graph, &network.graph);
    assert_eq!(again.name, network.name);
    assert_eq!(again.to_toml(), text);
}

fn named(graph: Graph) -> Network {
    Network { name: "test".to_string(), graph: graph.into() }
}

#[test]
fn lenet_fits_in_twenty_lines_and_is_written_as_it_was_read() {
    let network = read(LENET).unwrap();
    assert!(LENET.lines().count() <= 20);
    assert_eq!(network.to_toml(), LENET.replace("\"classes\"", "10"));
    assert_eq!(network.graph.layout().trainable(), 61_706);
    assert_eq!(network.graph.node(network.graph.output().unwrap()).name(), "fc3");
    assert_comes_back(&network);
}

#[test]
fn layers_may_stand_in_any_order_and_share_weights() {
    let text = layers(
        r#"{ name = "sum", op = "add", from = ["a", "b"] },
           { name = "b", shares = "a", from = ["r"] },
           { name = "r", op = "relu", from = "image" },
           { name = "a", op = "conv2d", channels = 4, kernel = 3, from = ["image"] },
           { name = "end", op = "relu", from = ["sum"] }"#,
    );
    let network = read(&text).unwrap();
    let graph = &network.graph;
    let (a, b) = (graph.node(graph.find("a").unwrap()), graph.node(graph.find("b").unwrap()));
    assert_eq!((a.params(), a.op()), (b.params(), b.op()));
    assert_eq!(graph.layout().entries().len(), 2);
    assert!(
        network.to_toml().contains(r#"{ name = "b", shares = "a", from = ["r"] }"#),
        "{}",
        network.to_toml()
    );
    assert_comes_back(&network);
}

#[test]
fn names_and_sources_that_the_reader_infers_are_left_out() {
    let mut graph = Graph::new();
    let image = graph.input("image", [3, 8, 8]).unwrap();
    let conv = graph.add("conv2d1", Conv2d::new(4, 1), [image]).unwrap();
    // Called as the second tanh would be, but it is the first.
    let tanh = graph.add("tanh2", Tanh {}, [conv]).unwrap();
    let other = graph.add("other", Tanh {}, [tanh]).unwrap();
    let third = graph.add("tanh3", Tanh {}, [other]).unwrap();
    graph.add("add1", Add {}, [third, conv]).unwrap();
    let network = named(graph);
    let text = network.to_toml();
    let lines: Vec<&str> = text.lines().skip(4).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            r#"{ op = "conv2d", channels = 4, kernel = 1 },"#,
            r#"{ name = "tanh2", op = "tanh" },"#,
            r#"{ name = "other", op = "tanh" },"#,
            r#"{ op = "tanh" },"#,
            r#"{ op = "add", from = ["tanh3", "conv2d1"] },"#,
            "]",
        ]
    );
    assert_comes_back(&network);
}

#[test]
fn every_setting_comes_back() {
    let mut graph = Graph::new();
    let image = graph.input("image", [4, 9, 8]).unwrap();
    let conv = Conv2d::new(4, [3, 2]).stride([2, 1]).padding([1, 0]).groups(2);
    let x = graph.add("conv", conv, [image]).unwrap();
    let x = graph.add("leaky", LeakyRelu { slope: 0.1 + 0.2 }, [x]).unwrap();
    let x = graph.add("flat", Flatten {}, [x]).unwrap();
    let linear = Linear::new(5).without_bias().init(Init::Normal { std: 1e-3 });
    let x = graph.add("linear", linear, [x]).unwrap();
    graph.add("drop", Dropout { rate: 0.25 }, [x]).unwrap();
    assert_comes_back(&named(graph));
}

#[test]
fn lenet_5_of_the_paper_comes_back() {
    let mut graph = Graph::new();
    let image = graph.input("image", [1, 32, 32]).unwrap();
    let x = graph.add("c1", Conv2d::new(6, 5), [image]).unwrap();
    let x = graph.add("s2", Subsample::new(2), [x]).unwrap();
    let x = graph.add("scaled_tanh1", ScaledTanh {}, [x]).unwrap();
    let x = graph.add("c3", Conv2d::new(16, 5).connections(Conv2d::LENET_C3), [x]).unwrap();
    let x = graph.add("s4", Subsample::new(2), [x]).unwrap();
    let x = graph.add("scaled_tanh2", ScaledTanh {}, [x]).unwrap();
    let x = graph.add("c5", Conv2d::new(120, 5), [x]).unwrap();
    let x = graph.add("flatten1", Flatten {}, [x]).unwrap();
    let x = graph.add("f6", Linear::new(84).init(Init::UniformFanIn { a: 2.4, power: 1.0 }), [x]).unwrap();
    let x = graph.add("scaled_tanh3", ScaledTanh {}, [x]).unwrap();
    graph.add("output", Rbf::new(10), [x]).unwrap();
    let network = named(graph);
    assert_comes_back(&network);
    assert_eq!(network.to_toml().lines().count(), 16, "a line per layer");
}

#[test]
fn layers_may_be_written_as_tables_of_their_own() {
    let head = "ocelli-network = 1\nname = \"n\"\ninput = [3, 8, 8]\n";
    let tables = "[[layers]]\nop = \"conv2d\"\nchannels = 2\nkernel = 3\n[[layers]]\nop = \"relu\"\n";
    let network = read(&format!("{head}{tables}")).unwrap();
    assert_eq!(network.graph.layers().len(), 2);
    assert_comes_back(&network);
    let message = refused(&format!("{head}{}", tables.replace("kernel", "size")));
    assert!(message.starts_with("net.toml:7:1: a layer (conv2d): unknown field `size`"), "{message}");
}

#[test]
fn several_inputs_keep_their_order_and_odd_names_are_quoted() {
    let mut graph = Graph::new();
    let right = graph.input("right", [3, 8, 8]).unwrap();
    let left = graph.input("l\"éft.1", [3, 8, 8]).unwrap();
    let sum = graph.add("su'm", Add {}, [left, right]).unwrap();
    graph.add("relu1", Relu {}, [sum]).unwrap();
    let network = Network { name: "an \"odd\" name".to_string(), graph: graph.into() };
    assert_comes_back(&network);
}

#[test]
fn an_output_that_is_not_the_last_layer_and_an_input_of_another_name_come_back() {
    let mut graph = Graph::new();
    let picture = graph.input("picture", [3, 8, 8]).unwrap();
    let relu = graph.add("relu1", Relu {}, [picture]).unwrap();
    graph.add("tanh1", Tanh {}, [relu]).unwrap();
    graph.set_output(relu);
    assert_comes_back(&named(graph));
}

#[test]
fn shared_weights_with_other_settings_come_back() {
    let text = layers(
        r#"{ name = "a", op = "conv2d", channels = 3, kernel = 3 },
           { op = "relu" },
           { op = "conv2d", channels = 3, kernel = 3, stride = 2, shares = "a" },
           { name = "c", shares = "conv2d2", from = ["relu1"] }"#,
    );
    let network = read(&text).unwrap();
    let stride = |name: &str| match network.graph.node(network.graph.find(name).unwrap()).op() {
        Some(Op::Conv2d(conv)) => conv.stride,
        other => panic!("{other:?}"),
    };
    assert_eq!((stride("a"), stride("conv2d2"), stride("c")), ([1, 1], [2, 2], [2, 2]));
    assert_eq!(network.graph.layout().entries().len(), 2);
    assert_comes_back(&network);
}

#[test]
fn the_number_of_classes_comes_from_the_data() {
    let features = |classes| {
        let network = Network::from_toml(LENET, "net.toml", classes)?;
        Ok::<_, IoError>(network.graph.node(network.graph.output().unwrap()).shape().len())
    };
    assert_eq!(features(Some(7)).unwrap(), 7);
    let message = features(None).unwrap_err().to_string();
    assert!(
        message.starts_with("net.toml:16:45: layer 'fc3': 'features' is the number of classes"),
        "{message}"
    );
    assert!(message.contains("give data, or write the number here"), "{message}");
}

#[test]
fn mistakes_are_shown_where_they_stand_with_what_to_write_instead() {
    let cases = [
        (
            layers(r#"  { op = "conv2", channels = 3 }"#),
            "net.toml:5:10: a layer has the unknown op 'conv2'; did you mean 'conv2d'?",
        ),
        (
            layers(r#"  { name = "c", op = "conv2d", channels = 3, kernal = 3 }"#),
            "net.toml:5:46: layer 'c' (conv2d): unknown field `kernal`, expected one of `channels`, `kernel`",
        ),
        (layers(r#"  { op = "relu", slope = 1 }"#), "net.toml:5:18: a layer (relu): unknown field `slope`"),
        (
            layers(r#"  { op = "linear", features = "ten" }"#),
            "net.toml:5:20: a layer (linear): 'features': invalid type: string \"ten\"",
        ),
        (
            layers(r#"  { op = "linear", features = -1 }"#),
            "net.toml:5:20: a layer (linear): 'features': invalid value",
        ),
        (
            layers(r#"  { op = "conv2d", channels = 3, kernel = [3, 16777217] }"#),
            "net.toml:5:43: a layer: 'kernel' is at most 16777216, not 16777217",
        ),
        (layers(r#"  { op = "linear" }"#), "net.toml:5:3: a layer (linear): missing field `features`"),
        (layers(r#"  { name = "c" }"#), "net.toml:5:3: layer 'c' has no op; give one of linear, "),
        (layers(r#"  { op = 3 }"#), "net.toml:5:10: 'op' is a name in quotes, not a integer"),
        (
            layers(
                "  { name = \"first\", op = \"relu\" },\n  { op = \"add\", from = [\"image\", \"frist\"] }",
            ),
            "net.toml:6:34: layer 'add1' reads 'frist', but no layer has that name; did you mean 'first'?",
        ),
        (
            layers(r#"  { name = "é", op = "relu" }, { name = "x", shares = "y" }"#),
            "net.toml:5:55: layer 'x' shares the weights of 'y', but no layer has that name",
        ),
        (
            layers("  { op = \"relu\" },\n  { shares = \"relu1\" }"),
            "net.toml:6:3: a layer that shares another's weights needs a name",
        ),
        (
            layers(r#"  { name = "a", shares = "b" }, { name = "b", shares = "a", from = ["image"] }"#),
            "net.toml:5:3: layer 'a' shares weights in a circle",
        ),
        (
            layers("  { op = \"relu\" },\n  { name = \"x\", shares = \"relu1\", slope = 2 }"),
            "net.toml:6:35: layer 'x' shares another layer's op and so its settings; leave out 'slope'",
        ),
        (
            layers("  { name = \"a\", op = \"relu\", from = [\"b\"] },\n  { name = \"b\", op = \"relu\" }"),
            "the network has a cycle: a reads b reads a",
        ),
        (
            layers("  { name = \"a\", op = \"relu\" },\n  { name = \"a\", op = \"tanh\" }"),
            "net.toml:6:3: two layers are named 'a'",
        ),
        (
            layers("  { op = \"relu\" },\n  { op = \"linear\", features = 2 }"),
            "net.toml:6:3: layer 'linear1' (linear) does not fit its input",
        ),
        (layers(""), "net.toml:4:10: 'layers' is a list of at least one layer"),
        (layers("  3"), "net.toml:5:3: a layer is a table"),
        (
            "name = \"n\"".to_string(),
            "net.toml:1:1: the network has no 'ocelli-network'; write ocelli-network = 1",
        ),
        (
            "ocelli-network = 2".to_string(),
            "net.toml:1:18: this is version 2 of the format, and this program reads version 1",
        ),
        (
            "ocelli-network = \"1\"".to_string(),
            "net.toml:1:18: 'ocelli-network' is the version of the format: write 1",
        ),
        (layers(r#"{ op = "relu" }"#).replace("name", "nmae"), "net.toml:2:1: unknown field 'nmae'"),
        (
            layers(r#"{ op = "relu" }"#).replace("[3, 8, 8]", "[3, 0, 8]"),
            "net.toml:3:9: [3, 0, 8] is no shape: give",
        ),
        (
            layers(r#"{ op = "relu" }"#).replace("[3, 8, 8]", "[3, 8000000000, 800000000]"),
            "net.toml:3:9: a size is at most 16777216, not 8000000000",
        ),
        (
            layers(r#"{ op = "relu" }"#).replace("[3, 8, 8]", "[3, 10000000, 10000]"),
            "net.toml:3:9: an input of 300000000000 values is too large",
        ),
        (layers(r#"{ op = "relu" }"#).replace("[3, 8, 8]", "8"), "net.toml:3:9: this is no shape ("),
        (
            layers(r#"{ op = "relu" }"#).replace("\"n\"", r#""a\u001bb""#),
            r"net.toml:2:8: 'name' has the control character \u{1b}",
        ),
        (layers(r#"{ op = "conv2d", chanels = 4, kernel = 3 }"#), "did you mean 'channels'?"),
        (layers(r#"{ op = "relu", from = "input" }"#), "(the network's input is 'image')"),
        (
            layers(r#"{ op = "relu" }"#).replace("input = [3, 8, 8]", ""),
            "the network has no input; say what it reads",
        ),
        (
            layers(r#"{ op = "relu" }"#) + "inputs = { a = [1] }",
            "net.toml:7:10: give either 'input' or 'inputs'",
        ),
        (
            layers(r#"{ op = "relu" }"#) + "output = \"rely1\"",
            "net.toml:7:10: the output is to be 'rely1', but no layer has that name; did you mean 'relu1'?",
        ),
        (
            layers(r#"{ op = "relu" }"#).replace("input = [3, 8, 8]", "inputs = { a = [1], b = [1] }"),
            "net.toml:5:1: the network has several inputs",
        ),
        ("a = [1,\n  }".to_string(), "net.toml:2:3: "),
    ];
    for (text, expected) in cases {
        let message = refused(&text);
        assert!(message.contains(expected), "\n{text}\nsays\n  {message}\nnot\n  {expected}");
    }
}

#[test]
fn hostile_texts_are_refused_and_nothing_panics() {
    let deep = format!("a = {}", "[".repeat(500_000));
    let keys = format!("{}a = 1", "a.".repeat(300_000));
    let tables = format!("a = {}", "{a=".repeat(300_000));
    let many = layers(&"{op=\"relu\"},".repeat(80_000));
    let large = layers(&" ".repeat(1 << 20));
    let big_number = layers(&format!("{{ op = \"linear\", features = {} }}", "9".repeat(1000)));
    for text in [&deep, &keys, &tables, &many, &large, &big_number, "\0", "\u{feff}\u{202e}"] {
        refused(text);
    }
    assert!(refused(&many).contains("layers are too many"), "{}", refused(&many));
}

#[test]
fn as_many_layers_as_there_may_be_are_put_in_order() {
    let layer = |i: usize| {
        let from = if i < 4095 { format!("\"l{}\"", i + 1) } else { "\"image\"".to_string() };
        format!("{{ name = \"l{i}\", op = \"add\", from = [{}] }}", vec![from; 22].join(","))
    };
    let network = read(&layers(&(0..4096).map(layer).collect::<Vec<_>>().join(","))).unwrap();
    assert_eq!(network.graph.layers()[0].name, "l4095");
    assert_eq!(network.graph.layers().len(), 4096);
}

#[test]
fn extreme_numbers_in_any_setting_give_a_network_or_an_error() {
    let settings = [
        "op = \"conv2d\", channels = N, kernel = 3",
        "op = \"conv2d\", channels = 3, kernel = N",
        "op = \"conv2d\", channels = 3, kernel = [N, 1]",
        "op = \"conv2d\", channels = 3, kernel = 3, stride = N",
        "op = \"conv2d\", channels = 3, kernel = 3, padding = N",
        "op = \"conv2d\", channels = 3, kernel = 3, dilation = N",
        "op = \"conv2d\", channels = 3, kernel = 3, padding = N, dilation = N, stride = N",
        "op = \"conv2d\", channels = 3, kernel = 3, groups = N",
        "op = \"conv2d\", channels = 1, kernel = 1, connections = [[N]]",
        "op = \"max_pool2d\", kernel = N",
        "op = \"max_pool2d\", kernel = 2, padding = N",
        "op = \"max_pool2d\", kernel = 2, stride = N",
        "op = \"avg_pool2d\", kernel = N",
        "op = \"avg_pool2d\", kernel = N, padding = N",
        "op = \"adaptive_avg_pool2d\", size = N",
        "op = \"adaptive_avg_pool2d\", size = [N, 1]",
        "op = \"subsample\", kernel = N",
        "op = \"local_response_norm\", size = N",
        "op = \"dropout\", rate = N",
        "op = \"leaky_relu\", slope = N",
        "op = \"batch_norm\", momentum = N",
        "op = \"batch_norm\", epsilon = N",
    ];
    let numbers =
        ["0", "1", "1048576", "1099511627776", "9223372036854775807", "1e300", "-0.0", "nan", "inf"];
    for number in numbers {
        for setting in settings {
            let _ = read(&layers(&format!("{{ {} }}", setting.replace('N', number))));
        }
        for setting in
            ["op = \"linear\", features = N", "op = \"rbf\", features = N", "op = \"rbf\", classes = N"]
        {
            let flat = format!("{{ op = \"flatten\" }}, {{ {} }}", setting.replace('N', number));
            let _ = read(&layers(&flat));
        }
    }
}

#[test]
fn files_are_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lenet.toml");
    let network = read(LENET).unwrap();
    network.write(&path).unwrap();
    assert_same(&Network::read(&path, None).unwrap().graph, &network.graph);
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(Network::read(&path, None).unwrap_err().to_string().contains("not UTF-8"));
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(Network::read(&path, None).unwrap_err().to_string().contains("at most 1048576 are read"));
    let absent = Network::read(&folder.path().join("absent.toml"), None).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Usage);
}
