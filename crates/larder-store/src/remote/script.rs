//! Scripts on a server: by their hash, loaded where it is missing, repeated where they certainly did not run.

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::{
    Remote,
    line::Line,
    request::{Batch, Scripted},
};
use crate::{ScriptCall, StoreError};

impl Remote {
    /// Runs a script.
    pub(crate) async fn call(&self, call: &ScriptCall) -> Result<Value, StoreError> {
        let line = self.line();
        let shebang = line.knows_shebang();
        let cmd = call.command(shebang);
        match finish(line.run(Scripted(&cmd, call.script().name())).await) {
            Err(error) if error.is_no_script() => line.load_and_call(call).await,
            result => result,
        }
    }

    pub(crate) fn knows_shebang(&self) -> bool {
        self.line().knows_shebang()
    }

    /// Runs several scripts in one round trip.
    pub(crate) async fn call_many(&self, calls: &[ScriptCall]) -> Vec<Result<Value, StoreError>> {
        if calls.is_empty() {
            return Vec::new();
        }
        let line = self.line();
        let shebang = line.knows_shebang();
        let mut results = line.run_all(calls.iter().map(|call| call.command(shebang))).await;
        let missing: Vec<usize> = (0..calls.len()).filter(|&at| is_no_script(&results[at])).collect();
        if missing.is_empty() {
            return results;
        }
        let again = line.load_and_call_many(calls, &missing).await;
        missing
            .into_iter()
            .zip(again)
            .for_each(|(at, result)| results[at] = result);
        results
    }
}

fn is_no_script(result: &Result<Value, StoreError>) -> bool {
    result.as_ref().is_err_and(StoreError::is_no_script)
}

fn finish(outcome: RedisResult<Value>) -> Result<Value, StoreError> {
    outcome.and_then(Value::extract_error).map_err(StoreError::from)
}

impl Line {
    /// Before the first connection a current server is assumed; an older one does not know the hash, answers
    /// `NOSCRIPT`, and by then its version is known.
    fn knows_shebang(&self) -> bool {
        self.up().is_none_or(|link| link.server.knows_shebang())
    }

    /// Loads a script and runs it, in one round trip.
    async fn load_and_call(&self, call: &ScriptCall) -> Result<Value, StoreError> {
        let mut results = self.load_and_call_many(std::slice::from_ref(call), &[0]).await;
        results.pop().expect("one call has one result")
    }

    /// Loads the scripts of the calls at `missing` and runs those calls again; the others ran.
    async fn load_and_call_many(&self, calls: &[ScriptCall], missing: &[usize]) -> Vec<Result<Value, StoreError>> {
        let shebang = self.knows_shebang();
        let mut loads: Vec<&crate::Script> = Vec::new();
        for &at in missing {
            let script = calls[at].script();
            if !loads.iter().any(|other| other.sha(shebang) == script.sha(shebang)) {
                loads.push(script);
            }
        }
        let load = loads.iter().map(|script| load_command(script.source(shebang)));
        let run = missing.iter().map(|&at| calls[at].command(shebang));
        let mut results = self.run_all(load.chain(run)).await;
        results.split_off(loads.len())
    }

    /// Runs commands in one round trip, each with its own outcome.
    async fn run_all(&self, commands: impl Iterator<Item = Cmd>) -> Vec<Result<Value, StoreError>> {
        let mut pipeline = Pipeline::with_capacity(commands.size_hint().0);
        commands.for_each(|cmd| _ = pipeline.add_command(cmd));
        let count = pipeline.len();
        let batch = Batch {
            pipeline: &pipeline,
            offset: 0,
            count,
        };
        match self.run(batch).await {
            Ok(values) => values.into_iter().map(|value| finish(Ok(value))).collect(),
            Err(error) => {
                let error = StoreError::from(error);
                (0..count).map(|_| Err(error.clone())).collect()
            }
        }
    }
}

fn load_command(source: &str) -> Cmd {
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg(source);
    load
}
