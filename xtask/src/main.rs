//! Development tasks: `cargo xtask <task>`. Without arguments it lists them; the checks of a change call the same ones.

mod bench;
mod compat;
mod invariants;
mod lint;
mod packages;
mod shell;
mod test;

use std::process::ExitCode;

/// One task: a name, the line that the list shows, and the code.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

/// Every task, in the order in which a change meets them.
const TASKS: &[Task] = &[lint::TASK, test::TASK, compat::TASK, bench::TASK];

/// Exit code of a call that makes no sense, as in the `larder` command.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("error: no task `{name}`");
        list();
        return ExitCode::from(USAGE);
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    println!("Tasks, each run as `cargo xtask <task>`:");
    for task in TASKS {
        println!("  {:<8} {}", task.name, task.about);
    }
}
