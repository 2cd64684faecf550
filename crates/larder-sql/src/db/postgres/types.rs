//! The types of PostgreSQL: what a column is, how its values travel, and which keys it can have.

use larder_base::KeyPart;
use sqlx::{
    Column as _, Row as _, TypeInfo as _,
    postgres::{PgColumn, PgRow, PgTypeInfo, PgTypeKind},
};

use crate::{
    cell::Cell,
    key,
    schema::{Column, Generated, Kind},
};

/// Of each column its name, declared type, base type without its modifier, the base type's name, class and category,
/// the name and class of its elements, its place in the primary key, whether it may be NULL, how the database fills
/// it, its labels if it is an enum, and whether
/// equal values are spelled alike. A domain stands for the type that it is made of.
pub(super) const COLUMNS: &str = r"
WITH RECURSIVE base(attnum, oid) AS (
    SELECT a.attnum, a.atttypid FROM pg_attribute a
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT base.attnum, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd'
)
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(t.oid, -1),
    t.typname::text, t.typtype::text, t.typcategory::text, coalesce(e.typname::text, ''), coalesce(e.typtype::text, ''),
    coalesce((
        SELECT k.place FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
        WHERE i.indrelid = a.attrelid AND i.indisprimary AND k.attnum = a.attnum AND k.place <= i.indnkeyatts
    ), 0)::int8,
    NOT a.attnotnull, a.attgenerated::text || a.attidentity::text, a.atthasdef,
    ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
    t.typname NOT IN ('citext', 'bpchar', 'numeric')
        AND coalesce((SELECT c.collisdeterministic FROM pg_collation c WHERE c.oid = a.attcollation), true)
FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype <> 'd'
JOIN pg_attribute a ON a.attrelid = $1::regclass AND a.attnum = base.attnum
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
ORDER BY a.attnum";

/// The array that keys of this column are bound as; `None` if rows are not found by such a column.
pub(super) fn key_array(column: &Column) -> Option<&'static str> {
    match column.kind {
        Kind::Integer => Some("int8[]"),
        Kind::Bool => Some("bool[]"),
        Kind::Bytes => Some("bytea[]"),
        Kind::Text | Kind::Uuid | Kind::Enum | Kind::Number | Kind::Date => Some("text[]"),
        _ => None,
    }
}

/// What makes a bound key comparable with the column by its index. An integer of any width is compared as it is:
/// one that the column is too narrow for finds nothing, where a cast would fail.
pub(super) fn key_cast(column: &Column) -> String {
    match column.kind {
        Kind::Integer | Kind::Bool | Kind::Bytes => String::new(),
        _ => format!("::{}", column.sql_type),
    }
}

/// The value under which a row may have this key. What the server could not convert is no row's key, and must not
/// fail the statement for the other keys in it.
pub(super) fn key_form(part: &KeyPart<'_>, column: &Column) -> Option<Cell> {
    let text = key::text_of(part);
    match column.kind {
        Kind::Integer => key::as_integer(part).map(Cell::Integer),
        Kind::Bool => match text?.as_str() {
            "true" => Some(Cell::Bool(true)),
            "false" => Some(Cell::Bool(false)),
            _ => None,
        },
        Kind::Bytes => match part {
            KeyPart::Bytes(bytes) => Some(Cell::Blob(bytes.to_vec())),
            KeyPart::Uuid(uuid) => Some(Cell::Blob(uuid.as_bytes().to_vec())),
            _ => key::from_hex(&text?).map(Cell::Blob),
        },
        // No text of PostgreSQL holds a NUL, and none of type char ends with a blank.
        Kind::Text => text
            .filter(|text| !text.contains('\0') && (column.sql_type != "bpchar" || !text.ends_with(' ')))
            .map(Cell::Text),
        Kind::Uuid => text.filter(|text| key::is_uuid(text)).map(Cell::Text),
        Kind::Enum => text.filter(|text| column.labels.contains(text)).map(Cell::Text),
        Kind::Number => text.filter(|text| key::is_decimal(text)).map(Cell::Text),
        Kind::Date => text.filter(|text| key::is_date(text)).map(Cell::Text),
        _ => None,
    }
}

pub(super) fn column(row: &PgRow) -> Result<Column, sqlx::Error> {
    let text = |at: usize| row.try_get::<String, _>(at);
    let filled = text(10)?;
    Ok(Column {
        name: text(0)?,
        declared: text(1)?,
        sql_type: text(2)?,
        kind: kind(&text(3)?, &text(4)?, &text(5)?, &text(6)?, &text(7)?),
        key_place: usize::try_from(row.try_get::<i64, _>(8)?).unwrap_or(0),
        nullable: row.try_get(9)?,
        generated: match filled.as_str() {
            "" if !row.try_get::<bool, _>(11)? => Generated::No,
            "" | "d" => Generated::Default,
            "a" => Generated::Identity,
            _ => Generated::Computed,
        },
        labels: row.try_get(12)?,
        is_exact: row.try_get(13)?,
    })
}

/// A column of a query, by the driver's name for its type.
pub(super) fn described(column: &PgColumn) -> Column {
    let info = column.type_info();
    Column {
        name: column.name().to_owned(),
        declared: info.name().to_lowercase(),
        sql_type: info.name().to_lowercase(),
        kind: kind_of_info(info),
        key_place: 0,
        nullable: true,
        generated: Generated::No,
        is_exact: true,
        labels: Vec::new(),
    }
}

fn kind_of_info(info: &PgTypeInfo) -> Kind {
    let class = |info: &PgTypeInfo| {
        if matches!(info.kind(), PgTypeKind::Enum(_)) {
            "e"
        } else {
            "b"
        }
    };
    match info.kind() {
        PgTypeKind::Domain(base) => kind_of_info(base),
        PgTypeKind::Array(element) => kind("", "b", "A", type_name(element), class(element)),
        PgTypeKind::Simple | PgTypeKind::Enum(_) => {
            let category = if is_textual(type_name(info)) { "S" } else { "" };
            kind(type_name(info), class(info), category, "", "")
        }
        _ => Kind::Unknown,
    }
}

/// The name that the catalogue has for a type: the driver's is in capitals, and CHAR is what is declared so.
fn type_name(info: &PgTypeInfo) -> &'static str {
    const NAMES: [&str; 26] = [
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "bool",
        "numeric",
        "bytea",
        "uuid",
        "json",
        "jsonb",
        "date",
        "timestamp",
        "timestamptz",
        "time",
        "timetz",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "xml",
        "text",
        "varchar",
        "name",
        "citext",
        "char",
    ];
    match NAMES.iter().find(|name| name.eq_ignore_ascii_case(info.name())) {
        Some(&"char") => "bpchar",
        Some(name) => name,
        None => "",
    }
}

/// How values of a type travel: by its name, class and category, and the name and class of its elements.
fn kind(name: &str, class: &str, category: &str, element: &str, element_class: &str) -> Kind {
    match name {
        "int2" | "int4" | "int8" => Kind::Integer,
        "float4" | "float8" => Kind::Float,
        "bool" => Kind::Bool,
        "numeric" => Kind::Number,
        "bytea" => Kind::Bytes,
        "uuid" => Kind::Uuid,
        "json" | "jsonb" => Kind::Json,
        "date" => Kind::Date,
        "timestamp" | "timestamptz" => Kind::Time,
        "time" | "timetz" | "inet" | "cidr" | "macaddr" | "macaddr8" | "xml" => Kind::Other,
        _ if class == "e" => Kind::Enum,
        _ if category == "S" => Kind::Text,
        _ if category == "A" => match kind(element, element_class, "S", "", "") {
            Kind::Integer | Kind::Float | Kind::Bool | Kind::Json | Kind::Date | Kind::Time => Kind::List,
            Kind::Text if element_class == "b" && !is_textual(element) => Kind::Unknown,
            Kind::Text | Kind::Uuid | Kind::Enum | Kind::Number | Kind::Other => Kind::TextList,
            _ => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

fn is_textual(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "bpchar" | "name" | "citext")
}
