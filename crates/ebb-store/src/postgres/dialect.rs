//! What of the SQL differs. The rest of the crate writes what both databases understand.

/// `?` become `$1`, `$2` and so on; those within quotes stay.
pub(super) fn numbered(sql: &str) -> String {
    let mut numbered = String::with_capacity(sql.len() + 16);
    let (mut count, mut quoted) = (0, false);
    for c in sql.chars() {
        quoted ^= c == '\'';
        if c == '?' && !quoted {
            count += 1;
            numbered.push_str(&format!("${count}"));
        } else {
            numbered.push(c);
        }
    }
    numbered
}

/// A migration that was written for SQLite, for PostgreSQL.
///
/// - `INTEGER` has 64 bits there, `BIGINT` here. `BLOB` is `BYTEA`.
/// - A text is compared by its bytes there. Here that is to be said, or lists and pages would
///   follow the language that the database was made in.
/// - `STRICT` is what PostgreSQL always is; `WITHOUT ROWID` is of SQLite's files.
pub(super) fn schema(sqlite: &str) -> String {
    let mut schema = String::with_capacity(sqlite.len() * 2);
    let mut word = String::new();
    let code = sqlite.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    for c in code.flat_map(|line| line.chars().chain(['\n'])) {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        schema.push_str(match word.as_str() {
            "INTEGER" => "BIGINT",
            "TEXT" => "TEXT COLLATE \"C\"",
            "BLOB" => "BYTEA",
            other => other,
        });
        word.clear();
        schema.push(c);
    }
    schema.replace(") STRICT, WITHOUT ROWID;", ");").replace(") STRICT;", ");")
}

#[cfg(test)]
mod tests {
    use super::{numbered, schema};

    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(numbered("a = ? AND b IN (?, ?)"), "a = $1 AND b IN ($2, $3)");
        assert_eq!(numbered("a = 'it''s ?' AND b = ?"), "a = 'it''s ?' AND b = $1");
    }

    #[test]
    fn types_are_translated_and_nothing_else() {
        let sqlite = "-- TEXT; of any kind
            CREATE TABLE a (id TEXT PRIMARY KEY, -- one's
                TEXTS INTEGER NOT NULL, b BLOB) STRICT, WITHOUT ROWID;
            CREATE TABLE b (one INTEGER) STRICT;\n";
        let postgres = "
            CREATE TABLE a (id TEXT COLLATE \"C\" PRIMARY KEY, 
                TEXTS BIGINT NOT NULL, b BYTEA);
            CREATE TABLE b (one BIGINT);\n";
        assert_eq!(schema(sqlite), postgres);
    }
}
