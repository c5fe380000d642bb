use clap::Parser;

use crate::simulator::cli::SimulatorArgs;
use crate::simulator::{Config, Transport};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: SimulatorArgs,
}

fn config(arguments: &[&str]) -> Config {
    Command::try_parse_from([&["simulator"], arguments].concat())
        .unwrap()
        .args
        .into()
}

#[test]
fn command_line_and_library_have_the_same_defaults() {
    let (given, default) = (config(&[]), Config::default());
    assert_eq!(
        given.listen.to_string(),
        "127.0.0.1:8219",
        "the command line has a fixed default port"
    );
    let same = Config {
        listen: default.listen,
        ..given
    };
    assert_eq!(format!("{same:?}"), format!("{default:?}"));
}

#[test]
fn flags_are_applied_to_the_configuration() {
    let config = config(&[
        "--base-nodes",
        "9",
        "--tls",
        "--latency-ms",
        "50",
        "--password",
        "x",
        "--seed",
        "4",
    ]);
    assert_eq!(
        (config.fleet.base_nodes, config.seed, config.latency.as_millis()),
        (9, 4, 50)
    );
    assert!(matches!(config.transport, Transport::SelfSigned) && config.password == "x");
}
