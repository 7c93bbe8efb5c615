CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE records (
    seq           INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    ts            INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    account       TEXT    NOT NULL,
    trader        TEXT    NOT NULL,
    stage         TEXT    NOT NULL,
    model_hash    TEXT    NOT NULL,
    config_hash   TEXT    NOT NULL,
    prediction_id TEXT    NOT NULL,
    cl_ord_id     TEXT    NOT NULL,
    body          BLOB    NOT NULL,
    PRIMARY KEY (seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
    seq   INTEGER PRIMARY KEY,
    chain BLOB NOT NULL
) STRICT;

CREATE TABLE snapshots (
    seq   INTEGER PRIMARY KEY,
    state BLOB NOT NULL
) STRICT;
