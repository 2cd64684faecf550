//! Larder and its peers, side by side in one run.
//!
//! `cargo xtask bench` runs everything; `cargo xtask bench near scenes --json` some groups, as JSON. How it is measured is
//! told in the files that this program shares with the `larder` command, and in each group's. The server is a private
//! redis-server.

mod allocations;
mod groups;
#[path = "../../crates/larder-cli/src/cmd/bench/lab/mod.rs"]
#[expect(
    dead_code,
    reason = "shared with the `larder` command, which measures stores without a server too"
)]
mod lab;
mod node;
mod peers;
mod report;
mod row;

use anyhow::Context as _;
use clap::{Parser, builder::PossibleValuesParser};
use groups::GROUPS;
use larder_testkit::RedisServer;
use serde_json::json;

/// Larder and its peers, side by side in one run.
#[derive(Debug, Parser)]
#[command(name = "larder-bench")]
struct Args {
    /// What to measure; everything if nothing is named.
    #[arg(value_parser = PossibleValuesParser::new(GROUPS.iter().map(|group| group.name)))]
    groups: Vec<String>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Rounds of each subject; the middle one counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// What every group may use.
pub(crate) struct Lab {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) redis: RedisServer,
    pub(crate) rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let redis = runtime.block_on(RedisServer::start());
    let lab = Lab {
        runtime,
        redis,
        rounds: args.rounds,
    };
    let mut document = Vec::new();
    for group in GROUPS {
        if !args.groups.is_empty() && !args.groups.iter().any(|wanted| wanted == group.name) {
            continue;
        }
        let before = report::machine();
        let section = (group.run)(&lab).with_context(|| format!("the group {}", group.name))?;
        let after = report::machine();
        if args.json {
            let found = section.json();
            document.push(json!({ "group": group.name, "before": before, "after": after, "found": found }));
        } else {
            println!(
                "{}: {}\nbefore: {before}\nafter:  {after}\n{}\n",
                group.name,
                group.about,
                section.text()
            );
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    }
    Ok(())
}
