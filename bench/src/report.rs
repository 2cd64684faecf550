//! What a run found, as tables to read or one JSON document. The machine is named, and its load before and after: others
//! may use it.

use std::fs;

use comfy_table::{CellAlignment, Table as Text, presets};
use serde_json::{Value, json};

use crate::lab::{
    cpu,
    figure::{Figure, Report},
};

/// What a group found.
pub(crate) enum Section {
    /// Times and CPU of operations.
    Figures(Vec<Figure>),
    /// Anything else.
    Table(Table),
}

/// Rows of text under a title.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Section {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Figures(figures) => Report {
                machine: String::new(),
                figures,
            }
            .table(),
            Self::Table(table) => table.text(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Figures(figures) => json!({ "figures": figures }),
            Self::Table(table) => table.json(),
        }
    }
}

impl Table {
    fn text(self) -> String {
        let mut text = Text::new();
        text.load_style(presets::ASCII_MARKDOWN);
        text.set_header(self.columns);
        for row in self.rows {
            text.add_row(row);
        }
        for column in text.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}\n{text}", self.title)
    }

    fn json(&self) -> Value {
        let row = |row: &Vec<String>| {
            let cells = self.columns.iter().zip(row);
            cells
                .map(|(column, cell)| ((*column).to_owned(), json!(cell)))
                .collect::<Value>()
        };
        json!({ "table": self.title, "rows": self.rows.iter().map(row).collect::<Vec<Value>>() })
    }
}

/// The machine, and how busy it is now: processes that run or want to, over one, five and fifteen minutes.
pub(crate) fn machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!("{}, load {}", cpu::machine(), load.join(" "))
}
