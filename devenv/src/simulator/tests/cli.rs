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
fn the_command_line_defaults_to_what_the_library_does() {
    let (given, default) = (config(&[]), Config::default());
    assert_eq!(
        given.listen.to_string(),
        "127.0.0.1:8219",
        "a person wants to know the port beforehand"
    );
    let same = Config {
        listen: default.listen,
        ..given
    };
    assert_eq!(format!("{same:?}"), format!("{default:?}"));
}

#[test]
fn flags_reach_the_configuration() {
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
